"""What a round takes, estimated before a model is loaded."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

import leaml.estimate
from leaml.config import GeneratorConfig, SamplingConfig
from leaml.estimate import TEXT_TOKENS, USUAL_IMAGE_TOKENS, estimate, facts_here, largest_of, with_pairs
from leaml.models.backbone import load
from leaml.recipes import generator_recipe
from leaml.records import ImageId, ImageRow, QuestionType
from leaml.training.buckets import SAVING, TOKENS_AT_ONCE
from tests.backbones.tiny import make
from tests.test_choices import LARGE

FEW = QuestionType("side", "On which side is the dot?", ("left", "right"))
MANY = QuestionType("finding", "What is found?", tuple(f"finding of the kind {n}, with its extent" for n in range(20)))


def test_many_long_options_take_more_memory_and_time():
    assert with_pairs(LARGE, [FEW]) == LARGE and LARGE.text_tokens == TEXT_TOKENS
    longer = with_pairs(LARGE, [FEW, MANY])
    assert 250 < longer.text_tokens < 400  # 850 letters
    usual, more = (estimate(facts, GeneratorConfig(), images=9, saves_memory=False) for facts in (LARGE, longer))
    ratio = (longer.image_tokens + longer.text_tokens) / (LARGE.image_tokens + LARGE.text_tokens)
    activations = usual.memory_bytes - usual.saving_bytes, more.memory_bytes - more.saving_bytes
    scores = [15 * 3 * 4 * facts.text_tokens * facts.vocabulary for facts in (LARGE, longer)]  # of a whole batch
    assert (activations[1] - scores[1]) / (activations[0] - scores[0]) == ratio
    assert more.seconds > ratio * usual.seconds


def test_a_question_that_takes_several_answers_may_get_all_of_them():
    several = QuestionType("all", "What is found? Choose all that apply.", MANY.options)
    assert with_pairs(LARGE, [several]).text_tokens > 1.5 * with_pairs(LARGE, [MANY]).text_tokens


def test_what_is_read_at_once_counts_where_it_is_the_largest_stage():
    """With next to nothing to train, by hand: keys and values of the weights' type, one layer, the values before."""
    facts = replace(LARGE, decoder=1000, layers=1, hidden=8, vocabulary=10, key_width=4, image_tokens=436)
    config = GeneratorConfig(sampling=SamplingConfig(max_new_tokens=9))
    rows = {False: TOKENS_AT_ONCE // 500, True: TOKENS_AT_ONCE // SAVING // 500}
    for saves, count in rows.items():
        found = estimate(facts, config, images=9, saves_memory=saves).memory_bytes
        fixed = leaml.estimate.LIBRARIES_BYTES + 4 * facts.parameters
        assert found - fixed == 500 * count * (2 * 4 * 4 + 34 * 8) + 4 * 1000, saves
    huge = replace(facts, image_tokens=40_000)  # the texts of one image are never parted
    more = estimate(huge, config, images=9, saves_memory=True).memory_bytes
    assert more - fixed == 40_064 * 4 * (2 * 4 * 4 + 34 * 8) + 4 * 1000


def test_other_models_read_every_caption_and_that_takes_its_time():
    few, many = (estimate(LARGE, generator_recipe(model="m"), images=n, saves_memory=False) for n in (720, 7200))
    assert many.seconds > 5 * few.seconds
    own = [estimate(LARGE, generator_recipe(), images=n, saves_memory=False).seconds for n in (720, 7200)]
    assert own[1] < 5 * own[0], "as many updates, whatever there is"


@pytest.mark.parametrize(("family", "more"), [("qwen2_vl", 0), ("smolvlm", 9)])
def test_the_largest_image_has_the_tokens_that_the_model_will_read(family, more, tmp_path):
    sizes = [(30, 40), (90, 70), (64, 64)]
    rows = [ImageRow(ImageId(str(n)), "", "", "", "pool", *size) for n, size in enumerate(sizes)]
    assert largest_of(rows) == (90, 70) and largest_of([]) is None
    path = str(make(family, tmp_path / family))
    model = load(path, device="cpu")
    (seen,) = model.encode([Image.new("RGB", (90, 70), "red")])
    found = facts_here(path, (90, 70)).image_tokens
    assert found == len(model.prompt_ids("", [seen])) - len(model.prompt_ids("", [replace(seen, place="")]))
    assert found >= len(seen.features) + more, "with what is written between its tiles"
    assert facts_here(path).image_tokens == USUAL_IMAGE_TOKENS


def test_only_the_memory_that_nobody_uses_counts_on_an_accelerator(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5, 80))
    assert leaml.estimate._memory_bytes(torch.device("cuda")) == 5
    assert leaml.estimate._memory_bytes(torch.device("cpu")) > 2**28
