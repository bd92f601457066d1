"""How much of the way from a low model to a high one a method goes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leaml.errors import ConfigError
from leaml.records import Prediction
from leaml.stats.clusters import Groups, count_right, draw_clusters, macro
from leaml.stats.paired import align


@dataclass(frozen=True)
class GapRecovered:
    """(method - low) / (high - low) of macro accuracies with its 95% interval: 0 is the low model, 1 the high one."""

    value: float
    low: float
    high: float


def gap_recovered(
    method: Sequence[Prediction],
    *,
    low: Sequence[Prediction],
    high: Sequence[Prediction],
    groups: Groups | None = None,
) -> GapRecovered:
    """Return the share of the gap that a method recovers, resampling clusters of all three models together.

    The interval is the percentile bootstrap's.

    Args:
        method: Answers of the model in question.
        low: Of the model below, such as zero-shot.
        high: Of the model above, such as fully supervised.
        groups: The group of each image, where images are not independent.

    Raises:
        ConfigError: If the models did not answer the same questions, or the gap may as well be none.
    """
    tables = [count_right(align(answers, method), groups) for answers in (method, low, high)]
    middle, bottom, top = (float(macro(right.sum(0), asked.sum(0))) for right, asked in tables)
    drawn = draw_clusters(len(tables[0][0]))
    drawn_middle, drawn_bottom, drawn_top = (macro(drawn @ right, drawn @ asked) for right, asked in tables)
    widths = drawn_top - drawn_bottom
    if len(tables[0][0]) < 2 or np.quantile(widths, 0.025) <= 0:
        raise ConfigError(
            f"The gap from {bottom:.3f} to {top:.3f} may as well be none on this test, so that a share of it says "
            "nothing. Evaluate the models on more test images."
        )
    # A resample without a gap has no share; there are at most 25 in a thousand.
    shares = ((drawn_middle - drawn_bottom) / widths)[widths > 0]
    ends = np.quantile(shares, [0.025, 0.975])
    return GapRecovered((middle - bottom) / (top - bottom), float(ends[0]), float(ends[1]))
