"""What a run and its stages say to each other: how far they are, and that they should stop."""

from typing import Protocol


class Cancelled(Exception):
    """The run was asked to stop, and has saved its state."""


class Report(Protocol):
    """Where a stage says how far it is, and hears that it should stop."""

    def progress(self, stage: str, step: int, total: int, **figures: float) -> None:
        """Record one step."""

    def cancelled(self) -> bool:
        """Tell whether the run should stop."""
