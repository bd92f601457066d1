"""A trained model whose file is gone is never answered for by the base model."""

from dataclasses import replace

import pytest

from leaml.config import FinetuneConfig, model_run
from leaml.errors import RunError
from leaml.labelling.experts import label_from_references
from leaml.retest import retest
from tests.test_pipeline import TRAIN, finish, here, store, submit  # noqa: F401 - fixtures among them

MIRRORED = replace(TRAIN, steps=2, flips="both")


@pytest.fixture
def lost(store, here):  # noqa: F811
    """A run whose model was deleted after its training."""
    label_from_references(store, count=3, seed=0)
    run = finish(store, here, model_run(FinetuneConfig("lora", train=MIRRORED)))
    (run.path / "output/model.safetensors").unlink()
    return run


def test_the_test_is_refused_before_a_run_is_made(store, here, lost):  # noqa: F811
    with pytest.raises(RunError, match=r"The model of r0001 is gone: .*r0001/output/model\.safetensors is not there"):
        retest(store, here, lost.id)
    assert [run.id for run in here.runs()] == [lost.id]


def test_a_training_whose_mark_is_damaged_is_not_tested(store, here, lost):  # noqa: F811
    (lost.path / "output/finetune.done").write_text("")
    with pytest.raises(RunError, match="r0001 has no model that could be tested"):
        retest(store, here, lost.id)


def test_a_resumed_test_says_that_the_model_is_gone(here, lost, monkeypatch):  # noqa: F811
    monkeypatch.setattr("leaml.pipeline.load", lambda *_, **__: pytest.fail("the base model was opened"))
    for name in ("outcome.json", "output/evaluate.done", "output/predictions.parquet"):
        (lost.path / name).unlink()
    here.resume(lost.id)
    state = lost.state()
    assert state.name == "failed" and state.detail.startswith("The model that this run was to test is gone: ")
    assert not (lost.path / "output/predictions.parquet").exists()


def test_a_file_that_lies_beside_the_base_model_is_not_tested(store, here, lost, monkeypatch):  # noqa: F811
    monkeypatch.setattr("leaml.pipeline.load_adapted", lambda _: pytest.fail("another model was opened"))
    run = here.run(submit(store, here, model_run(FinetuneConfig("zero_shot", train=MIRRORED))))
    (run.path / "output/model.safetensors").write_bytes(b"")
    (run.path / "outcome.json").unlink()
    (run.path / "output/evaluate.done").unlink()
    here.resume(run.id)
    assert run.state().name == "done"
