"""Runs put in place by hand, without a worker, for tests of what the app shows of them."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leaml.config import RunConfig
from leaml.jobs.progress import whole_reports


def put_run(
    workspace: Path, run_id: str, config: RunConfig, *, losses: Sequence[float] = (), done: bool = True
) -> Path:
    """Put a run's directory into a workspace; `losses` are those of the answers in fine-tuning."""
    folder = workspace / "runs" / run_id
    (folder / "output").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config.to_json()))
    (folder / "progress.jsonl").write_text("".join(line(step, loss) for step, loss in enumerate(losses, 1)))
    if done:
        outcome: dict[str, Any] = {"status": "done", "error": "", "seconds": 1.0, "stages": {}}
        (folder / "outcome.json").write_text(json.dumps(outcome))
    return folder


def reports(folder: Path) -> list[dict[str, Any]]:
    """Return all that a run has reported so far, the first first; half a line is left out."""
    file = folder / "progress.jsonl"
    return list(whole_reports(file.read_bytes().split(b"\n"))) if file.exists() else []


def line(step: int, loss: float) -> str:
    """Return a line of a run's progress."""
    figures = {"answer_loss": loss}
    return json.dumps({"at": 0.0, "stage": "finetune", "step": step, "total": 60, "figures": figures}) + "\n"


@contextmanager
def worked_on(folder: Path) -> Iterator[None]:
    """Hold a run's lock, as its worker does while it waits or works."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)
