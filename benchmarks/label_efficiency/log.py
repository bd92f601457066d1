"""The log of a study: one CSV line a trained and tested model, with each test answer right or wrong.

The answers are kept as hexadecimal digits, one bit a test question in the collection's order, so that differences
between methods can be computed from the log alone.
"""

import csv
import fcntl
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RUNS = Path(__file__).parent / "runs.csv"


@dataclass(frozen=True)
class Run:
    """One line of the log.

    Attributes:
        collection: Its name.
        share: Of the pool's questions that are drawn as labels.
        labels: That the method was trained on: those drawn, all or none.
        draw: Number of the draw of labels.
        seed: Of training and sampling.
        method: Its name.
        budget: Steps of generator, judge and model, and samples an image.
        model: The base model's weights, the first digits of their hash.
        macro: Mean accuracy over question types.
        majority: That of each type's most frequent label.
        pairs: Pseudo pairs trained on.
        precision: Share of the unreviewed ones that were right; empty where there were none.
        reviewed: Decisions of the expert.
        seconds: Of all stages that the method needs; empty where the run was halted meanwhile, or its generator's were
            counted twice (until 2026-11-30, where the method made it).
        right: Bits of the test answers, hexadecimal.
        machine: Processor and threads.
        at: UTC time.
    """

    collection: str
    share: float
    labels: int
    draw: int
    seed: int
    method: str
    budget: str
    model: str
    macro: float
    majority: float
    pairs: int
    precision: float | None
    reviewed: int
    seconds: float | None
    right: str
    machine: str
    at: str

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes this run the one that it is."""
        return (self.collection, self.share, self.draw, self.seed, self.method, self.budget, self.model)


def pack(right: Sequence[bool]) -> str:
    """Return answers as hexadecimal digits; the last byte is filled with zeros."""
    return np.packbits(np.array(right, dtype=bool)).tobytes().hex()


def unpack(text: str, count: int) -> NDArray[np.bool_]:
    """Return the first `count` answers of what `pack` wrote."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8), count=count).astype(bool)


def append(run: Run, path: Path) -> None:
    """Add one line; several processes may do so at once."""
    with path.open("a+", newline="", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0, io.SEEK_END)
        writer = csv.DictWriter(file, [field.name for field in fields(Run)], lineterminator="\n")
        if file.tell() == 0:
            writer.writeheader()
        writer.writerow(asdict(run))


def read(path: Path) -> list[Run]:
    """Return all runs; none where there is no log yet."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [_run(line) for line in csv.DictReader(file)]


def _run(line: dict[str, str]) -> Run:
    values: dict[str, Any] = dict(line)
    for name in ("labels", "draw", "seed", "pairs", "reviewed"):
        values[name] = int(line[name])
    for name in ("share", "macro", "majority"):
        values[name] = float(line[name])
    for name in ("precision", "seconds"):
        values[name] = float(line[name]) if line[name] else None
    return Run(**values)
