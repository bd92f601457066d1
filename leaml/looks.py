"""What images look like, as one vector each: to tell which image is least like those that are labelled already.

Where the frozen tower's features of all images are cached (`leaml.features`), a vector is their mean over the image's
cells; before any training it is a small picture of the image, which needs no model. Nothing here loads torch.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from leaml.data.items import cover
from leaml.errors import ImportDataError
from leaml.records import ImageId

Vectors = npt.NDArray[np.float32]

GIVE_WAY_S = 0.001
"""After each image other threads have their turn: comparing a large pool must not slow those who review meanwhile."""
SIDE = 12
"""Width and height of the small picture, pixels."""


def image_vectors(images: Mapping[ImageId, Path], cache: Path) -> Vectors:
    """Return `[N, D]` float32 vectors of length 1, in the order of the images; similar images have a large product.

    An image that cannot be read gets zeros, and so is as unlike any other as can be without being preferred.

    Args:
        images: The files.
        cache: Where the features of towers lie, a folder for each tower.
    """
    folders = sorted((path for path in cache.glob("*") if path.is_dir()), key=lambda path: path.name)
    complete = [folder for folder in folders if all((folder / f"{image_id}.npy").exists() for image_id in images)]
    rows: list[Vectors | None] = []
    for image_id, path in images.items():
        time.sleep(GIVE_WAY_S)
        rows.append(np.load(complete[-1] / f"{image_id}.npy").mean(axis=0) if complete else _small_picture(path))
    readable = [place for place, row in enumerate(rows) if row is not None]
    known = np.asarray([row for row in rows if row is not None], dtype=np.float32)
    found = np.zeros((len(rows), known.shape[-1] if readable else 1), dtype=np.float32)
    if readable:
        # What all images share, such as the stain's colour, tells none of them apart.
        known -= known.mean(axis=0)
        found[readable] = known / np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-6)
    return found


def _small_picture(path: Path) -> Vectors | None:
    try:
        with Image.open(cover(path)) as image:
            image.draft("RGB", (4 * SIDE, 4 * SIDE))
            small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    except (OSError, ImportDataError):
        return None
    vector: Vectors = np.asarray(small, dtype=np.float32).reshape(-1)
    return vector
