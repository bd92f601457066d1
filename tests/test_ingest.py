"""Taking runs over late: what was decided meanwhile is not asked again, and rounds are counted as they come in."""

import json
from dataclasses import replace

import pytest

from leaml.config import FinetuneConfig, GeneratorConfig, MixtureConfig, generator_run, model_run
from leaml.freeze import freeze
from leaml.ingest import OUT_OF_USE, ingest_finished
from leaml.jobs import Jobs
from leaml.jobs.files import write_json
from leaml.records import Candidate, Caption, ImageId, RunId
from leaml.snapshot import SnapshotTables, write_snapshot
from leaml.tables import write_rows
from leaml.teacher.config import TeacherConfig
from tests.store.test_queue import assert_derived
from tests.store.test_store import PLACE, SIZE, candidate, image, pair, review, store  # noqa: F401 - a fixture
from tests.test_worker import make_run

DONE = {"status": "done", "error": "", "seconds": 1.0, "stages": {}}


@pytest.fixture
def jobs(store):  # noqa: F811
    return Jobs(store.workspace / "runs")


def asked(store, jobs, name, config=None):  # noqa: F811
    """Return a run that was asked for now and has not ended."""
    run = make_run(jobs.runs_dir, name, (config or generator_run(GeneratorConfig(round=1))).to_json())
    freeze(store, run.path / "data")
    return run


def ends(run, *pairs):
    """End a generator's run, which wrote these pairs, all of them of round 1 by its settings."""
    rows = [replace(row, id=f"{run.id}-{number}", run_id=run.id, round=1) for number, row in enumerate(pairs)]
    write_rows(run.path / "output" / "candidates.parquet", rows, Candidate)
    report = {"images": 6, "generated": 9, "kept": len(rows), "turned_down": {"answered already": 1, "other": 2}}
    write_json(run.path / "output" / "sample_report.json", report)
    write_json(run.path / "outcome.json", DONE)


def test_what_was_decided_while_a_generator_trained_is_not_asked_again(store, jobs):  # noqa: F811
    ends(asked(store, jobs, "r0001"), *(candidate(n) for n in range(5)))
    ingest_finished(store, jobs)
    first = {row.image_id: row for row in store.results.candidates()}
    late = asked(store, jobs, "r0002")
    store.add_review(review(first["i1"], "accept"))
    store.add_label(pair(2), author="ann", seconds=1.0)
    for number in (3, 4):
        store.add_review(review(first[f"i{number}"], "reject"))  # as a wrong answer
    ends(late, *(replace(candidate(n), answer="right") for n in (1, 2, 3)), candidate(4), candidate(1, kind=SIZE))
    ingest_finished(store, jobs)
    new = [row for row in store.results.candidates() if row.run_id == "r0002"]
    assert [(row.image_id, row.type_id) for row in new] == [("i3", "place"), ("i1", "size")], "right may be right"
    assert {row.id for row in store.queue.next(9)} == {row.id for row in new}
    assert store.results.pseudo_pairs() == new and store.answered.reviewed() == [pair(1)]
    report = json.loads((late.path / "output" / "sample_report.json").read_text())
    assert report["kept"] == 2 and report["generated"] == 9
    assert report["turned_down"] == {"answered already": 3, "rejected before": 1, "other": 2}
    assert_derived(store)


def test_runs_may_lie_on_another_disk(store, tmp_path):  # noqa: F811
    (store.workspace / "runs").rmdir()
    (tmp_path / "large" / "runs").mkdir(parents=True)
    (store.workspace / "runs").symlink_to(tmp_path / "large" / "runs")
    jobs = Jobs(store.workspace / "runs")
    run = asked(store, jobs, "r0001", model_run(FinetuneConfig("lora")))
    (run.path / "output" / "model.safetensors").write_bytes(b"")
    write_json(run.path / "outcome.json", DONE)
    assert ingest_finished(store, jobs) == 1
    assert store.results.models()[0].path == "runs/r0001/output/model.safetensors"


def test_a_run_of_which_nothing_is_left_makes_no_round(store, jobs):  # noqa: F811
    ends(asked(store, jobs, "r0001"), candidate(0), candidate(1))
    ingest_finished(store, jobs)
    late = asked(store, jobs, "r0002")
    store.add_label(pair(0), author="ann", seconds=1.0)
    ends(late, candidate(0))
    assert ingest_finished(store, jobs) == 1 and store.results.ingested() == {"r0001", "r0002"}
    assert [row.number for row in store.rounds.all()] == [1] and store.results.round() == 2
    assert store.results.generator() == "r0001" and [row.image_id for row in store.queue.next(9)] == ["i1"]


