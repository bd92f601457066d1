"""Captions of a large teacher model. Now: the ones recorded with the project; a server of one's own comes later."""

from collections.abc import Collection, Sequence

from leaml.records import Caption, ImageId


def recorded_captions(captions: Sequence[Caption], *, unlabelled: Collection[ImageId]) -> list[Caption]:
    """Return the recorded captions of unlabelled images: what L_C is taken over (D_u of the method)."""
    wanted = set(unlabelled)
    return [caption for caption in captions if caption.image_id in wanted]
