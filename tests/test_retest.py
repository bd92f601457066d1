"""A trained model is asked the test questions of today, and nothing of its training is done again."""

import json
from dataclasses import replace

import pytest

from leaml.cli import main
from leaml.config import FinetuneConfig, GeneratorConfig, generator_run, model_run
from leaml.errors import RunError, SnapshotError
from leaml.ingest import ingest_finished
from leaml.labelling.experts import label_from_references
from leaml.records import AnsweredQuestion, QuestionType
from leaml.retest import retest
from leaml.selective import Delta
from leaml.snapshot import read_snapshot
from tests.runs import reports
from tests.test_pipeline import TRAIN, finish, here, jobs, store, submit  # noqa: F401 - fixtures among them

NOTE = QuestionType("note", "What stands out?")


@pytest.fixture
def made(store, here):  # noqa: F811
    """A model that was trained on three labels and tested; since then the test and the labels have changed."""
    label_from_references(store, count=3, seed=0)
    run = finish(store, here, model_run(FinetuneConfig("lora", train=replace(TRAIN, steps=2))))
    project = store.project()
    store.save_project(replace(project, question_types=(*project.question_types, NOTE)), author="ann")
    image = store.images("test")[0]
    store.add_label(AnsweredQuestion(image.id, NOTE.question, (), "a disc", NOTE.id), author="ann", seconds=1.0)
    label_from_references(store, count=3, seed=0)
    return run


def test_the_same_model_answers_the_test_of_today(store, here, made):  # noqa: F811
    run = here.run(retest(store, here, made.id))
    assert here.wait(run.id, timeout_s=300).name == "done", run.log_tail(30)
    assert ingest_finished(store, here) == 1
    before, after = (store.results.predictions(one.id) for one in (made, run))
    assert (len(before), len(after)) == (3, 4)
    assert {(row.image_id, row.answer) for row in after if row.type_id != NOTE.id} == {
        (row.image_id, row.answer) for row in before
    }
    assert [row.reference for row in after if row.type_id == NOTE.id] == ["a disc"]
    first, second = store.results.models()
    assert (second.method, second.labels, second.pairs, second.round) == ("lora", 3, 0, first.round)
    assert len(store.labels("pool")) == 6 and len(read_snapshot(run.path / "data").labels) == 3
    one, other = (Delta.load(path.path / "output/model.safetensors") for path in (made, run))
    assert all(values.equal(other.values[name]) for name, values in one.values.items())
    assert not any(line["stage"] == "finetune" for line in reports(run.path)), "nothing is trained again"
    assert (run.path / "output/model.safetensors").samefile(made.path / "output/model.safetensors")


def test_a_model_that_is_tested_again_is_no_newer_than_it_was(store, here, made):  # noqa: F811
    newer = finish(store, here, model_run(FinetuneConfig("lora", train=replace(TRAIN, steps=1))))
    again = retest(store, here, made.id)
    ingest_finished(store, here)
    assert [row.run_id for row in store.results.models()] == [made.id, again, newer.id]
    last = retest(store, here, again)
    ingest_finished(store, here)
    assert [row.run_id for row in store.results.models()] == [made.id, again, last, newer.id]


def test_the_command_line_queues_it_and_the_base_model_has_no_file(store, jobs, here, capsys):  # noqa: F811
    label_from_references(store, count=3, seed=0)
    base = finish(store, here, model_run(FinetuneConfig("zero_shot")))
    store.close()
    workspace = str(store.workspace)
    assert main(["--workspace", workspace, "runs", "test", base.id]) == 0
    assert capsys.readouterr().out == "r0002 asks the model of r0001 today's test questions.\n"
    assert jobs.wait("r0002", timeout_s=300).name == "done"
    assert sorted(path.name for path in (jobs.run("r0002").path / "output").iterdir()) == [
        "evaluate.done",
        "evaluation.json",
        "finetune.done",
        "predictions.parquet",
        "tested.json",
    ]


def test_a_disk_without_links_gets_a_copy(store, here, made, monkeypatch):  # noqa: F811
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    run = here.run(retest(store, here, made.id))
    assert here.wait(run.id, timeout_s=300).name == "done"
    mine, theirs = (one.path / "output/model.safetensors" for one in (run, made))
    assert not mine.samefile(theirs) and mine.read_bytes() == theirs.read_bytes()


def test_what_has_no_model_or_altered_data_is_refused_and_leaves_no_run(store, here, made):  # noqa: F811
    generator = submit(store, here, generator_run(GeneratorConfig(), until="captions"))
    here.wait(generator, timeout_s=300)
    with pytest.raises(RunError, match=f"{generator} has no model that could be tested"):
        retest(store, here, generator)
    (made.path / "data/labels.parquet").write_bytes(b"other")
    with pytest.raises(SnapshotError, match=r"labels\.parquet is not what was written"):
        retest(store, here, made.id)
    assert [run.id for run in here.runs()] == [generator, made.id]


def test_a_run_that_did_not_note_its_round_keeps_that_of_its_model(store, here, made):  # noqa: F811
    manifest = made.path / "data/manifest.json"
    older = json.loads(manifest.read_text())
    del older["round"]
    manifest.write_text(json.dumps(older))
    run = here.run(retest(store, here, made.id))
    assert read_snapshot(run.path / "data").round == store.results.models()[0].round
