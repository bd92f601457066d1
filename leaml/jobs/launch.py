"""Starts, resumes, cancels and lists runs as processes of their own on this computer.

A worker gets its own session and an inherited, locked descriptor: it outlives whoever started it, and its lock is
free exactly when it has ended, however it ended.
"""

import fcntl
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leaml.errors import RunError
from leaml.jobs.environment import worker_environment
from leaml.jobs.files import write_json
from leaml.jobs.rundir import RunDir, RunState, lock_is_held
from leaml.records import RunId

POLL_S = 0.2
ENDING_S = 20.0
"""Longest time that a worker may take to end after its outcome."""
RUN_NAME = re.compile("r[0-9]+")
COUNTER = ".last_number"
"""The highest number that was ever given, in the folder of the runs. Were a deleted run's name given again, the new
run's results would count as taken over already. The dot keeps it from whoever makes room with `rm -r runs/*`."""
UNFINISHED = ("queued", "running", "stalled")
WORKER = (sys.executable, "-m", "leaml.worker")
"""A worker's command, without the run's folder."""


class Jobs:
    """The runs of one workspace. Any number of processes may look at them and start them."""

    def __init__(self, runs_dir: Path, *, at_once: int = 1, after: int = 0) -> None:
        """Use the folder `runs_dir`, made where there is none.

        Args:
            runs_dir: Holds a folder for each run.
            at_once: How many of the runs that are started here may compute beside each other or earlier ones, each on
                its share of the cores.
            after: New runs get higher numbers than this: the highest that the workspace has taken over results of
                (`highest_number`), in case the folder was lost.
        """
        self._at_once = at_once
        self._last = after
        self.runs_dir = runs_dir
        runs_dir.mkdir(parents=True, exist_ok=True)

    def submit(
        self,
        config: dict[str, Any],
        write_data: Callable[[Path], None],
        write_output: Callable[[Path], None] | None = None,
    ) -> RunId:
        """Make a run's directory and start its worker, which waits for its turn; return its name.

        Args:
            config: `leaml.config.RunConfig` as JSON values.
            write_data: Writes the run's snapshot into the directory it is given.
            write_output: Writes what finished stages of another run left, where this one goes on from there.

        Raises:
            LeamlError: If the snapshot cannot be written; then there is no run.
            RunError: If the directory or the process cannot be made.
        """
        path = self._new_directory()
        try:
            write_data(path / "data")
            for name in ("output", "checkpoints"):
                (path / name).mkdir()
            if write_output is not None:
                write_output(path / "output")
            write_json(path / "config.json", config)
            self._start(RunDir(path))
        except OSError as error:
            shutil.rmtree(path, ignore_errors=True)
            raise RunError(f"Cannot start a run: {error}. Nothing was started.") from error
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise
        return RunId(path.name)

    def resume(self, run_id: RunId) -> None:
        """Start a stopped run's worker again; it goes on where it was.

        Raises:
            RunError: If the run is done or still going.
        """
        run = self.run(run_id)
        state = run.state().name
        if state == "done" or state in UNFINISHED:
            raise RunError(f"The run {run_id} is {state}, so there is nothing to resume.")
        self.wait_for_end(run)  # a worker that has written its outcome still takes a moment to end
        run.keep_seconds()
        for name in ("cancel", "outcome.json", "turn"):
            (run.path / name).unlink(missing_ok=True)
        self._start(run)

    def cancel(self, run_id: RunId) -> None:
        """Ask a run to stop after its current step; its state is saved.

        Raises:
            RunError: If it has ended already.
        """
        run = self.run(run_id)
        state = run.state().name
        if state not in UNFINISHED:
            raise RunError(f"The run {run_id} has ended already ({state}), so there is nothing to cancel.")
        run.request_cancel()

    def run(self, run_id: RunId) -> RunDir:
        """Return one run.

        Raises:
            RunError: If there is none of this name.
        """
        path = self.runs_dir / run_id
        if Path(run_id).name != run_id or not (path / "config.json").is_file():
            raise RunError(f"There is no run {run_id!r} in {self.runs_dir}. `runs` lists those there are.")
        return RunDir(path)

    def runs(self) -> list[RunDir]:
        """Return all runs, newest first."""
        paths = (path for path in self._folders() if (path / "config.json").is_file())
        return [RunDir(path) for path in sorted(paths, key=_place, reverse=True)]

    def wait(
        self, run_id: RunId, *, on_progress: Callable[[RunState], None] | None = None, timeout_s: float | None = None
    ) -> RunState:
        """Wait for a run's end and return its state.

        Raises:
            RunError: If it takes longer than `timeout_s`.
        """
        run, began = self.run(run_id), time.monotonic()
        while (state := run.state()).name in UNFINISHED:
            if on_progress is not None:
                on_progress(state)
            if timeout_s is not None and time.monotonic() - began > timeout_s:
                raise RunError(f"The run {run_id} is still {state.name} after {timeout_s:.0f} s.")
            time.sleep(POLL_S)
        if on_progress is not None:
            on_progress(state)
        return state

    def _folders(self) -> list[Path]:
        """Return what has a run's name; a copy such as `r0001_backup`, which a person may leave here, is no run."""
        return [path for path in self.runs_dir.iterdir() if RUN_NAME.fullmatch(path.name)]

    def _new_directory(self) -> Path:
        """Return a new directory with the next number; no run of the workspace has had it, deleted ones included."""
        counter = self.runs_dir / COUNTER
        try:
            with _locked(counter.with_name(f"{COUNTER}.lock")):
                there = highest_number(path.name for path in self._folders())
                self._last = 1 + max(self._last, there, _number_in(counter))
                write_json(counter, self._last)  # before the folder: a number may be lost, but not be given twice
                path = self.runs_dir / f"r{self._last:04d}"
                path.mkdir()
        except OSError as error:
            raise RunError(f"Cannot make a folder for the run: {error}. Nothing was started.") from error
        return path

    def wait_for_end(self, run: RunDir) -> None:
        """Wait until the worker of a run that has its outcome is gone.

        Raises:
            RunError: If it takes unusually long.
        """
        deadline = time.monotonic() + ENDING_S
        while run.alive():
            if time.monotonic() > deadline:
                raise RunError(f"The last worker of {run.id} has not ended yet. Try again in a moment.")
            time.sleep(POLL_S)

    def _start(self, run: RunDir) -> None:
        lock = os.open(run.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise RunError(f"The run {run.id} has a worker already.") from None
        try:
            with (run.path / "log.txt").open("a") as log:
                subprocess.Popen(
                    [*WORKER, str(run.path), "--lock", str(lock), "--at-once", str(self._at_once)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=[lock],
                    env={**worker_environment(self._at_once), "PYTHONPATH": _python_path()},
                )
        finally:
            os.close(lock)  # the worker's copy keeps the lock


def highest_number(run_ids: Iterable[str]) -> int:
    """Return the highest number among the names of runs; 0 where there is none. Other names do not count."""
    return max((int(name[1:]) for name in run_ids if RUN_NAME.fullmatch(name)), default=0)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Have a block to oneself, among threads and processes."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _number_in(counter: Path) -> int:
    """Return the number in a file; 0 where there is none: the folders, and what was taken over, say it as well."""
    try:
        return int(counter.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _python_path() -> str:
    """Return a search path on which the worker finds this library, from whatever folder the app was started."""
    library = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(part for part in (library, os.environ.get("PYTHONPATH")) if part)


def wait_for_turn(run: RunDir, *, stop: Callable[[], bool], at_once: int = 1) -> bool:
    """Wait until fewer than `at_once` earlier runs of this workspace are alive; return False if `stop` says so first.

    First in, first out, by the runs' numbers. A resumed run keeps its number, and so its place.
    """
    turn = run.path / "turn"
    while not stop():
        if _others(run, _goes_first) < at_once:
            turn.touch()
            # Several workers may have looked at the same moment. Each shows its turn before it looks again, so too
            # many of them see each other and step back; the lower numbers then go first.
            if _others(run, _has_the_turn) < at_once:
                return True
            turn.unlink(missing_ok=True)
        time.sleep(POLL_S)
    return False


def _others(run: RunDir, stands_in_the_way: Callable[[Path, Path], bool]) -> int:
    """Return how many other live runs stand in this one's way."""
    others = (path for path in run.path.parent.glob("r*") if path != run.path)
    return sum(stands_in_the_way(other, run.path) and lock_is_held(other / "lock") for other in others)


def _goes_first(other: Path, mine: Path) -> bool:
    return _place(other) < _place(mine) or _has_the_turn(other, mine)


def _has_the_turn(other: Path, _: Path) -> bool:
    return (other / "turn").exists()


def _place(path: Path) -> tuple[float, str]:
    """Return what runs are put in order by: their numbers. A copy that somebody starts by hand comes after them."""
    return (int(path.name[1:]) if RUN_NAME.fullmatch(path.name) else math.inf), path.name
