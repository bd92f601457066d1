"""The run-directory protocol with real processes: states, queue, cancel, resume, and kills."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from leaml.config import GeneratorConfig, generator_run
from leaml.errors import RunError, SnapshotError
from leaml.jobs import Jobs, RunDir, highest_number
from leaml.jobs.progress import BLOCK, newest_reports
from tests.runs import reports

STAGES = ("captions", "importance", "generator")
WORKER = """
import sys, time, types
from pathlib import Path
import leaml
# In place of the real stages, which load torch for seconds: these tests are about the protocol.
leaml.pipeline = sys.modules["leaml.pipeline"] = types.ModuleType("leaml.pipeline")
from leaml import worker
from leaml.errors import TrainingError
from leaml.jobs import RunDir
from leaml.report import Cancelled

def stage(name, context):
    behaviour = (context.output.parent / "data").read_text()
    counter = context.output / "count"
    start = int(counter.read_text()) if counter.exists() else 0
    for step in range(start, 10):
        context.report.progress(name, step + 1, 10)
        counter.write_text(str(step + 1))
        if name == "importance" and behaviour == "fail":
            raise TrainingError("The loss is gone. Do something.")
        if name == "importance" and behaviour == "break":
            raise ZeroDivisionError("oops")
        time.sleep(0.3 if behaviour == "slow" else 0.001)
        if context.report.cancelled():
            raise Cancelled
    counter.unlink()

run = RunDir(Path(sys.argv[1]))
worker.hold_lock(run, int(sys.argv[3]))
worker.work(run, stage, at_once=int(sys.argv[5]))
"""


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Jobs whose worker is the real one, with stages that only count."""
    program = tmp_path / "counting_worker.py"
    program.write_text(WORKER)
    monkeypatch.setattr("leaml.jobs.launch.WORKER", (sys.executable, str(program)))
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    found = Jobs(tmp_path / "runs")
    yield found
    for run in found.runs():
        run.request_cancel()
    for run in found.runs():
        found.wait(run.id, timeout_s=30)


def submit(jobs, behaviour="quick"):
    config = generator_run(GeneratorConfig(), until="generator").to_json()
    return jobs.submit(config, lambda path: path.write_text(behaviour))


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def worker_pid(run):
    """Return the process that holds the run's lock."""
    return int((run.path / "lock").read_text())


def test_a_run_does_its_stages_and_says_so(jobs):
    seen = []
    state = jobs.wait(submit(jobs), on_progress=seen.append, timeout_s=60)
    assert (state.name, state.stage, state.step, state.total) == ("done", "generator", 10, 10)
    outcome = jobs.run("r0001").outcome()
    assert tuple(outcome["stages"]) == STAGES and outcome["error"] == ""
    assert [line["step"] for line in reports(jobs.run("r0001").path)] == [*range(1, 11)] * 3


def test_runs_take_turns_in_order(jobs):
    names = [submit(jobs, "slow"), submit(jobs), submit(jobs)]
    wait_for(lambda: jobs.run(names[0]).state().name == "running")
    assert [jobs.run(name).state().name for name in names[1:]] == ["queued", "queued"]
    assert [jobs.run(name).state().started_at for name in names[1:]] == [None, None]
    jobs.cancel(names[1])
    assert jobs.wait(names[1], timeout_s=30).name == "cancelled"
    jobs.cancel(names[0])
    ended = [jobs.wait(name, timeout_s=60) for name in (names[0], names[2])]
    assert [state.name for state in ended] == ["cancelled", "done"]
    assert not reports(jobs.run(names[1]).path)
    first, last = ended
    assert last.started_at >= first.finished_at - 0.1 and jobs.run(names[1]).outcome()["seconds"] == 0
    assert jobs.run(names[2]).outcome()["seconds"] <= last.finished_at - last.started_at + 0.1, "waiting is not counted"


