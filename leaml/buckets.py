"""Batches of similar length: what is padded to the longest is computed for nothing."""

from collections.abc import Iterator, Sequence


def by_length(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Yield the places of at most `size` lengths at once, the longest first: if memory is short, it shows at once."""
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    for start in range(0, len(order), size):
        yield order[start : start + size]
