"""Features once, caches and batches give what each family gives on its own: tokens, scores, texts."""

import pytest
import torch
from torch.nn import functional

from leaml.config import LoraConfig, ShiraConfig
from leaml.models.backbone import load
from leaml.models.chat import Chat
from leaml.models.decoding import greedy, option_log_probabilities, prefill
from leaml.selective import Delta, linear_weights
from leaml.training.adapters import lora_update, shira_update
from leaml.training.objectives import IGNORED, Sample, collate, sequence_losses
from leaml.training.updates import full_update
from tests.backbones.conftest import ALL, own_inputs

PROMPTS = ("What is in picture two?", "Colour?", "Is there a disc, or is there nothing to be seen at all?")
SHOWN = ((0,), (1,), (2, 1))
"""The pictures of each prompt: the last has two."""
NEW = 8


pytestmark = pytest.mark.usefixtures("float32_products")


@pytest.fixture(params=ALL)
def backbone(request, checkpoints):
    return load(str(checkpoints[request.param]), device="cpu")


@pytest.fixture
def pictures(shapes):
    return [[shapes[number] for number in numbers] for numbers in SHOWN]


@pytest.fixture
def shown(backbone, pictures):
    return [backbone.encode(row) for row in pictures]


class Known:
    """Features that are in memory already."""

    def __init__(self, shown):
        self.shown = shown

    def batch(self, image_ids):
        return [self.shown[int(image_id)] for image_id in image_ids]


def test_prompts_have_the_tokens_that_the_processor_gives_them(backbone, pictures, shown):
    for prompt, row, images in zip(PROMPTS, pictures, shown, strict=True):
        wanted = own_inputs(backbone.processor, row, prompt)["input_ids"][0].tolist()
        assert list(backbone.prompt_ids(prompt, images)) == wanted


def special_texts(backbone):
    """Return the texts that the tokenizer, or the processor for images, reads as one token of its own."""
    known = [token.content for token in backbone.tokenizer.added_tokens_decoder.values() if token.special]
    return sorted({*known, backbone.vision.placeholder, backbone.processor.image_token})


def test_the_text_of_a_special_token_is_words_in_a_question_and_in_an_answer(backbone, shown):
    special = {id for id, token in backbone.tokenizer.added_tokens_decoder.items() if token.special}
    image = shown[0]
    plain = [id for id in backbone.prompt_ids("a  b", image) if id in special]
    for text in special_texts(backbone):
        written = f"a {text} b"
        *words, end = backbone.chat.target_ids(written)
        assert not special & set(words) and end == backbone.chat.end_id, text
        assert backbone.chat.text(words) == f"a {text[0]} {text[1:]} b"
        ids = backbone.prompt_ids(written, image)
        assert ids.count(backbone.vision.token_id) == sum(len(part.features) for part in image), text
        assert [id for id in ids if id in special] == plain, text


def test_an_answer_about_image_tokens_can_be_trained(backbone, shown):
    text = " ".join(special_texts(backbone))
    with torch.no_grad():
        losses, counts = sequence_losses(backbone, collate(backbone, Known(shown), [Sample("0", text, text)]))
    assert torch.isfinite(losses).all() and counts[0] == len(backbone.chat.target_ids(text))


def test_special_tokens_that_overlap_are_all_broken_up(checkpoints):
    backbone = load(str(checkpoints["qwen2_vl"]), device="cpu")
    backbone.tokenizer.add_special_tokens({"extra_special_tokens": ["ab", "bc"]})
    chat = Chat(backbone.model, backbone.processor, backbone.vision.placeholder)
    assert chat.text(list(chat.target_ids("abc"))) == "a b c"


def test_greedy_answers_are_those_of_generate(backbone, pictures, shown):
    ours = greedy(backbone, prefill(backbone, PROMPTS, shown), max_new_tokens=NEW)
    for prompt, row, text in zip(PROMPTS, pictures, ours, strict=True):
        inputs = own_inputs(backbone.processor, row, prompt)
        made = backbone.model.generate(**inputs, max_new_tokens=NEW, do_sample=False)
        assert text == backbone.chat.text(made[0, inputs["input_ids"].shape[1] :].tolist())


def test_a_padded_training_batch_has_the_losses_of_single_passes(backbone, pictures, shown):
    answers = ("left", "in the very middle", "no")
    samples = [Sample(str(place), PROMPTS[place], answer) for place, answer in enumerate(answers)]
    batch = collate(backbone, Known(shown), samples)
    with torch.no_grad():
        losses, counts = sequence_losses(backbone, batch)
    for place, (prompt, row) in enumerate(zip(PROMPTS, pictures, strict=True)):
        target = backbone.chat.target_ids(answers[place])
        assert batch.labels[place][batch.labels[place] != IGNORED].tolist() == list(target)
        assert target[-1] == backbone.chat.end_id and counts[place] == len(target)
        inputs = own_inputs(backbone.processor, row, prompt, target)
        with torch.no_grad():
            scores = backbone.model(**inputs).logits[0, -len(target) - 1 : -1]
        alone = functional.cross_entropy(scores, torch.tensor(target), reduction="sum")
        torch.testing.assert_close(losses[place], alone, rtol=1e-4, atol=1e-4)


