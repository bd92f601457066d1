"""`python -m leaml.worker RUN_DIR`: does a run's stages, one after the other, and writes how it ended.

The only place that joins the stages to background runs. Stages that are done are not done again; the others go on
from their checkpoints.
"""

import argparse
import fcntl
import json
import os
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaml.errors import LeamlError
from leaml.jobs.files import write_json
from leaml.jobs.launch import wait_for_turn
from leaml.jobs.rundir import HEARTBEAT_S, RunDir
from leaml.report import Cancelled

if TYPE_CHECKING:
    from leaml.stage_context import StageContext

Stage = Callable[[str, "StageContext"], None]


class Reporter:
    """Appends progress to the run's directory, and looks whether the run should stop."""

    def __init__(self, run: RunDir) -> None:
        """Report for one run; SIGTERM counts as a wish to stop."""
        self._run = run
        self._file = (run.path / "progress.jsonl").open("a", buffering=1)
        signal.signal(signal.SIGTERM, lambda *_: run.request_cancel())

    def progress(self, stage: str, step: int, total: int, **figures: float) -> None:
        """Append one line."""
        line = {"at": time.time(), "stage": stage, "step": step, "total": total, "figures": figures}
        self._file.write(json.dumps(line) + "\n")

    def cancelled(self) -> bool:
        """Tell whether the run should stop."""
        return self._run.cancel_requested()


def work(run: RunDir, run_stage: Stage | None = None, *, at_once: int = 1) -> dict[str, Any]:
    """Do the run's stages when its turn comes; return and write its outcome.

    Args:
        run: Its lock is held by this process.
        run_stage: Does one stage; `leaml.pipeline.run_stage` unless given.
        at_once: How many runs may compute at once, this one among them.
    """
    with _beating(run.path / "heartbeat"):
        outcome = _outcome(run, Reporter(run), run_stage, at_once)
        write_json(run.path / "outcome.json", outcome)
        if outcome["status"] == "done":  # nobody goes on from them, and of a large model they are the largest files
            shutil.rmtree(run.path / "checkpoints", ignore_errors=True)
    return outcome


def _outcome(run: RunDir, reporter: Reporter, run_stage: Stage | None, at_once: int) -> dict[str, Any]:
    began: float | None = None
    stages: dict[str, float] = {}
    try:
        status = "done" if wait_for_turn(run, stop=reporter.cancelled, at_once=at_once) else "cancelled"
        if status == "done":
            began = time.monotonic()
            status = _do_stages(run, reporter, run_stage, stages)
        error = ""
    except LeamlError as failure:
        status, error = "failed", str(failure)
        traceback.print_exc()
    except Exception as failure:  # the one broad except: whatever breaks, the run says so
        status, error = "failed", f"{type(failure).__name__}: {failure}. The rest is in {run.path / 'log.txt'}."
        traceback.print_exc()
    took = time.monotonic() - began if began is not None else 0.0
    return {"status": status, "error": error, "seconds": run.seconds_before() + took, "stages": stages}


def _do_stages(run: RunDir, reporter: Reporter, run_stage: Stage | None, seconds: dict[str, float]) -> str:
    # Imported only when the turn has come: torch is large, and a queue may be long.
    from leaml import pipeline
    from leaml.config import RunConfig
    from leaml.stage_context import StageContext

    context = StageContext(
        config=RunConfig.from_json(run.config()),
        snapshot_dir=run.path / "data",
        output=run.path / "output",
        checkpoints=run.path / "checkpoints",
        cache=run.path.parent.parent / "cache",
        report=reporter,
    )
    for stage in context.config.stages:
        if (took := run.seconds_of(stage)) is not None:
            seconds[stage] = took
            continue
        began = time.monotonic() - run.seconds_begun(stage)
        try:
            (run_stage or pipeline.run_stage)(stage, context)
        except Cancelled:
            run.mark_begun(stage, time.monotonic() - began)
            return "cancelled"
        took = time.monotonic() - began
        run.mark_done(stage, took)
        seconds[stage] = took
        if reporter.cancelled() and stage != context.config.stages[-1]:
            return "cancelled"
    return "done"


@contextmanager
def _beating(path: Path) -> Iterator[None]:
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(HEARTBEAT_S):
            path.touch()

    path.touch()
    heart = threading.Thread(target=beat, daemon=True)
    heart.start()
    try:
        yield
    finally:
        ended.set()
        heart.join()


def hold_lock(run: RunDir, descriptor: int | None) -> None:
    """Keep the run's lock: the inherited one, or one taken here when the worker is started by hand.

    Raises:
        BlockingIOError: If another worker holds it.
    """
    if descriptor is None:
        descriptor = os.open(run.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.set_inheritable(descriptor, False)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)  # for whoever wonders which process this is
    held = descriptor
    # A forked child would keep the lock alive after this process has been killed.
    os.register_at_fork(after_in_child=lambda: os.close(held))


def main() -> int:
    """Run as a program; return 0 if the run is done, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m leaml.worker", description=__doc__)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--lock", type=int, help="inherited descriptor that holds the run's lock")
    parser.add_argument("--at-once", type=int, default=1, help="how many runs may compute at once [%(default)s]")
    arguments = parser.parse_args()
    run = RunDir(arguments.run_dir.absolute())  # where the runs are a link to another disk, the cache is not there
    hold_lock(run, arguments.lock)
    return 0 if work(run, at_once=arguments.at_once)["status"] == "done" else 1


if __name__ == "__main__":
    raise SystemExit(main())
