"""Batches of similar length: what is padded to the longest is computed for nothing."""

from collections.abc import Iterator, Sequence

from leaml.records import ImageId


def by_length(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Yield the places of at most `size` lengths at once, the longest first: if memory is short, it shows at once."""
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    for start in range(0, len(order), size):
        yield order[start : start + size]


def by_image(image_ids: Sequence[ImageId], lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Yield the places of at most `size` texts about images, an image's side by side: its prefill is shared.

    Args:
        image_ids: Of each text.
        lengths: Of each with its image; images come by their longest.
        size: Texts at once.
    """
    longest: dict[ImageId, int] = {}
    for image_id, length in zip(image_ids, lengths, strict=True):
        longest[image_id] = max(length, longest.get(image_id, 0))
    order = sorted(range(len(image_ids)), key=lambda place: (-longest[image_ids[place]], image_ids[place]))
    for start in range(0, len(order), size):
        yield order[start : start + size]
