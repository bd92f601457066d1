"""Fine-tuning that goes on from the question generator's weights, as real runs."""

from dataclasses import replace

import pytest

from leaml.config import FinetuneConfig, RunConfig, generator_run, model_run
from leaml.errors import ConfigError
from leaml.labelling.experts import label_from_references, review_with_policy
from leaml.models.backbone import load_adapted
from leaml.selective import Delta
from leaml.starts import start
from tests.test_pipeline import GENERATOR, TRAIN, _candidate, finish, here, jobs, store  # noqa: F401

STILL = replace(TRAIN, steps=1, learning_rate=1e-12, weight_decay=0.0)
"""A training after which the weights are still those that it started from."""
FROM_GENERATOR = FinetuneConfig("leaml_reviewed", train=STILL, starts_from="generator")


@pytest.fixture
def generator(store, here):  # noqa: F811
    """A generator's run, and reviewed pairs of its round."""
    label_from_references(store, count=3, seed=0)
    run = finish(store, here, generator_run(GENERATOR, until="judge"))
    store.results.add_generator_run(run.id, [_candidate(store, run.id, number) for number in range(3)])
    review_with_policy(store, "reference")
    return run


def done(jobs, run_id):  # noqa: F811
    """Return a run that has ended well."""
    state = jobs.wait(run_id, timeout_s=300)
    assert state.name == "done", jobs.run(run_id).log_tail(30)
    return jobs.run(run_id)


@pytest.mark.parametrize("update", ["lora", "selective", "full"])
def test_a_model_goes_on_from_the_generator(store, here, generator, update):  # noqa: F811
    run = done(here, start(store, here, model_run(replace(FROM_GENERATOR, update=update))))
    made = run.path / "output"
    assert (made / "start.safetensors").samefile(generator.path / "output/generator.safetensors")
    began, learnt = Delta.load(made / "start.safetensors"), Delta.load(made / "model.safetensors")
    assert set(began.entries) <= set(learnt.entries)
    ours, theirs = load_adapted(made / "model.safetensors"), load_adapted(made / "start.safetensors")
    for name, weight in theirs.decoder_weights().items():
        assert ours.decoder_weights()[name].allclose(weight, atol=1e-6), name
    assert RunConfig.from_json(run.config()).finetune.starts_from == "generator"


def test_without_a_generator_of_the_same_model_it_starts_from_the_pretrained_weights_and_says_so(
    store,  # noqa: F811
    jobs,  # noqa: F811
    generator,
):
    lost = generator.path / "output/generator.safetensors"
    for config in (replace(FROM_GENERATOR, model="another/model"), replace(FROM_GENERATOR, precision="bfloat16")):
        run_id = start(store, jobs, model_run(config))
        assert RunConfig.from_json(jobs.run(run_id).config()).finetune.starts_from == "pretrained"
        jobs.cancel(run_id)
        jobs.wait(run_id, timeout_s=300)
    lost.unlink()
    run = done(jobs, start(store, jobs, model_run(FROM_GENERATOR)))
    assert RunConfig.from_json(run.config()).finetune.starts_from == "pretrained"
    assert not (run.path / "output/start.safetensors").exists()


def test_of_another_workspaces_pairs_there_is_no_generator(store, here):  # noqa: F811
    label_from_references(store, count=3, seed=0)
    store.results.add_generator_run("elsewhere", [_candidate(store, "elsewhere", number) for number in range(3)])
    review_with_policy(store, "reference")
    run = done(here, start(store, here, model_run(FROM_GENERATOR)))
    assert RunConfig.from_json(run.config()).finetune.starts_from == "pretrained"


def test_a_run_whose_generator_was_taken_away_says_what_to_do(store, jobs, generator):  # noqa: F811
    run_id = start(store, jobs, model_run(FROM_GENERATOR))
    (jobs.run(run_id).path / "output/start.safetensors").unlink()
    state = jobs.wait(run_id, timeout_s=300)
    assert state.name == "failed" and "This run starts from a generator" in state.detail
    assert "Start a new run." in state.detail


def test_there_is_no_third_place_to_start_from():
    with pytest.raises(ConfigError, match="starts_from"):
        FinetuneConfig("leaml", starts_from="judge")