def test_cancel_saves_and_resume_goes_on(jobs):
    name = submit(jobs, "slow")
    run = jobs.run(name)
    wait_for(lambda: len(reports(run.path)) >= 3)
    with pytest.raises(RunError, match="is running, so there is nothing to resume"):
        jobs.resume(name)
    jobs.cancel(name)
    assert jobs.wait(name, timeout_s=30).name == "cancelled"
    done = reports(run.path)[-1]["step"]
    before = run.outcome()["seconds"]
    (run.path / "data").write_text("quick")
    jobs.resume(name)
    assert jobs.wait(name, timeout_s=60).name == "done"
    assert reports(run.path)[done]["step"] == done + 1
    assert run.outcome()["seconds"] > before >= 0.6, "both workers' time"
    for action in (jobs.cancel, jobs.resume):
        with pytest.raises(RunError, match="r0001"):
            action(name)


def test_kill_9_is_a_crash_and_resume_goes_on(jobs):
    name = submit(jobs, "slow")
    run = jobs.run(name)
    wait_for(lambda: len(reports(run.path)) >= 3)
    os.kill(worker_pid(run), signal.SIGKILL)
    wait_for(lambda: run.state().name == "crashed")
    assert "Resume it" in run.state().detail
    os.utime(run.path / "turn", (run.path.stat().st_atime, (run.path / "heartbeat").stat().st_mtime - 100))
    (run.path / "data").write_text("quick")
    jobs.resume(name)
    assert jobs.wait(name, timeout_s=60).name == "done"
    assert run.outcome()["seconds"] > 100, "from its turn to its last sign of life"


@pytest.mark.parametrize(
    ("behaviour", "sentence"), [("fail", "The loss is gone. Do something."), ("break", "ZeroDivisionError: oops")]
)
def test_a_failing_stage_is_told_and_the_rest_is_in_the_log(jobs, behaviour, sentence):
    state = jobs.wait(submit(jobs, behaviour), timeout_s=60)
    assert state.name == "failed" and state.detail.startswith(sentence)
    assert "Traceback" in jobs.run("r0001").log_tail(50)
    (jobs.run("r0001").path / "data").write_text("quick")
    jobs.resume("r0001")
    assert jobs.wait("r0001", timeout_s=60).name == "done"
    assert sum(line["stage"] == "captions" for line in reports(jobs.run("r0001").path)) == 10, "done stages run once"


