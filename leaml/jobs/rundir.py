"""A run's directory, and what can be read from it. Its state is derived on every look, never stored.

`config.json` and `data/` say what to do; the worker holds `lock`, touches `heartbeat`, appends `progress.jsonl`,
leaves files in `output/` and `checkpoints/`, and last writes `outcome.json`. Whoever wants it to stop makes `cancel`.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from leaml.errors import RunError
from leaml.jobs.files import sync, write_json
from leaml.jobs.progress import newest_reports
from leaml.records import RunId

StateName = Literal["queued", "running", "stalled", "done", "failed", "cancelled", "crashed"]

HEARTBEAT_S = 1.0
STALLED_AFTER_S = 60.0
"""A live worker whose heartbeat is older than this is shown as stalled."""
BEFORE_FILE = "seconds_before.json"
PACE_REPORTS = 30
"""So many of the last reports say how fast a stage is."""


@dataclass(frozen=True)
class RunState:
    """How a run is doing at this moment.

    Attributes:
        name: What it is.
        detail: One sentence about it; empty where the name says all.
        stage: The stage that reported last.
        step: Its steps done.
        total: All its steps.
        seconds_left: Of this stage, from its pace so far.
        started_at: Unix seconds of when its turn came, the last time; None while it waits.
        finished_at: Unix seconds of the outcome.
    """

    name: StateName
    detail: str = ""
    stage: str | None = None
    step: int | None = None
    total: int | None = None
    seconds_left: float | None = None
    started_at: float | None = None
    finished_at: float | None = None


class RunDir:
    """One run's directory."""

    def __init__(self, path: Path) -> None:
        """Look at the directory `path`, which exists."""
        self.path = path
        self.id = RunId(path.name)

    @cached_property
    def _config(self) -> dict[str, Any]:
        try:
            value: dict[str, Any] = json.loads((self.path / "config.json").read_text())
        except (OSError, ValueError) as error:
            raise RunError(f"Cannot read the settings of the run {self.id}: {error}. Start a new run.") from error
        if not isinstance(value, dict):
            raise RunError(f"Cannot read the settings of the run {self.id}: they are no JSON object. Start a new run.")
        return value

    def config(self) -> dict[str, Any]:
        """Return the run's settings as JSON values.

        Raises:
            RunError: If they cannot be read.
        """
        return self._config

    def outcome(self) -> dict[str, Any] | None:
        """Return how the run ended (`status`, `error`, `seconds`, `stages`), or None while it has not."""
        try:
            value: dict[str, Any] = json.loads((self.path / "outcome.json").read_text())
        except (OSError, ValueError):
            return None
        return value

    def seconds_before(self) -> float:
        """Return how long the workers before a resume were at the run."""
        try:
            return float((self.path / BEFORE_FILE).read_text())
        except (OSError, ValueError):
            return 0.0

    def keep_seconds(self) -> None:
        """Note how long workers were at the run by now, before its next one begins."""
        outcome = self.outcome()
        if outcome is not None:
            took = float(outcome.get("seconds", 0.0))
        else:  # it was killed: its last sign of life is all there is
            began = self._time_of("turn")
            took = self.seconds_before() + (max(0.0, (self._time_of("heartbeat") or 0.0) - began) if began else 0.0)
        with suppress(OSError):  # on a full disk no more than this figure is lost
            write_json(self.path / BEFORE_FILE, took)

    def seconds_of(self, stage: str) -> float | None:
        """Return how long a stage took; None while it is not done, or where its mark cannot be read: it is done again.

        An older version's mark is empty where the disk was full.
        """
        return self._seconds(f"{stage}.done")

    def seconds_begun(self, stage: str) -> float:
        """Return how long workers were at a stage that they were asked to leave; what killed ones took is not known."""
        return self._seconds(f"{stage}.begun") or 0.0

    def mark_begun(self, stage: str, seconds: float) -> None:
        """Note how long a stage has taken that is left now, to be gone on with."""
        write_json(self._mark(f"{stage}.begun"), seconds)

    def mark_done(self, stage: str, seconds: float) -> None:
        """Note that a stage is done, and how long it took; what it left is on the disk by then."""
        for path in (self.path / "output").iterdir():  # after a power cut, nobody would do it again
            sync(path)
        write_json(self._mark(f"{stage}.done"), seconds)
        self._mark(f"{stage}.begun").unlink(missing_ok=True)

    def _seconds(self, mark: str) -> float | None:
        try:
            return float(self._mark(mark).read_text())
        except (OSError, ValueError):
            return None

    def _mark(self, name: str) -> Path:
        return self.path / "output" / name

    def log_tail(self, lines: int = 20) -> str:
        """Return the end of what the worker printed."""
        try:
            return "\n".join((self.path / "log.txt").read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def request_cancel(self) -> None:
        """Ask the worker to stop after its current step."""
        (self.path / "cancel").touch()

    def cancel_requested(self) -> bool:
        """Tell whether someone asked for that."""
        return (self.path / "cancel").exists()

    def alive(self) -> bool:
        """Tell whether a worker holds the run's lock."""
        return lock_is_held(self.path / "lock")

    def waiting(self) -> bool:
        """Tell whether the live worker waits for its turn."""
        return not (self.path / "turn").exists()

    def state(self) -> RunState:
        """Return how the run is doing."""
        alive = self.alive()  # before the outcome: a worker that ends between two looks must not seem crashed
        outcome = self.outcome()
        name, detail = self._name(alive, outcome)
        reports = newest_reports(self.path / "progress.jsonl")
        newest = list(islice(reports, PACE_REPORTS if name == "running" else 1))
        last, started_at = newest[0] if newest else {}, self._time_of("turn")
        return RunState(
            name=name,
            detail=detail,
            stage=last.get("stage"),
            step=last.get("step"),
            total=last.get("total"),
            seconds_left=_seconds_left(newest, since=started_at or 0.0) if name == "running" else None,
            started_at=started_at,
            finished_at=self._time_of("outcome.json"),
        )

    def _name(self, alive: bool, outcome: dict[str, Any] | None) -> tuple[StateName, str]:
        if alive and outcome is None:
            if self.waiting():
                return "queued", "Waits for the runs before it."
            silent = time.time() - (self._time_of("heartbeat") or time.time())
            if silent > STALLED_AFTER_S:
                return "stalled", f"No sign of life for {silent:.0f} s."
            return "running", "Stops after this step." if self.cancel_requested() else ""
        if outcome is not None:
            return outcome["status"], outcome.get("error") or ""
        return "crashed", (
            "It ended without a word: a power cut, or no memory or no disk space was left "
            f"({shutil.disk_usage(self.path).free / 1e9:.1f} GB are free now). Resume it to go on from its checkpoint; "
            "if that happens again, see what training takes on the Project screen."
        )

    def _time_of(self, name: str) -> float | None:
        try:
            return (self.path / name).stat().st_mtime
        except OSError:
            return None


def _seconds_left(newest: Sequence[dict[str, Any]], *, since: float) -> float | None:
    """Return the pace of the current stage's reports, times what is left of it.

    Args:
        newest: The last reports, the very last one first.
        since: When the worker began. The reports before are another worker's, and a pause lies between.
    """
    same = [report for report in newest if report["stage"] == newest[0]["stage"] and report["at"] >= since]
    done = same[0]["step"] - same[-1]["step"] if same else 0
    if done <= 0:
        return None
    pace = (same[0]["at"] - same[-1]["at"]) / done
    return float(max(0.0, pace * (same[0]["total"] - same[0]["step"])))


def lock_is_held(path: Path) -> bool:
    """Tell whether some process holds the file's lock."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
