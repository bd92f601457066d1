"""Keeps a group of images (a patient, a procedure) on one side of the split between pool and test, over all imports.

Which images are a group is decided by the importers in `leaml.data`.
"""

from collections import defaultdict
from collections.abc import Iterable

from leaml.errors import ImportDataError
from leaml.records import ImageId, ImageRow, Split

_WHERE = {"pool": "in the pool", "test": "in the test"}


class Groups:
    """The groups of the images that a workspace has."""

    def __init__(self, images: Iterable[ImageRow]) -> None:
        """Take the workspace's images."""
        self.images: dict[ImageId, ImageRow] = {image.id: image for image in images}
        self._sides: dict[str, set[Split]] = defaultdict(set)
        for image in self.images.values():
            self._sides[image.group].add(image.split)

    def names(self) -> set[str]:
        """Return the groups that are there."""
        return set(self._sides)

    def side(self, image: ImageId, group: str, *, otherwise: Split) -> Split:
        """Return the side of an image: its own if it is there, else its group's; `otherwise` if neither is there."""
        if image in self.images:
            return self.images[image].split
        return min(self._sides.get(group, {otherwise}))

    def check(self, coming: Iterable[ImageRow]) -> None:
        """Refuse images that would bring a group to both sides, or an image that is there into another group.

        Raises:
            ImportDataError: If there is such an image.
        """
        for image in coming:
            before = self.images.get(image.id)
            if before is not None and before.group != image.group:
                raise ImportDataError(
                    f"The image {image.name} is in {_named(before)} already, and would now be in {_named(image)}. Keep "
                    "the groups as they were, or import everything into a new workspace."
                )
            sides = {before.split} if before else self._sides.get(image.group, {image.split})
            if sides != {image.split}:
                raise ImportDataError(
                    f"The image {image.name} would be {_WHERE[image.split]}, but {_named(image)} is "
                    f"{' and '.join(_WHERE[side] for side in sorted(sides))} already. Keep a group on one side, or "
                    "import everything into a new workspace."
                )


def _named(image: ImageRow) -> str:
    return "a group of its own" if image.group == image.id else f"the group {image.group!r}"