def test_two_runs_at_once_share_the_cores(jobs, monkeypatch):
    monkeypatch.setattr("leaml.jobs.environment.cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    beside, given, popen = Jobs(jobs.runs_dir, at_once=2), [], subprocess.Popen
    monkeypatch.setattr(
        "leaml.jobs.launch.subprocess.Popen",
        lambda command, env, **options: given.append(env) or popen(command, env=env, **options),
    )
    names = [submit(beside, "slow") for _ in range(3)]
    wait_for(lambda: [jobs.run(name).state().name for name in names] == ["running", "running", "queued"])
    submit(jobs)
    assert [env.get("OMP_NUM_THREADS") for env in given] == ["4", "4", "4", None]
    jobs.cancel(names[0])
    wait_for(lambda: jobs.run(names[2]).state().name == "running")


def test_a_run_outlives_who_started_it(jobs, tmp_path):
    name = submit(jobs, "slow")  # makes the directory as the app would
    jobs.cancel(name)
    jobs.wait(name, timeout_s=30)
    code = (
        "import sys, time; from pathlib import Path; import leaml.jobs.launch as launch\n"
        f"launch.WORKER = (sys.executable, {str(tmp_path / 'counting_worker.py')!r})\n"
        f"launch.Jobs(Path({str(jobs.runs_dir)!r})).resume({name!r}); print('started', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout.readline() == "started\n"
        wait_for(lambda: jobs.run(name).state().name == "running")
        app.kill()
    assert jobs.run(name).state().name == "running"
    (jobs.run(name).path / "data").write_text("quick")
    assert jobs.wait(name, timeout_s=60).name == "done"


def test_what_cannot_be_written_leaves_no_run(jobs, monkeypatch):
    def refuse(_):
        raise SnapshotError("No images yet.")

    with pytest.raises(SnapshotError):
        jobs.submit({}, refuse)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("leaml.jobs.launch.write_json", full)
    with pytest.raises(RunError, match=r"No space left on device\. Nothing was started"):
        submit(jobs)
    assert list(jobs.runs_dir.glob("[!.]*")) == []


def test_a_copy_of_a_run_is_no_run_and_takes_no_number(jobs):
    assert jobs.wait(submit(jobs), timeout_s=60).name == "done"
    for name in ("r0001_backup", "r0007 old"):
        shutil.copytree(jobs.runs_dir / "r0001", jobs.runs_dir / name)
    assert submit(jobs) == "r0002"
    assert [run.id for run in jobs.runs()] == ["r0002", "r0001"]


def refused(jobs):
    """Take a number for a run that does not come about; return it."""
    taken = []

    def refuse(data):
        taken.append(data.parent.name)
        raise SnapshotError("No images yet.")

    with pytest.raises(SnapshotError):
        jobs.submit({}, refuse)
    return taken[0]


def test_the_number_of_a_deleted_run_is_not_given_again(jobs):
    for name in ("r0001", "r0002"):
        assert submit(Jobs(jobs.runs_dir)) == name
        assert jobs.wait(name, timeout_s=60).name == "done"
        jobs.wait_for_end(jobs.run(name))
        shutil.rmtree(jobs.runs_dir / name)
    assert refused(jobs) == "r0003"


def test_a_workspace_without_its_runs_counts_on_from_what_was_taken_over(tmp_path):
    known = highest_number(["r0002", "r0011", "r0007", "r0012_backup", "imported"])
    restored = Jobs(tmp_path / "runs", after=known)
    assert [refused(restored), refused(Jobs(tmp_path / "runs"))] == ["r0012", "r0013"]
    (tmp_path / "runs/.last_number").write_text("")  # damaged by hand
    assert refused(restored) == "r0013"
    assert highest_number([]) == 0


def test_many_at_once_get_numbers_of_their_own_although_none_of_their_folders_stays(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        names = list(threads.map(lambda _: refused(Jobs(tmp_path / "runs")), range(24)))
    assert sorted(names) == [f"r{number:04d}" for number in range(1, 25)]


def test_a_disk_that_does_not_take_the_number_is_said(tmp_path):
    jobs = Jobs(tmp_path / "runs")
    (jobs.runs_dir / ".last_number").mkdir()
    with pytest.raises(RunError, match=r"Cannot make a folder for the run: .*Nothing was started"):
        submit(jobs)
    assert jobs.runs() == []


def test_after_9999_runs_are_in_order_too(tmp_path):
    for name in ("r9999", "r10000", "r0002"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    jobs = Jobs(tmp_path)
    assert [run.id for run in jobs.runs()] == ["r10000", "r9999", "r0002"]
    assert refused(jobs) == "r10001"


@pytest.mark.parametrize("filling", ["", "x" * (BLOCK - 100), "x" * 3 * BLOCK])
def test_reports_are_read_from_the_end_whatever_their_length(tmp_path, filling):
    path, said = tmp_path / "progress.jsonl", [{"step": step, "filling": filling} for step in range(300)]
    path.write_text("".join(json.dumps(line) + "\n" for line in said) + '{"step": 300, "tot')
    assert list(newest_reports(path)) == said[::-1] == reports(tmp_path)[::-1]
    assert list(newest_reports(tmp_path / "missing")) == []


def test_a_look_at_a_run_reads_the_end_of_its_reports_only(tmp_path, monkeypatch):
    line = '{"at": 1.0, "stage": "captions", "step": %d, "total": 20000, "figures": {}}\n'
    (tmp_path / "progress.jsonl").write_text("".join(line % step for step in range(20_000)))
    read, loads = [], json.loads
    monkeypatch.setattr("leaml.jobs.progress.json.loads", lambda text: read.append(text) or loads(text))
    assert RunDir(tmp_path).state().step == 19_999
    assert len(read) < 5


def test_half_a_line_of_progress_is_left_out(tmp_path):
    (tmp_path / "progress.jsonl").write_text(json.dumps({"step": 1}) + '\n{"step": 2, "tot')
    assert reports(tmp_path) == [{"step": 1}]


def test_unknown_runs_are_said(jobs):
    for name in ("r0042", "../elsewhere"):
        with pytest.raises(RunError, match="There is no run"):
            jobs.run(name)
