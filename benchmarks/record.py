"""The log of all measurements: one long CSV, a line a figure, with the machine and the versions it came from."""

import csv
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
import transformers

from leaml.models.precision import multiplies_bfloat16

RESULTS = Path(__file__).parent / "results.csv"


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes:
        benchmark: Its script, with the settings that matter.
        subject: What was measured.
        metric: What about it.
        unit: Of the values.
        p20: 20th percentile over the repetitions.
        p50: Median.
        p80: 80th percentile.
        repetitions: How many.
    """

    benchmark: str
    subject: str
    metric: str
    unit: str
    p20: float
    p50: float
    p80: float
    repetitions: int

    @classmethod
    def of(cls, benchmark: str, subject: str, metric: str, unit: str, values: Sequence[float]) -> "Figure":
        """Return the figure of repeated measurements."""
        p20, p50, p80 = (float(value) for value in np.percentile(values, (20, 50, 80)))
        return cls(benchmark, subject, metric, unit, p20, p50, p80, len(values))


def machine() -> str:
    """Return the processor, its cores, and the accelerator, if there is one."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    products = "bfloat16" if multiplies_bfloat16("cpu") else "float32"
    return f"{model} ({products} products), {os.cpu_count()} cores, {torch.get_num_threads()} threads"


def versions() -> str:
    """Return the versions that figures depend on."""
    return f"python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"


def append(figures: Iterable[Figure], path: Path = RESULTS) -> None:
    """Add figures to the log."""
    stamp = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine(), "versions": versions()}
    rows = [{**asdict(figure), **stamp} for figure in figures]
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)
