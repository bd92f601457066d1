"""Reads picture files and copies them into a workspace under the hash of their bytes."""

import hashlib
import os
import shutil
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from leaml.errors import ImportDataError
from leaml.records import ImageId, ImageRow, Split

SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}
"""The formats that are read, with the ending of the copy. MPO is a camera's JPEG with a smaller preview behind it."""
FILE_ENDINGS = frozenset({*SUFFIXES.values(), ".jpeg", ".tiff", ".gif"})
"""Endings of files that are looked at. A GIF is refused by name rather than left out in silence."""
COPIES = "images"
"""The folder in a workspace where the copies are, and what was made of them."""
SMALLEST_PX = 16
LARGEST_MEGAPIXELS = 150
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
WITHOUT_RANGE = ("I", "F")
"""PIL's modes of 32-bit values. Nobody says which of them is white."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by the orientation that the camera noted."""


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
        with opened(BytesIO(content)) as image:
            kind, mode = image.format or "", image.mode
            frames = getattr(image, "n_frames", 1)
            if image.width * image.height > LARGEST_MEGAPIXELS * 1e6:
                raise Image.DecompressionBombError
            shown = upright(image)
            shown.load()
            width, height = shown.size
    except FileNotFoundError:
        raise ImportDataError(f"The image {path} does not exist. Check the folder.") from None
    except Image.DecompressionBombError:
        most = f"{LARGEST_MEGAPIXELS} megapixels are the most"
        raise ImportDataError(f"The image {path.name} is too large: {most}. Shrink it, or cut it up.") from None
    except UnidentifiedImageError:
        message = f"The image {path.name} cannot be read: it is no picture, or damaged. Replace it or take it out."
        raise ImportDataError(message) from None
    except Exception as error:  # PIL raises whatever a damaged file leads it into
        raise ImportDataError(f"The image {path.name} cannot be read: {error}. Replace it or take it out.") from error
    if frames > 1 and kind != "MPO":
        raise ImportDataError(
            f"The image {path.name} ({kind}) holds {frames} frames or pages, but an image is one. Save those that "
            "matter as images of their own."
        )
    if kind not in SUFFIXES:
        raise ImportDataError(f"The image {path.name} is {kind}; JPEG, PNG, WebP, BMP and TIFF are read. Convert it.")
    if mode == "LAB":  # PIL does not convert it, so neither models nor people would see anything
        raise ImportDataError(f"The image {path.name} has LAB colours. Save it with RGB colours.")
    if mode in WITHOUT_RANGE:
        raise ImportDataError(f"The image {path.name} has 32-bit values of no known range. Save it with 8 or 16 bits.")
    if min(width, height) < SMALLEST_PX:
        raise ImportDataError(f"The image {path.name} has {width} x {height} pixels; {SMALLEST_PX} are the least.")
    return Picture(ImageId(hashlib.sha256(content).hexdigest()), path, SUFFIXES[kind], width, height)


