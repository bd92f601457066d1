"""How many updates a training has by its data, and what is said of what it left unread."""

from dataclasses import replace

import pytest

from leaml.cli.commands import _run_config, build_parser
from leaml.config import BUNDLED_MODEL, MixtureConfig, TrainConfig
from leaml.errors import ConfigError
from leaml.recipes import generator_recipe, model_recipe
from leaml.records import METHODS
from leaml.store import Store
from leaml.training.mixture import mix
from leaml.training.passes import Side, for_passes, generator_sides, tell_read, unread
from tests.conftest import place_question
from tests.store.test_store import candidate

PLAIN = TrainConfig(steps=10, batch_size=16)


@pytest.mark.parametrize(("captions", "steps"), [(0, 10), (80, 10), (81, 11), (5000, 625)])
def test_each_caption_is_read_once_at_least(captions, steps):
    sides = generator_sides(PLAIN, questions=40, captions=captions)
    assert for_passes(replace(PLAIN, passes=1.0), sides).steps == steps
    assert for_passes(PLAIN, sides) == PLAIN, "without passes there are as many as are asked for"
    assert for_passes(replace(PLAIN, passes=2.0), sides).steps == max(10, -(-2 * captions // 8))


def test_a_model_reads_the_larger_side_of_its_batches():
    labels = [place_question(f"picture{n}", n) for n in range(30)]
    pairs = [candidate(n, 0.5) for n in range(200)]
    every, half = mix(labels, pairs, MixtureConfig()), mix(labels, pairs, MixtureConfig(pseudo_share=0.25))
    config = replace(PLAIN, passes=1.0)
    assert for_passes(config, every.sides(config)).steps == 15  # 230 in 16s
    assert for_passes(config, half.sides(config)).steps == 50  # 200 in 4s
    seen = {sample.image_id for step in range(50) for sample, _ in half.batch(config, step)}
    assert seen == {pair.image_id for pair in [*labels, *pairs]}


def test_other_models_read_all_of_their_data_and_the_bundled_one_keeps_its_updates():
    for method in METHODS:
        own, other = model_recipe(method), model_recipe(method, model="m")
        assert (own.train.passes, other.train.passes, other.train.steps) == (None, 1.0, own.train.steps)
    own, other = generator_recipe(), generator_recipe(model="m")
    assert own.model == BUNDLED_MODEL and own.train.passes is own.judge.passes is None
    assert other.train.passes == other.judge.passes == 1.0 and other.train.steps == own.train.steps
    assert (own.caption_weight, other.caption_weight) == (0.3, 1.0)  # the paper's lambda
    assert other.train.with_steps(7).passes is None, "a number that somebody asks for holds"
    with pytest.raises(ConfigError, match="passes is 0"):
        replace(PLAIN, passes=0)


def test_steps_that_somebody_asks_for_hold_for_the_second_opinion_too(tmp_path):
    with Store.open(tmp_path) as store:
        arguments = build_parser().parse_args(
            ["--workspace", str(tmp_path), "run", "judge", "--model", "m", "--steps", "300"]
        )
        config = _run_config(arguments, store).generator
    assert [(part.steps, part.passes) for part in (config.train, config.judge)] == [(300, None)] * 2


def test_what_was_not_read_is_said(tmp_path):
    assert unread(tmp_path) == []
    tell_read(tmp_path, "generator", replace(PLAIN, steps=90), [Side("questions", 40, 8), Side("captions", 5000, 8)])
    tell_read(tmp_path, "judge", PLAIN, [Side("answers", 160, 16)])
    assert unread(tmp_path) == ["Training (generator) read 720 of 5,000 captions: --steps sets how long it is."]
