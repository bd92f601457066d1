"""A run's directory, and what can be read from it. Its state is derived on every look, never stored.

`config.json` and `data/` say what to do; the worker holds `lock`, touches `heartbeat`, appends `progress.jsonl`,
leaves files in `output/` and `checkpoints/`, and last writes `outcome.json`. Whoever wants it to stop makes `cancel`.
"""

import fcntl
import json
import os
import shutil
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from leaml.errors import RunError
from leaml.records import RunId

StateName = Literal["queued", "running", "stalled", "done", "failed", "cancelled", "crashed"]

HEARTBEAT_S = 1.0
STALLED_AFTER_S = 60.0
"""A live worker whose heartbeat is older than this is shown as stalled."""


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

    def progress(self) -> list[dict[str, Any]]:
        """Return the reports so far; half a line, still being written or cut by a full disk, is left out."""
        try:
            lines = (self.path / "progress.jsonl").read_text().split("\n")
        except OSError:
            return []
        reports = []
        for line in lines[:-1]:
            try:
                reports.append(json.loads(line))
            except ValueError:  # what is said next matters more than the cut line
                continue
        return reports

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
        last: dict[str, Any] = next(reversed(self.progress()), {})
        name, detail = self._name(alive, outcome)
        return RunState(
            name=name,
            detail=detail,
            stage=last.get("stage"),
            step=last.get("step"),
            total=last.get("total"),
            seconds_left=self._seconds_left() if name == "running" else None,
            started_at=self._time_of("turn"),
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

    def _seconds_left(self) -> float | None:
        """Return the pace of the current stage's reports, times what is left of it."""
        reports = self.progress()
        stage = reports[-1]["stage"] if reports else None
        same = [report for report in reports if report["stage"] == stage][-30:]
        done = same[-1]["step"] - same[0]["step"] if same else 0
        if done <= 0:
            return None
        pace = (same[-1]["at"] - same[0]["at"]) / done
        return float(max(0.0, pace * (same[-1]["total"] - same[-1]["step"])))

    def _time_of(self, name: str) -> float | None:
        try:
            return (self.path / name).stat().st_mtime
        except OSError:
            return None


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


def write_json(path: Path, value: object) -> None:
    """Write a JSON file aside, then rename it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(value, indent=1))
    aside.replace(path)