@contextmanager
def opened(file: BinaryIO) -> Iterator[Image.Image]:
    """Open a picture; the limit of pixels is ours, and above the one from which PIL warns.

    It is a file and no path, of which PIL would map some TIFFs into memory and forget to turn them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(file) as image:
            yield image


def open_rgb(path: Path) -> Image.Image:
    """Return a picture as models see it: 8-bit RGB, upright, without what else the file says.

    Raises:
        ImportDataError: If it cannot be read.
    """
    try:
        with path.open("rb") as file, opened(file) as image:
            shown = upright(image)
            if shown.mode in SIXTEEN_BITS:  # PIL itself would make everything from 256 on white
                shown = Image.fromarray((np.asarray(shown) >> 8).astype(np.uint8))
            seen = shown.convert("RGB")
            seen.info.clear()  # or whoever gets it might turn it again
            return seen
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImportDataError(f"Cannot read the image {path.name}: {error}. Import it again.") from error


def shown_file(path: Path) -> Path:
    """Return a file that browsers show as models see a picture: itself, or a PNG beside it that the first call makes.

    Most browsers show no TIFF, and only of JPEGs do all of them heed how the camera was held.

    Raises:
        ImportDataError: If the picture cannot be read, or the disk does not take the PNG.
    """
    if path.suffix == SUFFIXES["JPEG"] or (path.suffix != SUFFIXES["TIFF"] and not is_turned(path)):
        return path
    target = _made_file(path)
    if not target.exists():
        seen = open_rgb(path)
        # Two people may open the same image at the same time, each in a thread of one process.
        aside = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            seen.save(aside, "PNG", compress_level=1)
            to_disk(aside)
            aside.replace(target)
        except OSError as error:
            message = f"Cannot keep a PNG of {path.name}: {error}. Free some disk space and try again."
            raise ImportDataError(message) from error
        finally:
            aside.unlink(missing_ok=True)
    return target


def discard_damaged(path: Path) -> None:
    """Delete the PNG that `shown_file` made of a picture where it cannot be read, so that it is made anew."""
    made = _made_file(path)
    if made.exists() and not is_whole(made):
        made.unlink()


def is_whole(path: Path) -> bool:
    """Tell whether a picture can be decoded in full."""
    try:
        open_rgb(path)
    except ImportDataError:
        return False
    return True


def to_disk(path: Path) -> None:
    """Return when a file's bytes are on the disk: or a power cut leaves its name, once it has that, without them."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def frames_folder(path: Path) -> Path:
    """Return where the frames of a clip are kept: beside it."""
    return path.with_suffix(".frames")


def _made_file(path: Path) -> Path:
    return path.with_suffix(".shown.png")


def upright(image: Image.Image) -> Image.Image:
    """Return an opened picture as browsers show it, turned as the camera noted; itself where nothing is to turn."""
    turn = None if image.format == "TIFF" else _turn(image)  # PIL turns a TIFF itself when it decodes it
    return image if turn is None else image.transpose(turn)


def is_turned(path: Path) -> bool:
    """Tell whether a picture lies in its file otherwise than it is shown; False where it cannot be read."""
    try:
        with path.open("rb") as file, opened(file) as image:
            return _turn(image) is not None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Return what makes a picture upright, or None.

    Only EXIF counts, as in browsers: PIL's own `exif_transpose` heeds XMP too, and fails where EXIF data are broken.
    """
    exif = Image.Exif()
    try:
        if image.format == "TIFF":
            exif = image.getexif()
        else:
            exif.load(image.info.get("exif", b""))
        return TURNS.get(exif.get(ExifTags.Base.Orientation, 1))
    except (SyntaxError, struct.error):  # a note that cannot be read
        return None


def image_row(picture: Picture, *, name: str, group: str, split: Split) -> ImageRow:
    """Return the row of a picture that is to be copied."""
    path = Path(COPIES) / f"{picture.id}{picture.suffix}"
    return ImageRow(picture.id, name, str(path), group, split, picture.width, picture.height)


def copy_picture(picture: Picture, workspace: Path, row: ImageRow) -> None:
    """Copy a picture into the workspace, to where its row says. Copying it again mends a copy that was damaged.

    Raises:
        ImportDataError: If the disk does not take it, or the file is another one than was read.
    """
    target = workspace / row.path
    if not _holds(target, picture.id):
        aside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            content = picture.source.read_bytes()
            if hashlib.sha256(content).hexdigest() != picture.id:
                raise ImportDataError(f"The image {row.name} changed while it was imported. Import it again.")
            aside.write_bytes(content)
            to_disk(aside)
            aside.replace(target)
            _made_file(target).unlink(missing_ok=True)  # it was made of what was damaged, and so were a clip's frames
            shutil.rmtree(frames_folder(target), ignore_errors=True)
        except OSError as error:
            aside.unlink(missing_ok=True)
            message = f"Cannot copy {row.name} into the workspace: {error}. Free some space and try again."
            raise ImportDataError(message) from error


def _holds(file: Path, image_id: ImageId) -> bool:
    """Tell whether a file has the bytes that its name says."""
    try:
        with file.open("rb") as opened_file:
            return hashlib.file_digest(opened_file, "sha256").hexdigest() == image_id
    except FileNotFoundError:
        return False
