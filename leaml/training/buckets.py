"""Batches of similar length: what is padded to the longest is computed for nothing.

A batch that is read without learning holds no more tokens than fit beside a model, however large its images are.
"""

from collections.abc import Iterator, Sequence

from leaml.config import TrainConfig
from leaml.records import ImageId

TOKENS_AT_ONCE = 64 * 512
"""Rows times the longest of them. The bundled model's rows, of 64 image tokens, never get as far."""
SAVING = 8
"""By how much fewer they are where training saves memory."""


def tokens_at_once(train: TrainConfig) -> int:
    """Return how many tokens may be read at once, without learning, beside a model that is trained like this."""
    return TOKENS_AT_ONCE // SAVING if train.checkpoint_activations else TOKENS_AT_ONCE


def rows_at_once(length: int, size: int, tokens: int) -> int:
    """Return how many rows of this length are read at once: at most `size`, at least one."""
    return max(1, min(size, tokens // max(1, length)))


def by_length(lengths: Sequence[int], size: int, *, tokens: int = TOKENS_AT_ONCE) -> Iterator[list[int]]:
    """Yield the places of at most `size` lengths at once, the longest first: if memory is short, it shows at once.

    Args:
        lengths: Of each text with its image.
        size: Texts at once.
        tokens: Of a batch, at most; more only where one text has more.
    """
    yield from _batches(sorted(range(len(lengths)), key=lambda place: -lengths[place]), lengths, size, tokens)


def by_image(
    image_ids: Sequence[ImageId], lengths: Sequence[int], size: int, *, tokens: int = TOKENS_AT_ONCE
) -> Iterator[list[int]]:
    """Yield the places of at most `size` texts about images, an image's side by side: its prefill is shared.

    Args:
        image_ids: Of each text.
        lengths: Of each with its image; images come by their longest.
        size: Texts at once.
        tokens: Of a batch, at most; more only where one text has more.
    """
    longest: dict[ImageId, int] = {}
    for image_id, length in zip(image_ids, lengths, strict=True):
        longest[image_id] = max(length, longest.get(image_id, 0))
    order = sorted(range(len(image_ids)), key=lambda place: (-longest[image_ids[place]], image_ids[place]))
    yield from _batches(order, [longest[image_id] for image_id in image_ids], size, tokens)


def _batches(order: Sequence[int], lengths: Sequence[int], size: int, tokens: int) -> Iterator[list[int]]:
    """Yield the places in this order, of falling lengths, in batches: the first of each is its longest."""
    start = 0
    while start < len(order):
        rows = rows_at_once(lengths[order[start]], size, tokens)
        yield list(order[start : start + rows])
        start += rows
