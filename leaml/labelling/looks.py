"""What images look like, as one vector each: to tell which image is least like those that are labelled already.

Where the frozen tower's features of all images are cached (`leaml.models.features`), a vector is their mean over the
image's cells; before any training it is a small picture of the image, which needs no model. Nothing here loads torch.
"""

import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from leaml.data.images import opened, upright
from leaml.data.items import cover
from leaml.errors import ImportDataError
from leaml.records import ImageId

Vectors = npt.NDArray[np.float32]

GIVE_WAY_S = 0.001
"""After each image other threads have their turn: comparing a large pool must not slow those who review meanwhile."""
SIDE = 8
"""Width and height of the small picture, pixels."""
DIMENSIONS = 3 * SIDE**2
"""A vector's length, at most: 192 MB for 250,000 images. Longer features are projected at random: distances stay."""


def image_vectors(images: Mapping[ImageId, Path], features: Path) -> Vectors:
    """Return `[N, D]` float32 vectors of length 1, D at most 192, in the images' order; alike ones have large products.

    An image that cannot be read gets zeros, and so is as unlike any other as can be without being preferred.

    Args:
        images: The files.
        features: Where the features of towers lie, a folder for each tower.
    """
    folders = sorted((path for path in features.glob("*") if path.is_dir()), key=lambda path: path.name)
    complete = [folder for folder in folders if all((folder / f"{image_id}.npy").exists() for image_id in images)]
    found: Vectors = np.zeros((len(images), 1), dtype=np.float32)
    unreadable: list[int] = []
    for place, (image_id, path) in enumerate(images.items()):
        time.sleep(GIVE_WAY_S)
        row = _tower_features(complete[-1] / f"{image_id}.npy") if complete else _small_picture(path)
        if row is None:
            unreadable.append(place)
            continue
        if found.shape[1] < len(row):
            found = np.zeros((len(images), len(row)), dtype=np.float32)
        found[place] = row
    # What all images share, such as the stain's colour, tells none of them apart. In place: there may be many images.
    found -= found.sum(axis=0, dtype=np.float64) / max(1, len(images) - len(unreadable))
    found[unreadable] = 0
    found /= np.maximum(np.sqrt(np.einsum("nd,nd->n", found, found)), 1e-6)[:, None]
    return found


def _tower_features(path: Path) -> Vectors:
    mean: Vectors = np.load(path).mean(axis=0, dtype=np.float32)
    return mean if len(mean) <= DIMENSIONS else mean @ _projection(len(mean))


@cache
def _projection(width: int) -> Vectors:
    """Return a random projection `[width, DIMENSIONS]`, the same every time (Johnson and Lindenstrauss 1984)."""
    drawn = np.random.default_rng(0).normal(size=(width, DIMENSIONS)).astype(np.float32)
    return drawn / np.float32(np.sqrt(DIMENSIONS))


def _small_picture(path: Path) -> Vectors | None:
    try:
        with cover(path).open("rb") as file, opened(file) as image:
            image.draft("RGB", (4 * SIDE, 4 * SIDE))
            small = upright(image).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    except (OSError, ImportDataError):
        return None
    vector: Vectors = np.asarray(small, dtype=np.float32).reshape(-1)
    return vector
