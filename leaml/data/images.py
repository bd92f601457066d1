"""Reads picture files and copies them into a workspace under the hash of their bytes."""

import hashlib
import os
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from leaml.errors import ImportDataError
from leaml.records import ImageId, ImageRow, Split

SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}
"""The formats that are read, with the ending of the copy. MPO is a camera's JPEG with a smaller preview behind it."""
FILE_ENDINGS = frozenset({*SUFFIXES.values(), ".jpeg", ".tiff", ".gif"})
"""Endings of files that are looked at. A GIF is refused by name rather than left out in silence."""
SMALLEST_PX = 16
LARGEST_MEGAPIXELS = 150
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
WITHOUT_RANGE = ("I", "F")
"""PIL's modes of 32-bit values. Nobody says which of them is white."""


@dataclass(frozen=True)
class Picture:
    """A picture that was read once and can be copied. The bytes stay in the file: a folder may hold many."""

    id: ImageId
    source: Path
    suffix: str
    width: int
    height: int


def read_picture(path: Path) -> Picture:
    """Return a picture, decoded once in full so that a broken one is found now.

    Raises:
        ImportDataError: If the file is missing, broken, too small, too large, or in a format that is not read.
    """
    try:
        content = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit is ours, and above PIL's
            with Image.open(BytesIO(content)) as image:
                kind, mode, (width, height) = image.format or "", image.mode, image.size
                frames = getattr(image, "n_frames", 1)
                if width * height > LARGEST_MEGAPIXELS * 1e6:
                    raise Image.DecompressionBombError
                image.load()
    except FileNotFoundError:
        raise ImportDataError(f"The image {path} does not exist. Check the folder.") from None
    except Image.DecompressionBombError:
        most = f"{LARGEST_MEGAPIXELS} megapixels are the most"
        raise ImportDataError(f"The image {path.name} is too large: {most}. Shrink it, or cut it up.") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise ImportDataError(f"The image {path.name} cannot be read: {error}. Replace it or take it out.") from error
    if frames > 1 and kind != "MPO":
        raise ImportDataError(
            f"The image {path.name} ({kind}) holds {frames} frames or pages, but an image is one. Save those that "
            "matter as images of their own."
        )
    if kind not in SUFFIXES:
        raise ImportDataError(f"The image {path.name} is {kind}; JPEG, PNG, WebP, BMP and TIFF are read. Convert it.")
    if mode in WITHOUT_RANGE:
        raise ImportDataError(f"The image {path.name} has 32-bit values of no known range. Save it with 8 or 16 bits.")
    if min(width, height) < SMALLEST_PX:
        raise ImportDataError(f"The image {path.name} has {width} x {height} pixels; {SMALLEST_PX} are the least.")
    return Picture(ImageId(hashlib.sha256(content).hexdigest()), path, SUFFIXES[kind], width, height)


def open_rgb(path: Path) -> Image.Image:
    """Return a picture as models see it: 8-bit RGB, not turned by what the camera noted.

    Raises:
        ImportDataError: If it cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # looked at when it was imported
            with Image.open(path) as image:
                if image.mode in SIXTEEN_BITS:  # PIL itself would make everything from 256 on white
                    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
                return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImportDataError(f"Cannot read the image {path.name}: {error}. Import it again.") from error


def copy_picture(picture: Picture, workspace: Path, *, name: str, group: str, split: Split) -> ImageRow:
    """Copy a picture into the workspace and return its row. Copying it again changes nothing.

    Raises:
        ImportDataError: If the disk does not take it, or the file is another one than was read.
    """
    relative = Path("images") / f"{picture.id}{picture.suffix}"
    target = workspace / relative
    if not target.exists():
        aside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            content = picture.source.read_bytes()
            if hashlib.sha256(content).hexdigest() != picture.id:
                raise ImportDataError(f"The image {name} changed while it was imported. Import it again.")
            aside.write_bytes(content)
            aside.replace(target)
        except OSError as error:
            aside.unlink(missing_ok=True)
            message = f"Cannot copy {name} into the workspace: {error}. Free some space and try again."
            raise ImportDataError(message) from error
    return ImageRow(picture.id, name, str(relative), group, split, picture.width, picture.height)
