"""Image features, computed once for each picture and vision tower and kept on disk.

Every stage freezes the vision tower and the projector and shows pictures as they are, so a picture's features never
change while the models do. They are mapped from disk into memory, where the system keeps those that are in use.
"""

import json
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from leaml.data.images import is_turned
from leaml.data.items import open_pictures
from leaml.errors import ImportDataError, ModelError
from leaml.models.backbone import Backbone
from leaml.models.vision import EncodedImage, Prepared
from leaml.records import ImageId
from leaml.threads import share_cores
from leaml.training.flips import flip_picture, unflipped

DAMAGED = (ValueError, EOFError, KeyError, RuntimeError)
"""What reading a file raises that was cut or does not fit the other one: it is as good as not there."""
LIMIT_BYTES = 50 * 10**9
"""Of all towers' features in one cache: 8,000 images of a 2B model (1,000 tokens each), 750,000 of the bundled one."""


class ImageFeatures:
    """What a backbone sees of a set of images, an `.npy` and a `.json` file an image.

    Above the limit the features that were asked for longest ago make room; what does not fit even so is computed again
    whenever it is needed.
    """

    def __init__(self, backbone: Backbone, cache: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        """Use the cache of this backbone's vision tower, below the directory `cache`, which holds other towers' too."""
        self._backbone, self._cache, self._limit_bytes = backbone, cache, limit_bytes
        self._directory = cache / backbone.vision_hash[:16]
        self._directory.mkdir(parents=True, exist_ok=True)
        self._bytes: int | None = None  # counted when something is written: most uses only read
        self._sources: dict[ImageId, Path] = {}
        self._about: dict[ImageId, dict[str, Any]] = {}
        self._one_at_a_time = Lock()

    def add(self, images: Mapping[ImageId, Path]) -> None:
        """Make the features of these images available, from disk where they are there.

        Raises:
            ImportDataError: If a picture or a clip cannot be read, or the model does not take it.
            ModelError: If the disk does not take the features.
        """
        unseen = {}
        for image_id, path in images.items():
            if image_id in self._sources:
                continue
            if not self._use(image_id) or self._was_not_turned(image_id, path):
                unseen[image_id] = path
            else:
                self._sources[image_id] = path
        for image_id, seen in self._see(unseen):
            self._keep(image_id, seen)
            self._sources[image_id] = images[image_id]

    def batch(self, image_ids: Iterable[ImageId]) -> list[tuple[EncodedImage, ...]]:
        """Return what the model sees of each image; of a video, several images. Flipped ones need not be added.

        An image that is wanted several times is the same object each time.
        """
        wanted = list(image_ids)
        with self._one_at_a_time:
            self.see(wanted)
            found = {one: self._read(one) or self._encode(one, self._sources[one]) for one in dict.fromkeys(wanted)}
        return [found[image_id] for image_id in wanted]

    def see(self, image_ids: Iterable[ImageId]) -> None:
        """Encode what is missing now, so that threads that call `batch` afterwards only read."""
        self.add({image_id: self._sources[unflipped(image_id)] for image_id in image_ids})

    def lengths(self, image_ids: Iterable[ImageId], texts: Iterable[str]) -> list[int]:
        """Return how many tokens each image with its text takes, but for those that the chat template writes.

        An image whose features did not fit on the disk counts as the largest of the others.
        """
        known = {image: sum(about["tokens"]) for image, about in self._about.items()}
        largest = max(known.values(), default=0)
        seen = (known.get(image, largest) for image in image_ids)
        read = (len(self._backbone.chat.target_ids(text)) for text in texts)
        return [tokens + words for tokens, words in zip(seen, read, strict=True)]

    def ids(self) -> Sequence[ImageId]:
        """Return the images whose features are available."""
        return list(self._sources)

    def _file(self, image_id: ImageId, ending: str) -> Path:
        return self._directory / f"{image_id}{ending}"

    def _use(self, image_id: ImageId) -> bool:
        """Return whether an image's features are on disk; if so, they were asked for now."""
        try:
            about = json.loads(self._file(image_id, ".json").read_text())
            about["places"] = [sys.intern(place) for place in about["places"]]  # those of most images are alike
            os.utime(self._file(image_id, ".npy"))
        except (FileNotFoundError, *DAMAGED):
            return False
        self._about[image_id] = about
        return True

    def _was_not_turned(self, image_id: ImageId, path: Path) -> bool:
        """Tell whether features are those of a picture as it lies in its file: an older version did not turn it."""
        return not self._about[image_id].get("upright") and is_turned(path)

    def _read(self, image_id: ImageId) -> tuple[EncodedImage, ...] | None:
        """Return an image's features from disk, or None where they are not there (any more) or damaged."""
        about = self._about.get(image_id)
        if about is None:
            return None
        try:
            # Copy on write, because torch takes no memory that cannot be written; nothing is written, nothing copied.
            return _images(about, torch.from_numpy(np.load(self._file(image_id, ".npy"), mmap_mode="c")))
        except (FileNotFoundError, *DAMAGED):
            return None

    def _encode(self, image_id: ImageId, path: Path) -> tuple[EncodedImage, ...]:
        ((_, images),) = self._see({image_id: path})
        self._keep(image_id, images)
        return images

    def _see(self, images: Mapping[ImageId, Path]) -> Iterator[tuple[ImageId, tuple[EncodedImage, ...]]]:
        """Yield images through the tower; those before a broken one come before its error."""
        cores = torch.get_num_threads() if self._backbone.device.type == "cpu" else 1
        waiting: deque[tuple[ImageId, Future[tuple[EncodedImage, ...]]]] = deque()
        broken = None
        with share_cores(min(cores, len(images))) as pool:
            for image_id, path in images.items():
                try:
                    prepared = self._prepare(image_id, path)
                except ImportDataError as error:
                    broken = error
                    break
                waiting.append((image_id, pool.submit(self._backbone.vision.see, prepared)))
                if len(waiting) > cores:
                    yield _seen(*waiting.popleft())
            yield from (_seen(*one) for one in waiting)
        if broken:
            raise broken

    def _prepare(self, image_id: ImageId, path: Path) -> Prepared:
        pictures = [flip_picture(picture, image_id) for picture in open_pictures(path)]
        try:
            return self._backbone.vision.prepare(pictures)
        except ValueError as error:  # an image processor's, such as Qwen's of a picture that is a mere line
            raise ImportDataError(
                f"The model does not take the image {path.name}: {str(error).rstrip('.')}. Crop it, or leave it out "
                "and import again."
            ) from error

    def _keep(self, image_id: ImageId, images: Sequence[EncodedImage]) -> None:
        """Write an image's features, if there is room: first what they are, then they themselves, each as a whole."""
        rows = torch.cat([_side_by_side(image) for image in images]).numpy()
        if not self._make_room(rows.nbytes):
            return
        about = {
            "places": [image.place for image in images],
            "tokens": [len(image.features) for image in images],
            "grids": [image.grid for image in images],
            "deep": 0 if images[0].deep is None else len(images[0].deep),
            "upright": True,
        }
        try:
            self._write(image_id, ".json", json.dumps(about).encode())
            self._write(image_id, ".npy", rows)
        except OSError as error:
            raise ModelError(
                f"Cannot keep image features in {self._directory}: {error}. Free some disk space and try again."
            ) from error
        self._bytes = (self._bytes or 0) + rows.nbytes
        self._use(image_id)

    def _write(self, image_id: ImageId, ending: str, content: bytes | NDArray[np.float32]) -> None:
        target = self._file(image_id, ending)
        aside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with aside.open("wb") as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    np.save(file, content)
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)

    def _make_room(self, wanted: int) -> bool:
        """Return whether so many bytes fit, after dropping what was asked for longest ago and is not in use here."""
        if self._bytes is None:
            self._bytes = sum(size for _, size, _ in self._files())
        if self._bytes + wanted <= self._limit_bytes:
            return True
        own = {self._file(image_id, ".npy") for image_id in self._about}
        files = self._files()
        self._bytes = sum(size for _, size, _ in files)
        # Of other processes too: their memory stays mapped, and what they open later they can compute again.
        for _, size, path in files:
            if self._bytes + wanted <= self._limit_bytes:
                break
            if path not in own:
                path.unlink(missing_ok=True)
                path.with_suffix(".json").unlink(missing_ok=True)
                self._bytes -= size
        return self._bytes + wanted <= self._limit_bytes

    def _files(self) -> list[tuple[float, int, Path]]:
        """Return when each of the cache's files was asked for last, its bytes and its place; the oldest first."""
        found = []
        for path in self._cache.glob("*/*.npy"):
            with suppress(FileNotFoundError):  # another process drops files, too
                stat = path.stat()
                found.append((stat.st_mtime, stat.st_size, path))
        return sorted(found)


def _seen(image_id: ImageId, found: Future[tuple[EncodedImage, ...]]) -> tuple[ImageId, tuple[EncodedImage, ...]]:
    return image_id, tuple(_on_cpu(image) for image in found.result())


def _images(about: Mapping[str, Any], rows: torch.Tensor) -> tuple[EncodedImage, ...]:
    """Return an image's features of what its two files hold."""
    layers = rows.view(len(rows), 1 + about["deep"], -1)
    parts = layers.split(about["tokens"])
    return tuple(
        EncodedImage(
            place,
            part[:, 0],
            part[:, 1:].transpose(0, 1) if about["deep"] else None,
            None if grid is None else tuple(grid),
        )
        for place, part, grid in zip(about["places"], parts, about["grids"], strict=True)
    )


def _on_cpu(image: EncodedImage) -> EncodedImage:
    deep = None if image.deep is None else image.deep.cpu()
    return EncodedImage(image.place, image.features.cpu(), deep, image.grid)


def _side_by_side(image: EncodedImage) -> torch.Tensor:
    """Return `[T, (1 + L) * D]`: what goes into the decoder, and beside it what is added in its layers."""
    return image.features if image.deep is None else torch.cat([image.features, *image.deep], dim=1)
