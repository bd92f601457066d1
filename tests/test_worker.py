"""The worker and what is taken over from it: turns, signals, forks, damaged progress, and ingestion."""

import dataclasses
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from leaml import worker
from leaml.config import FinetuneConfig, GeneratorConfig, generator_run, model_run
from leaml.errors import LeamlError, TrainingError
from leaml.freeze import freeze
from leaml.ingest import ingest_finished
from leaml.jobs import Jobs, RunDir, launch, rundir
from leaml.jobs.files import write_json
from leaml.records import ImageId, ImageRow, Prediction, Project, QuestionType, RunId
from leaml.report import Cancelled
from leaml.store import Store
from leaml.tables import write_rows
from tests.runs import reports
from tests.store.test_store import candidate, pair

CONFIG = generator_run(GeneratorConfig(), until="importance").to_json()


@pytest.fixture(autouse=True)
def _sigterm():
    """The worker takes SIGTERM for itself; give it back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def make_run(runs, name="r0001", config=CONFIG):
    for folder in ("data", "output", "checkpoints"):
        (runs / name / folder).mkdir(parents=True)
    write_json(runs / name / "config.json", config)
    return RunDir(runs / name)


def hold(run):
    """Take a run's lock as its worker would; closing the descriptor lets it go."""
    descriptor = os.open(run.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def test_a_stage_is_done_when_what_it_left_is_on_the_disk(tmp_path, monkeypatch):
    run, synced, sync = make_run(tmp_path), [], os.fsync
    mark = run.path / "output" / "captions.done"

    def fsync(descriptor):
        synced.append((os.fstat(descriptor).st_ino, mark.exists()))
        sync(descriptor)

    def work(stage, context):
        (context.output / f"{stage}.parquet").write_bytes(b"pairs")

    monkeypatch.setattr("os.fsync", fsync)
    assert worker.work(run, work)["status"] == "done" and mark.exists()
    assert ((run.path / "output" / "captions.parquet").stat().st_ino, False) in synced


def test_stages_that_are_done_are_left_out_and_their_seconds_kept(tmp_path):
    run, calls = make_run(tmp_path), []
    (run.path / "output" / "captions.done").write_text("12.5")
    outcome = worker.work(run, lambda stage, _: calls.append(stage))
    assert calls == ["importance"] and outcome["status"] == "done"
    assert outcome["stages"]["captions"] == 12.5 and run.outcome() == outcome
    assert RunDir(run.path).state().name == "done"


def test_a_stage_that_was_left_and_gone_on_with_took_both_times(tmp_path):
    run = make_run(tmp_path)

    def leave(*_):
        time.sleep(0.2)
        raise Cancelled

    for _ in range(2):
        outcome = worker.work(run, leave)
        assert outcome["status"] == "cancelled" and outcome["stages"] == {}
    assert 0.4 <= worker.work(run, lambda *_: None)["stages"]["captions"] == run.seconds_of("captions") < 20
    assert not list(run.path.glob("output/*.begun")), "a run that goes on from these files begins anew"


def test_a_mark_that_a_full_disk_left_empty_has_its_stage_done_again(tmp_path):
    run, calls = make_run(tmp_path), []
    (run.path / "output" / "captions.done").write_text("")
    outcome = worker.work(run, lambda stage, _: calls.append(stage))
    assert outcome["status"] == "done" and calls == ["captions", "importance"]
    assert run.seconds_of("captions") == outcome["stages"]["captions"]


def test_a_full_disk_while_a_stage_is_marked_leaves_no_mark(tmp_path, monkeypatch, capsys):
    run, write = make_run(tmp_path), Path.write_text

    def full(path, text, *arguments, **options):
        write(path, "" if "captions.done" in path.name else text, *arguments, **options)
        if "captions.done" in path.name:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    outcome = worker.work(run, lambda *_: None)
    assert outcome["status"] == "failed" and "No space left" in outcome["error"] and outcome["stages"] == {}
    assert list((run.path / "output").iterdir()) == []
    monkeypatch.undo()
    assert worker.work(run, lambda *_: None)["status"] == "done"


def test_checkpoints_go_when_nobody_can_go_on_from_them(tmp_path):
    kept, gone = make_run(tmp_path), make_run(tmp_path, "r0002")
    for run in (kept, gone):
        (run.path / "checkpoints" / "generator").mkdir()
    kept.request_cancel()
    assert worker.work(kept, lambda *_: None)["status"] == "cancelled"
    assert worker.work(gone, lambda *_: None)["status"] == "done"
    assert (kept.path / "checkpoints" / "generator").exists() and not (gone.path / "checkpoints").exists()


def test_its_heart_stops_when_it_has_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "HEARTBEAT_S", 0.01)
    run, others = make_run(tmp_path), threading.active_count()
    worker.work(run, lambda *_: _changes(run.path / "heartbeat"))
    assert threading.active_count() == others


