"""Wilson's score interval of a share: of independent answers, and of clustered ones."""

import math

from leaml.errors import ConfigError
from leaml.records import Interval


def wilson(right: float, asked: float, *, alpha: float = 0.05) -> Interval:
    """Return right / asked with its score interval (Wilson 1927), 95% by default.

    Raises:
        ConfigError: If nothing was asked.
    """
    if asked <= 0:
        raise ConfigError("A share of no answers has no interval. Ask at least one question.")
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(right, asked, alpha=alpha, method="wilson")
    share = right / asked
    # Rounding can put the ends on the wrong side of a share of 0 or 1, or of 0 and 1 themselves.
    return Interval(share, min(share, max(0.0, float(low))), max(share, min(1.0, float(high))))


def clustered_wilson(share: float, error: float, clusters: int) -> Interval:
    """Return a share with Wilson's interval for as many independent answers as its standard error is worth.

    The effective size is share (1 - share) / error^2, and the quantile is Student's for clusters - 1 degrees of freedom
    (Dean and Pagano 2015, "Evaluating confidence interval methods for binomial proportions in clustered surveys").
    Where the clusters show no variance each counts as one answer: all right is not known to be always right.

    Args:
        share: The estimate, in [0, 1].
        error: Its standard error, over clusters.
        clusters: How many there are.
    """
    from scipy.stats import norm, t

    # A constant bootstrap's error is some 1e-17 by rounding, not 0.
    size = share * (1 - share) / error**2 if error > 1e-9 else 0.0
    if clusters < 2 or not 0 < share < 1 or not math.isfinite(size) or size == 0:
        return wilson(share * clusters, clusters)
    return wilson(share * size, size, alpha=2 * float(norm.sf(t.ppf(0.975, clusters - 1))))
