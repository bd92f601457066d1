"""Fixed divisions of images: a held-out part by group, and the wrong image for each image."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

Id = TypeVar("Id", bound=str)


def hold_out(groups: Mapping[Id, str], share: float, *, seed: int) -> set[Id]:
    """Return the ids of about this share of the groups: a group is held out as a whole, at least one is."""
    names = np.random.default_rng(seed).permutation(sorted(set(groups.values())))
    chosen = set(names[: max(1, round(share * len(names)))])
    return {image_id for image_id, group in groups.items() if group in chosen}


def derangement(items: Sequence[Id], *, seed: int) -> dict[Id, Id]:
    """Return another item for each item, each used once: one random cycle, so that none is its own.

    Raises:
        ValueError: If there are fewer than two items.
    """
    if len(items) < 2:
        raise ValueError(f"{len(items)} item has no other. A derangement needs two or more.")
    order = [items[int(i)] for i in np.random.default_rng(seed).permutation(len(items))]
    return dict(zip(order, [*order[1:], order[0]], strict=True))
