"""Krippendorff's alpha: how far readers agree beyond what chance would make them agree.

For nominal values: two values are the same or they are not.
"""

from collections import Counter
from collections.abc import Hashable, Sequence

from leaml.errors import ConfigError


def krippendorff_alpha(units: Sequence[Sequence[Hashable]]) -> float:
    """Return alpha = 1 - observed / expected disagreement, at most 1; 0 is what chance gives.

    Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C. Where all readers gave one value to
    everything there is nothing to disagree about by chance: alpha is 1 by convention.

    Args:
        units: The values that each unit got; a unit with fewer than two values says nothing and is left out.

    Raises:
        ConfigError: If no unit has two values.
    """
    read = [unit for unit in units if len(unit) > 1]
    if not read:
        raise ConfigError("Agreement needs pairs that two people read. Have some read a second time.")
    totals = Counter(value for unit in read for value in unit)
    values = totals.total()
    # Pairs of values within a unit, each unit weighing as many values as it has.
    within = sum(sum(n * (n - 1) for n in Counter(unit).values()) / (len(unit) - 1) for unit in read)
    by_chance = sum(n * (n - 1) for n in totals.values()) / (values - 1)
    if by_chance == values:
        return 1.0
    return 1 - (values - within) / (values - by_chance)
