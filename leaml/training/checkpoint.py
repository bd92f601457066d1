"""Training checkpoints: written aside, on the disk before they are renamed, so that the newest one is whole.

Disks fail all the same, so that the one before is kept, too, and gone on from where the newest cannot be read.
"""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

from leaml.errors import TrainingError
from leaml.jobs.files import sync

KEPT = 2
STATE_FILE = "state.pt"


def save_checkpoint(directory: Path, step: int, state: dict[str, Any]) -> None:
    """Keep the state after `step` updates, and the checkpoint before it; others are removed.

    Raises:
        TrainingError: If the disk does not take it; the previous checkpoint stays.
    """
    final = directory / f"step_{step:06d}"
    aside = directory / f".{final.name}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        torch.save({"step": step, **state}, aside / STATE_FILE)
        sync(aside / STATE_FILE)
        sync(aside)
        if final.exists():  # it could not be read, or this step would not have been done again
            shutil.rmtree(final)
        aside.rename(final)
        sync(directory)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        shutil.rmtree(aside, ignore_errors=True)
        raise TrainingError(
            f"Cannot save the checkpoint of step {step}: {_reason(error)}. Free some disk space, then resume."
        ) from error
    steps = _steps(directory)
    kept = [other for other in steps if other <= step][-KEPT:]  # a later one is there only if it could not be read
    for other in set(steps) - set(kept):
        shutil.rmtree(directory / f"step_{other:06d}", ignore_errors=True)


def load_checkpoint(directory: Path) -> tuple[int, dict[str, Any]] | None:
    """Return the step and the state of the newest checkpoint that can be read, or None where there is none at all.

    A newer one that cannot be read is named on stderr, which for a run is its log.

    Raises:
        TrainingError: If there are checkpoints, and none can be read.
    """
    failures = []
    for step in reversed(_steps(directory)):
        try:
            state: dict[str, Any] = torch.load(
                directory / f"step_{step:06d}" / STATE_FILE, map_location="cpu", weights_only=True
            )
            found = int(state.pop("step"))
        except Exception as error:  # what a damaged file makes of torch's reader has no common class
            failures.append(f"that of step {step} ({_reason(error)})")
            continue
        if failures:
            print(f"Cannot read {', '.join(failures)} in {directory}. Going on from step {found}.", file=sys.stderr)
        return found, state
    if failures:
        raise TrainingError(f"Cannot read a checkpoint in {directory}: {', '.join(failures)}. Start a new run.")
    return None


def _reason(error: Exception) -> str:
    """Return the first line of what an error says, without its full stop; its name where it says nothing."""
    return (str(error).strip().partition("\n")[0]).rstrip(". ") or type(error).__name__


def _steps(directory: Path) -> list[int]:
    if not directory.is_dir():
        return []
    return sorted(int(match[1]) for path in directory.iterdir() if (match := re.fullmatch(r"step_(\d{6})", path.name)))
