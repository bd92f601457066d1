"""Reads picture files and copies them into a workspace under the hash of their bytes."""

import hashlib
import os
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from leaml.errors import ImportDataError
from leaml.records import ImageId, ImageRow, Split

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}
"""The formats that are read, with the ending of the copy."""
FILE_ENDINGS = frozenset({*SUFFIXES.values(), ".jpeg", ".tiff"})
SMALLEST_PX = 16
LARGEST_MEGAPIXELS = 200


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
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(content)) as image:
                kind, (width, height) = image.format or "", image.size
                if width * height > LARGEST_MEGAPIXELS * 1e6:
                    raise ImportDataError(f"The image {path.name} is too large ({width} x {height} pixels). Shrink it.")
                image.load()
    except FileNotFoundError:
        raise ImportDataError(f"The image {path} does not exist. Check the folder.") from None
    except (OSError, SyntaxError, ValueError, Warning, Image.DecompressionBombError) as error:
        raise ImportDataError(f"The image {path.name} cannot be read: {error}. Replace it or take it out.") from error
    if kind not in SUFFIXES:
        raise ImportDataError(f"The image {path.name} is {kind}; JPEG, PNG, WebP, BMP and TIFF are read. Convert it.")
    if min(width, height) < SMALLEST_PX:
        raise ImportDataError(f"The image {path.name} has {width} x {height} pixels; {SMALLEST_PX} are the least.")
    return Picture(ImageId(hashlib.sha256(content).hexdigest()), path, SUFFIXES[kind], width, height)


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
