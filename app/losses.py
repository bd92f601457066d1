"""What the loss chart reads of a run's reports: each line once, however often a page looks."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from app.figures import COLOURS
from leaml.jobs.progress import whole_reports

RUNS_KNOWN = 4


class LossLog:
    """The reports of one run that have a loss. One look at a time: the events of the Train screen take turns."""

    def __init__(self, path: Path) -> None:
        """Read this file, from its beginning at the first look."""
        self._path, self._end = path, 0
        self._reports: list[dict[str, Any]] = []

    def reports(self) -> list[dict[str, Any]]:
        """Return them so far; half a line, still being written, waits for the next look."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._end)
                added = file.read()
        except OSError:
            return self._reports
        whole, newline, _ = added.rpartition(b"\n")
        self._end += len(whole) + len(newline)
        self._reports += filter(_has_loss, whole_reports(whole.split(b"\n")))
        return self._reports


@lru_cache(maxsize=RUNS_KNOWN)
def loss_log(path: Path) -> LossLog:
    """Return what is known of a file of reports by now, to be read on."""
    return LossLog(path)


def _has_loss(report: dict[str, Any]) -> bool:
    return any(name in COLOURS for name in report.get("figures", {}))
