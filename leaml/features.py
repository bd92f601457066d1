"""Image features, computed once for each picture and vision tower and kept on disk.

Every stage freezes the vision tower and the projector, so a picture's features never change while the models do.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from leaml.backbone import Backbone
from leaml.errors import ImportDataError
from leaml.records import ImageId

ENCODE_BATCH_CPU, ENCODE_BATCH_ACCELERATOR = 1, 16
"""Images encoded at once. One image's activations stay in a CPU's cache: 69 ms an image, and 163 in batches of 16."""


class ImageFeatures:
    """The features of a set of images, in memory, backed by one `.npy` file an image."""

    def __init__(self, backbone: Backbone, cache: Path) -> None:
        """Use the cache of this backbone's vision tower, below the directory `cache`."""
        self._backbone = backbone
        self._directory = cache / backbone.vision_hash[:16]
        self._directory.mkdir(parents=True, exist_ok=True)
        self._features: dict[ImageId, Tensor] = {}

    @property
    def image_tokens(self) -> int:
        """Number of tokens that one image takes."""
        return next(iter(self._features.values())).shape[0]

    def add(self, images: Mapping[ImageId, Path]) -> None:
        """Make the features of these images available, from disk where they are there.

        Raises:
            ImportDataError: If a picture cannot be read.
        """
        missing = [image_id for image_id in images if image_id not in self._features]
        absent = [image_id for image_id in missing if not self._from_disk(image_id)]
        size = ENCODE_BATCH_CPU if self._backbone.device.type == "cpu" else ENCODE_BATCH_ACCELERATOR
        for start in range(0, len(absent), size):
            batch = absent[start : start + size]
            encoded = self._backbone.image_features([_picture(images[image_id]) for image_id in batch])
            for image_id, features in zip(batch, encoded.cpu(), strict=True):
                self._to_disk(image_id, features)

    def batch(self, image_ids: Iterable[ImageId]) -> Tensor:
        """Return `[B, T, D]` float32 on the backbone's device."""
        return torch.stack([self._features[image_id] for image_id in image_ids]).to(self._backbone.device)

    def ids(self) -> Sequence[ImageId]:
        """Return the images whose features are available."""
        return list(self._features)

    def _from_disk(self, image_id: ImageId) -> bool:
        path = self._directory / f"{image_id}.npy"
        if not path.exists():
            return False
        self._features[image_id] = torch.from_numpy(np.load(path))
        return True

    def _to_disk(self, image_id: ImageId, features: Tensor) -> None:
        aside = self._directory / f".{image_id}.{os.getpid()}.npy"
        np.save(aside, features.numpy())
        aside.replace(self._directory / f"{image_id}.npy")
        self._features[image_id] = features.clone()


def _picture(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except OSError as error:
        raise ImportDataError(f"Cannot read the image {path.name}: {error}. Import it again.") from error
