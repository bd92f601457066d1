"""One measured figure with its interval and what it has to be seen beside, and the intervals themselves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from leaml.records import Interval

RESAMPLES = 2000
SEED = 20250
Z_95 = 1.959964


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


def wilson(right: int, asked: int) -> Interval:
    """Return a share with its 95% score interval (Wilson 1927)."""
    share, z2 = right / asked, Z_95**2
    centre = (share + z2 / (2 * asked)) / (1 + z2 / asked)
    half = Z_95 * math.sqrt(share * (1 - share) / asked + z2 / (4 * asked**2)) / (1 + z2 / asked)
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


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