def test_a_report_that_cannot_be_read_keeps_no_pairs_out(store, jobs):  # noqa: F811
    run = asked(store, jobs, "r0001")
    store.add_label(pair(0), author="ann", seconds=1.0)
    ends(run, candidate(0), candidate(1))
    (run.path / "output" / "sample_report.json").unlink()
    assert ingest_finished(store, jobs) == 1 and len(store.queue.next(9)) == 1


def test_a_round_is_counted_when_its_pairs_come_in_not_when_they_were_asked_for(store, jobs):  # noqa: F811
    failed, again = asked(store, jobs, "r0001"), asked(store, jobs, "r0002")
    ends(again, candidate(0), candidate(1))
    ingest_finished(store, jobs)
    (first,) = (row for row in store.results.candidates() if row.image_id == "i0")
    store.add_review(review(first, "accept"))
    ends(failed, *(replace(candidate(n), answer="right") for n in (0, 2)))  # resumed, and ended after the other
    ingest_finished(store, jobs)
    assert [(row.run_id, row.image_id, row.round) for row in store.results.candidates()] == [
        *(("r0001", "i2", 2), ("r0002", "i0", 1), ("r0002", "i1", 1))
    ]
    assert [(row.number, row.pairs) for row in store.rounds.all()] == [(1, 2), (2, 1)]
    assert store.results.round() == 3 and store.results.generator() == "r0001"
    store.rounds.take_back(2, by="ann")
    assert store.results.generator() == "r0002" and store.results.round() == 3


def test_nothing_comes_into_a_round_that_was_taken_back(store, jobs):  # noqa: F811
    ends(asked(store, jobs, "r0001"), candidate(0))
    ingest_finished(store, jobs)
    store.rounds.take_back(1, by="ann")
    ends(asked(store, jobs, "r0002"), candidate(1))  # drawn from the first one's generator: its round is set to 1, too
    ingest_finished(store, jobs)
    assert [(row.number, row.taken_back) for row in store.rounds.all()] == [(1, True), (2, False)]
    assert [row.image_id for row in store.queue.next(9)] == ["i1"] and store.results.generator() == "r0002"


def test_what_came_of_a_round_taken_back_meanwhile_is_left_out(store, jobs):  # noqa: F811
    """A generator that was stopped, and goes on after the round that it learnt from was taken back."""
    ends(asked(store, jobs, "r0001"), candidate(0), candidate(1))
    ingest_finished(store, jobs)
    teacher = TeacherConfig(source="local", model="a teacher")
    late = asked(store, jobs, "r0002", generator_run(GeneratorConfig(round=1, teacher=teacher)))
    store.rounds.take_back(1, by="ann")
    ends(late, candidate(2), candidate(3))
    write_rows(late.path / "output" / "captions.parquet", [Caption(ImageId("i2"), "A disc.", "t", "p")], Caption)
    assert ingest_finished(store, jobs) == 1 and ingest_finished(store, jobs) == 0
    assert store.queue.next(9) == [] and [row.number for row in store.rounds.all()] == [1]
    assert store.captions.newest(ImageId("i2")).text == "A disc.", "which knows nothing of rounds"
    report = json.loads((late.path / "output" / "sample_report.json").read_text())
    assert (report["kept"], report["turned_down"][OUT_OF_USE]) == (0, 2)


@pytest.mark.parametrize("order", [("r0001", "r0002"), ("r0002", "r0001")])
def test_of_two_generators_in_one_round_of_an_older_version_the_last_one_counts(store, order):  # noqa: F811
    for name in order:
        row = replace(candidate(0), id=name, run_id=RunId(name))
        with store._database.transaction("do as an older version did") as cursor:
            store._database.insert("candidates", [row], Candidate, cursor)
            cursor.execute("INSERT INTO ingested_runs VALUES (?, 'generator', now())", [name])
    assert store.results.generator() == order[1]


@pytest.mark.parametrize(("method", "least", "pairs"), [("leaml", 0.0, 3), ("leaml", 0.7, 2), ("leaml_reviewed", 0, 1)])
def test_a_models_pairs_are_those_it_read(store, jobs, method, least, pairs):  # noqa: F811
    config = model_run(FinetuneConfig(method, mixture=MixtureConfig(least_agreement=least)))
    run = make_run(jobs.runs_dir, "r0001", config.to_json())
    # As older versions froze it, with a reviewed pair whose question has a label.
    pseudo = [candidate(2, 0.9), candidate(3, 0.5)]
    tables = SnapshotTables(
        images=[image(n) for n in range(4)], labels=[pair(0)], captions=[], reviewed=[pair(0, "right"), pair(1)],
        pseudo=pseudo, question_types=[PLACE], evaluation=[],
    )  # fmt: skip
    write_snapshot(tables, run.path / "data", workspace=store.workspace)
    write_json(run.path / "outcome.json", DONE)
    ingest_finished(store, jobs)
    (model,) = store.results.models()
    assert (model.labels, model.pairs) == (1, pairs)