def test_prompts_about_the_same_pictures_are_as_alone_and_see_them_once(backbone, shown, monkeypatch):
    asked = [(0, PROMPTS[0]), (2, PROMPTS[2]), (0, PROMPTS[1]), (2, PROMPTS[0]), (1, PROMPTS[1]), (0, PROMPTS[0])]
    alone = [prefill(backbone, [prompt], [shown[number]]) for number, prompt in asked]
    pack, packed = backbone.vision.pack, []
    monkeypatch.setattr(backbone.vision, "pack", lambda images, device: packed.extend(images) or pack(images, device))
    together = prefill(backbone, [prompt for _, prompt in asked], [shown[number] for number, _ in asked])
    every = [0, 2, 1] if backbone.shares_prefill else [number for number, _ in asked]
    assert [id(image) for image in packed] == [id(image) for number in every for image in shown[number]]
    torch.testing.assert_close(together.logits, torch.cat([prefix.logits for prefix in alone]), rtol=1e-4, atol=1e-4)
    options = [("left", "in the very middle")] * len(asked)
    found = option_log_probabilities(backbone, together, options)
    wanted = [option_log_probabilities(backbone, prefix, options[:1])[0] for prefix in alone]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(wanted), rtol=1e-4, atol=1e-3)
    texts = [greedy(backbone, prefix, max_new_tokens=NEW)[0] for prefix in alone]
    assert greedy(backbone, together, max_new_tokens=NEW) == texts


def test_windows_and_words_that_images_read_keep_prompts_apart(checkpoints):
    apart = {family for family in ALL if not load(str(checkpoints[family]), device="cpu").shares_prefill}
    assert apart == {"gemma3", "paligemma", "paligemma2"}


def test_other_pictures_give_other_losses(backbone, shown):
    """If they did not, no other test here could find a fault in how images are read."""
    samples = [Sample(str(place), PROMPTS[place], "left") for place in (0, 1)]
    with torch.no_grad():
        right = sequence_losses(backbone, collate(backbone, Known(shown), samples))[0]
        wrong = sequence_losses(backbone, collate(backbone, Known([shown[1], shown[0]]), samples))[0]
    assert (right - wrong).abs().min() > 0.01


def test_option_scores_are_the_losses_and_leave_the_prefix(backbone, shown):
    options = [("left", "in the very middle"), ("a", "bb", "c"), ("yes", "no")]
    prefix = prefill(backbone, PROMPTS, shown)
    first = option_log_probabilities(backbone, prefix, options)
    again = option_log_probabilities(backbone, prefix, options)
    for place, names in enumerate(options):
        batch = collate(backbone, Known(shown), [Sample(str(place), PROMPTS[place], name) for name in names])
        with torch.no_grad():
            losses, _ = sequence_losses(backbone, batch)
        torch.testing.assert_close(torch.tensor(first[place]), -losses, rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(torch.tensor(again[place]), torch.tensor(first[place]))


def test_the_decoder_is_found_without_its_name(backbone):
    assert backbone.decoder is backbone.model.get_decoder()


def test_the_decoder_is_all_that_reads_words_and_nothing_that_sees(backbone):
    inside = {id(parameter) for parameter in backbone.decoder.parameters()}
    assert id(backbone.model.get_input_embeddings().weight) in inside
    frozen = set(backbone.frozen_state())
    assert frozen and not frozen & set(backbone.decoder_weights())
    assert not any("lm_head" in name for name in frozen)
    vision = [name for name in frozen if "vision" in name or "visual" in name]
    assert len(vision) > 5


def gradients(backbone, shown):
    """Return the decoder's linear weights' gradients of one batch."""
    weights = linear_weights(backbone.model, within=backbone.decoder).weights
    for weight in weights.values():
        weight.requires_grad_(True)
    samples = [Sample(str(place), prompt, "left") for place, prompt in enumerate(PROMPTS)]
    sequence_losses(backbone, collate(backbone, Known(shown), samples))[0].mean().backward()
    found = {name: weight.grad for name, weight in weights.items()}
    for weight in weights.values():
        weight.grad = None
    return found


def test_activations_that_are_computed_again_give_the_same_gradients(backbone, shown):
    plain = gradients(backbone, shown)
    backbone.checkpoint_activations()
    again = gradients(backbone, shown)
    for name, gradient in plain.items():
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(again[name], gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["full", "lora", "shira"])
def test_every_kind_of_update_moves_the_decoder_alone(backbone, shown, kind, tmp_path):
    base = backbone.resident
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    if kind == "full":
        update = full_update(backbone, weight_decay=0.0)
    elif kind == "lora":
        update = lora_update(backbone, LoraConfig(rank=2, alpha=4), weight_decay=0.0, seed=0)
    else:
        update = shira_update(backbone, ShiraConfig(rank=2), weight_decay=0.0, seed=0)
    samples = [Sample(str(place), prompt, "left") for place, prompt in enumerate(PROMPTS)]
    for _ in range(2):  # LoRA's first step moves one of its two factors only
        sequence_losses(backbone, collate(backbone, Known(shown), samples))[0].mean().backward()
        update.optimizer.step(1e-2)
    update.optimizer.close()
    update.save(backbone, tmp_path / "delta.safetensors", model="m")
    after = backbone.model.state_dict()
    assert after.keys() == before.keys()
    frozen = backbone.frozen_state()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved and not moved & set(frozen)
    assert {name for name in linear_weights(backbone.model, within=backbone.decoder).weights} <= moved
    base.model.load_state_dict(before)
    base.apply(Delta.load(tmp_path / "delta.safetensors"))
    assert all(torch.equal(value, after[name]) for name, value in base.model.state_dict().items())
