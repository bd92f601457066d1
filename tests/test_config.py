"""Settings check themselves and survive JSON."""

import json

import pytest

from leaml.config import (
    FinetuneConfig,
    GeneratorConfig,
    MixtureConfig,
    RunConfig,
    SelectionConfig,
    TrainConfig,
    generator_run,
    model_run,
)
from leaml.errors import ConfigError

SINGLE = TrainConfig(steps=5, batch_size=1)


@pytest.mark.parametrize("run", [generator_run(GeneratorConfig(selection=None)), model_run(FinetuneConfig("lora"))])
def test_json_and_back(run):
    assert RunConfig.from_json(json.loads(json.dumps(run.to_json()))) == run


def test_unknown_settings_are_refused():
    with pytest.raises(ConfigError, match="Unknown setting 'stepz' of TrainConfig"):
        TrainConfig.from_json({"stepz": 3})


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: TrainConfig(steps=0), "steps is 0, but must be at least 1"),
        (lambda: TrainConfig(steps=5, learning_rate=-1.0), "learning_rate is -1.0"),
        (lambda: SelectionConfig(row_budget=1.5), "row_budget is 1.5"),
        (lambda: SelectionConfig(row_budget=0), "row_budget is 0"),
        (lambda: SelectionConfig(rule="magnitude"), "rule is 'magnitude', but must be one of mean_gradient"),  # type: ignore[arg-type]
        (lambda: SelectionConfig(score_memory_mb=0), "score_memory_mb is 0"),
        (
            lambda: TrainConfig(steps=5, warmup_steps=1, batch_size=4, accumulation=5),
            "accumulation is 5, but must be 1 to 4",
        ),
        (lambda: FinetuneConfig("full_finetune", update="lora"), "update is 'lora', but must be full"),
        (lambda: GeneratorConfig(contrast=-0.5), "contrast is -0.5, but must be 0 or more"),
        (lambda: FinetuneConfig("magic"), "method is 'magic'"),  # type: ignore[arg-type]
        (
            lambda: FinetuneConfig("leaml", train=SINGLE, mixture=MixtureConfig(pseudo_share=0.5)),
            "batch_size is 1, but must be at least 2 where pseudo_share is set",
        ),
        (
            lambda: GeneratorConfig(train=SINGLE),
            "batch_size is 1, but must be at least 2 where caption_weight is above 0",
        ),
        (lambda: generator_run(GeneratorConfig(), until="evaluate"), "stage is 'evaluate'"),
        (lambda: RunConfig(stages=("sample",), generator=GeneratorConfig()), "a leading part of captions"),
    ],
)
def test_impossible_values_are_refused_with_what_would_work(make, sentence):
    with pytest.raises(ConfigError, match=sentence):
        make()


def test_single_samples_are_read_where_nothing_shares_the_batch():
    assert GeneratorConfig(train=SINGLE, caption_weight=0.0).train == FinetuneConfig("leaml", train=SINGLE).train


def test_a_run_stops_after_the_stage_asked_for():
    assert generator_run(GeneratorConfig(), until="importance").stages == ("captions", "importance")
