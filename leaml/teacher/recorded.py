"""Captions that the project has already."""

from collections.abc import Collection, Sequence

from leaml.records import Caption, ImageId


def recorded_captions(captions: Sequence[Caption], *, unlabelled: Collection[ImageId]) -> list[Caption]:
    """Return the last caption of each unlabelled image: what L_C is taken over (D_u of the method).

    Args:
        captions: The newest of an image last, as the store gives them.
        unlabelled: The images.
    """
    return list({caption.image_id: caption for caption in captions if caption.image_id in unlabelled}.values())
