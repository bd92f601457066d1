"""How much of its data a training reads: the steps that its passes take, and what it left unread."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leaml.config import TrainConfig
from leaml.jobs.files import write_json

READ_FILE = "read.json"
"""How many of the samples each training of a run has read, in the run's output."""


@dataclass(frozen=True)
class Side:
    """Samples of one kind, which have a set number of places in each batch.

    Attributes:
        what: They are, in the plural.
        count: How many there are.
        a_step: How many a batch holds.
    """

    what: str
    count: int
    a_step: int


def generator_sides(train: TrainConfig, *, questions: int, captions: int) -> list[Side]:
    """Return the sides of a generator's batches: half of each are captions, where there are any."""
    half = train.batch_size // 2 if captions else train.batch_size
    return [Side("questions", questions, half), Side("captions", captions, train.batch_size - half)]


def for_passes(train: TrainConfig, sides: Sequence[Side]) -> TrainConfig:
    """Return the settings with as many steps as the passes over the larger side take, never fewer than they say."""
    if train.passes is None:
        return train
    needed = [math.ceil(train.passes * side.count / side.a_step) for side in sides if side.count]
    return replace(train, steps=max([train.steps, *needed]))


def tell_read(output: Path, stage: str, train: TrainConfig, sides: Sequence[Side]) -> None:
    """Note beside what a training left how many of its samples it has read."""
    path = output / READ_FILE
    said = json.loads(path.read_text()) if path.exists() else {}
    rows = [
        {"what": side.what, "read": min(side.count, train.steps * side.a_step), "there": side.count} for side in sides
    ]
    write_json(path, {**said, stage: rows})


def unread(output: Path) -> list[str]:
    """Return a sentence for each kind of samples that a run's trainings have not read all of, where that is known."""
    path = output / READ_FILE
    said = json.loads(path.read_text()) if path.exists() else {}
    return [
        f"Training ({stage}) read {row['read']:,} of {row['there']:,} {row['what']}: --steps sets how long it is."
        for stage, rows in said.items()
        for row in rows
        if row["read"] < row["there"]
    ]
