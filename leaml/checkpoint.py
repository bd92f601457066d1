"""Training checkpoints: written aside, then renamed, so that the newest one is always whole."""

import re
import shutil
from pathlib import Path
from typing import Any

import torch

from leaml.errors import TrainingError

KEPT = 2
STATE_FILE = "state.pt"


def save_checkpoint(directory: Path, step: int, state: dict[str, Any]) -> None:
    """Keep the state after `step` updates; older checkpoints than the last two are removed.

    Raises:
        TrainingError: If the disk does not take it; the previous checkpoint stays.
    """
    final = directory / f"step_{step:06d}"
    aside = directory / f".{final.name}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        torch.save({"step": step, **state}, aside / STATE_FILE)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        shutil.rmtree(aside, ignore_errors=True)
        raise TrainingError(
            f"Cannot save the checkpoint of step {step}: {error}. Free some disk space, then resume."
        ) from error
    if final.exists():
        shutil.rmtree(final)
    aside.rename(final)
    for old in _steps(directory)[:-KEPT]:
        shutil.rmtree(directory / f"step_{old:06d}", ignore_errors=True)


def load_checkpoint(directory: Path) -> tuple[int, dict[str, Any]] | None:
    """Return the newest checkpoint's step and state, or None where there is none.

    Raises:
        TrainingError: If it cannot be read.
    """
    steps = _steps(directory)
    if not steps:
        return None
    path = directory / f"step_{steps[-1]:06d}" / STATE_FILE
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError) as error:
        raise TrainingError(f"Cannot read the checkpoint {path.parent.name}: {error}. Start a new run.") from error
    return int(state.pop("step")), state


def _steps(directory: Path) -> list[int]:
    if not directory.is_dir():
        return []
    return sorted(int(match[1]) for path in directory.iterdir() if (match := re.fullmatch(r"step_(\d{6})", path.name)))
