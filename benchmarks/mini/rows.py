"""One measured figure with its interval and what it has to be seen beside, and the intervals themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from leaml.records import Interval
from leaml.stats import wilson

RESAMPLES = 2000
SEED = 20250


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        part: The part of the benchmark that measured it.
        subject: What was measured.
        metric: What about it.
        unit: Of the value.
        value: The estimate.
        count: Questions, images or repetitions behind it.
        low: Lower end of the 95% interval; for times the 20th percentile.
        high: Upper end, or the 80th percentile.
        beside: Figures that the value has to be read with, such as chance and the majority answer.
    """

    part: str
    subject: str
    metric: str
    unit: str
    value: float
    count: int
    low: float | None = None
    high: float | None = None
    beside: dict[str, float] = field(default_factory=dict)


def share_row(part: str, subject: str, metric: str, right: Sequence[bool], **beside: float) -> Row:
    """Return the row of a share of independent answers, with Wilson's interval."""
    found = wilson(sum(right), len(right))
    return Row(part, subject, metric, "share", found.value, len(right), found.low, found.high, beside)


def ratio_interval(totals: Sequence[float], counts: Sequence[float]) -> Interval:
    """Return sum(totals) / sum(counts) with its 95% percentile bootstrap interval over the items (images)."""
    above, below = np.asarray(totals, dtype=float), np.asarray(counts, dtype=float)
    drawn = np.random.default_rng(SEED).integers(len(above), size=(RESAMPLES, len(above)))
    low, high = np.percentile(above[drawn].sum(1) / below[drawn].sum(1), [2.5, 97.5])
    return Interval(float(above.sum() / below.sum()), float(low), float(high))