def _changes(path):
    """Wait until a file is touched again."""
    before, deadline = path.stat().st_mtime_ns, time.monotonic() + 10
    while path.stat().st_mtime_ns == before:
        assert time.monotonic() < deadline, f"{path} stayed as it was"
        time.sleep(0.01)


def test_a_full_disk_in_a_stage_is_an_outcome(tmp_path, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    outcome = worker.work(make_run(tmp_path), full)
    assert outcome["status"] == "failed" and "No space left on device" in outcome["error"]
    assert "Traceback" in capsys.readouterr().err


def test_a_cancel_between_two_stages_stops_before_the_next(tmp_path):
    run = make_run(tmp_path)
    outcome = worker.work(run, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    assert outcome["status"] == "cancelled" and list(outcome["stages"]) == ["captions"]
    assert (run.path / "output" / "captions.done").exists()


def test_two_workers_that_look_at_the_same_moment_do_not_both_begin(tmp_path, monkeypatch):
    later = make_run(tmp_path, "r0002")
    held = [hold(later)]
    about_to_begin, go_on = threading.Event(), threading.Event()
    touch = Path.touch

    def slow_touch(path, *arguments, **options):
        if path == later.path / "turn":
            about_to_begin.set()
            assert go_on.wait(10)
        touch(path, *arguments, **options)

    monkeypatch.setattr(Path, "touch", slow_touch)
    ended = threading.Event()
    began = []
    other = threading.Thread(target=lambda: began.append(launch.wait_for_turn(later, stop=ended.is_set)))
    other.start()
    assert about_to_begin.wait(10)
    earlier = make_run(tmp_path, "r0001")  # resumed just now
    held.append(hold(earlier))
    assert launch.wait_for_turn(earlier, stop=lambda: False)
    go_on.set()
    other.join(1.0)
    assert other.is_alive(), "r0002 began although r0001 had"
    os.close(held[1])
    other.join(10)
    assert began == [True]
    os.close(held[0])


def test_turns_go_by_number_and_not_by_name(tmp_path):
    first, second = (make_run(tmp_path, name) for name in ("r9999", "r10000"))
    held = [hold(first), hold(second)]
    looks = iter([False, True])
    assert not launch.wait_for_turn(second, stop=lambda: next(looks))
    looks = iter([False, True])
    assert launch.wait_for_turn(first, stop=lambda: next(looks))
    for descriptor in held:
        os.close(descriptor)


def test_two_runs_at_once_leave_the_third_waiting(tmp_path):
    runs = [make_run(tmp_path, f"r000{number}") for number in range(1, 4)]
    held = [hold(run) for run in runs]
    for run in runs[:2]:
        assert launch.wait_for_turn(run, stop=lambda: False, at_once=2)
    looks = iter([False, True])
    assert not launch.wait_for_turn(runs[2], stop=lambda: next(looks), at_once=2)
    os.close(held[0])
    assert launch.wait_for_turn(runs[2], stop=lambda: False, at_once=2)
    for descriptor in held[1:]:
        os.close(descriptor)


def test_a_killed_worker_frees_its_lock_although_a_forked_child_lives_on(tmp_path):
    run = make_run(tmp_path)
    code = (
        "import os, sys, time; from pathlib import Path; from leaml import worker; from leaml.jobs import RunDir\n"
        "worker.hold_lock(RunDir(Path(sys.argv[1])), None)\n"
        "if not os.fork(): print(os.getpid(), flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, run.path], stdout=subprocess.PIPE, text=True) as process:
        child = int(process.stdout.readline())
        try:
            assert run.alive()
            process.kill()
            process.wait()
            os.kill(child, 0)  # it does live
            assert not run.alive() and run.state().name == "crashed"
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_frozen_worker_is_shown_as_stalled(tmp_path, monkeypatch):
    run = make_run(tmp_path)
    descriptor = hold(run)
    (run.path / "heartbeat").touch()
    assert run.state().name == "queued"
    (run.path / "turn").touch()
    assert run.state().name == "running"
    os.utime(run.path / "heartbeat", (0, time.time() - rundir.STALLED_AFTER_S - 5))
    assert run.state().name == "stalled" and "No sign of life" in run.state().detail
    os.close(descriptor)
    assert run.state().name == "crashed"


def test_time_left_follows_the_pace_of_the_stage(tmp_path):
    run = make_run(tmp_path)
    descriptor = hold(run)
    for name in ("heartbeat", "turn"):
        (run.path / name).touch()
    reporter = worker.Reporter(run)
    reporter.progress("captions", 9, 9)
    assert run.state().seconds_left is None
    _report(run, began=time.time(), steps=range(6))
    assert run.state().seconds_left == pytest.approx(2 * 15)
    os.close(descriptor)


def _report(run, *, began, steps):
    """Report steps that take two seconds each."""
    lines = [
        {"at": began + 2 * n, "stage": "generator", "step": step, "total": 20, "figures": {}}
        for n, step in enumerate(steps)
    ]
    with (run.path / "progress.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def test_a_pause_before_a_resume_is_no_part_of_the_pace(tmp_path):
    run = make_run(tmp_path)
    descriptor = hold(run)
    for name in ("heartbeat", "turn"):
        (run.path / name).touch()
    yesterday, now = time.time() - 86400, time.time()
    _report(run, began=yesterday, steps=range(1, 9))
    assert run.state().seconds_left is None, "nothing is known yet of the new worker's pace"
    _report(run, began=now, steps=range(9, 12))
    assert run.state().seconds_left == pytest.approx(2 * 9)
    os.close(descriptor)


def test_a_line_that_a_full_disk_cut_does_not_hide_the_run(tmp_path):
    run = make_run(tmp_path)
    whole = '{"at": 1.0, "stage": "captions", "step": 1, "total": 2, "figures": {}}'
    (run.path / "progress.jsonl").write_text(f'{whole}\n{{"at": 2.0, "sta{whole}\n{whole}\n')
    assert [line["step"] for line in reports(run.path)] == [1, 1]
    assert run.state().step == 1


def test_the_real_worker_starts_from_any_folder_and_quickly(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    jobs = Jobs(Path("runs"))
    began = time.monotonic()
    name = jobs.submit(CONFIG, lambda path: path.mkdir())
    assert time.monotonic() - began < 1
    state = jobs.wait(name, timeout_s=120)
    assert (state.name, state.detail[:26]) == ("failed", "Cannot read the run's data"), jobs.run(name).log_tail()


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A workspace named by a relative path, with a finished generator's run and a finished model's run."""
    monkeypatch.chdir(tmp_path)
    with Store.open(Path("workspace")) as store:
        kind = QuestionType("place", "Where?", ("left", "right"))
        images = [
            ImageRow(ImageId(f"i{n}"), f"{n}.jpg", f"images/i{n}.jpg", f"g{n}", "test" if n > 2 else "pool", 9, 9)
            for n in range(4)
        ]
        store.import_project(Project("Discs", "", (kind,)), images, references=[pair(3)])
        store.add_label(pair(0), author="ann", seconds=1.0)
        jobs = Jobs(Path("workspace") / "runs")
        for name, config in (("r0001", CONFIG), ("r0002", model_run(FinetuneConfig("lora")).to_json())):
            run = make_run(jobs.runs_dir, name, config)
            freeze(store, run.path / "data")
            write_json(run.path / "outcome.json", {"status": "done", "error": "", "seconds": 1.0, "stages": {}})
        write_rows(jobs.runs_dir / "r0001/output/candidates.parquet", [candidate(1)], type(candidate(1)))
        answer = Prediction(ImageId("i3"), "place", "Where?", kind.options, "left", "left", True, (0.8, 0.2))
        write_rows(jobs.runs_dir / "r0002/output/predictions.parquet", [answer], Prediction)
        (jobs.runs_dir / "r0002/output/model.safetensors").touch()
        yield store, jobs


def test_finished_runs_are_taken_over_once(finished):
    store, jobs = finished
    assert [ingest_finished(store, jobs) for _ in range(2)] == [2, 0]
    assert store.results.candidates() == [candidate(1)] and store.results.round() == 2
    (model,) = store.results.models()
    assert (model.run_id, model.method, model.path) == ("r0002", "lora", "runs/r0002/output/model.safetensors")
    assert (model.labels, model.pairs, len(store.results.predictions(model.run_id))) == (1, 0, 1)


def test_a_model_belongs_to_the_round_that_was_in_use_when_it_was_asked_for(finished):
    store, jobs = finished
    ingest_finished(store, jobs)
    second = dataclasses.replace(candidate(1), id="second", round=2, run_id=RunId("r0009"))
    store.results.add_generator_run(RunId("r0009"), [second])
    for name in ("r0010", "r0011"):
        run = make_run(jobs.runs_dir, name, model_run(FinetuneConfig("leaml")).to_json())
        freeze(store, run.path / "data")
        write_json(run.path / "outcome.json", {"status": "done", "error": "", "seconds": 1.0, "stages": {}})
        if name == "r0010":
            store.rounds.take_back(2, by="ann")
    assert ingest_finished(store, jobs) == 2
    assert {row.run_id: row.round for row in store.results.models()} == {"r0002": 1, "r0010": 2, "r0011": 1}


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_runs_that_did_not_end_well_are_not_taken_over(finished, status):
    store, jobs = finished
    for run in jobs.runs():
        write_json(run.path / "outcome.json", {"status": status, "error": "x", "seconds": 1.0, "stages": {}})
    assert ingest_finished(store, jobs) == 0 and store.results.candidates() == [] and store.results.models() == []


def test_damaged_outputs_are_said_and_taken_over_later(finished):
    store, jobs = finished
    path = jobs.runs_dir / "r0001/output/candidates.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    with pytest.raises(LeamlError, match=r"candidates\.parquet"):
        ingest_finished(store, jobs)
    path.write_bytes(whole)
    assert ingest_finished(store, jobs) >= 1 and store.results.candidates() == [candidate(1)]


def test_no_labels_is_a_sentence(tmp_path):
    from leaml import pipeline

    with Store.open(tmp_path / "workspace") as store:
        store.import_project(Project("x", ""), [ImageRow(ImageId("i0"), "0.jpg", "images/i0.jpg", "g", "pool", 9, 9)])
        run = make_run(store.workspace / "runs")
        freeze(store, run.path / "data")
    context = None

    def stage(name, found):
        nonlocal context
        context = found

    worker.work(run, stage)
    with pytest.raises(TrainingError, match=r"no labels yet\. Label some images first"):
        pipeline.run_stage("importance", context)
