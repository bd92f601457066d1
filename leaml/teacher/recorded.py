"""Captions that the project has already."""

from collections.abc import Collection, Sequence

from leaml.records import Caption, ImageId


def recorded_captions(captions: Sequence[Caption], *, images: Collection[ImageId]) -> list[Caption]:
    """Return the last caption of each of these images that has one.

    Args:
        captions: The newest of an image last, as the store gives them.
        images: Those that are wanted.
    """
    return list({caption.image_id: caption for caption in captions if caption.image_id in images}.values())
