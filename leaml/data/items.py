"""An item is what is asked about: a picture, or a clip, of which models and people are shown frames."""

from pathlib import Path

from PIL import Image

from leaml.data import images, video
from leaml.data.images import Picture, copy_picture, open_rgb, read_picture, shown_file
from leaml.data.video import frame_files, is_video, read_clip
from leaml.records import ImageRow

FILE_ENDINGS = images.FILE_ENDINGS | video.FILE_ENDINGS
READ = "JPEG, PNG, WebP, BMP, TIFF; clips: MP4, MOV, MKV, WebM, AVI"
"""The formats that are read, for sentences."""


def read_item(path: Path) -> Picture:
    """Return a picture or a clip, decoded once so that a broken one is found now.

    Raises:
        ImportDataError: If it cannot be read.
    """
    return read_clip(path) if is_video(path) else read_picture(path)


def copy_item(item: Picture, workspace: Path, row: ImageRow) -> None:
    """Copy a picture, or a clip with its frames, into the workspace, to where its row says; browsers can show it then.

    Copying it again mends what was damaged: the copy, and the pictures that were made of it.

    Raises:
        ImportDataError: If the disk does not take it, or the file is another one than was read.
    """
    copy_picture(item, workspace, row)
    path = workspace / row.path
    if is_video(path):
        video.discard_damaged(path)
    for file in picture_files(path):
        images.discard_damaged(file)
        shown_file(file)


def picture_files(path: Path) -> list[Path]:
    """Return the files of an item's pictures: itself, or its frames in the order of time.

    Raises:
        ImportDataError: If it is a clip that cannot be read.
    """
    return frame_files(path) if is_video(path) else [path]


def cover(path: Path) -> Path:
    """Return the file of the picture that stands for an item: of a clip, the frame in its middle."""
    files = picture_files(path)
    return files[len(files) // 2]


def open_pictures(path: Path) -> list[Image.Image]:
    """Return an item's pictures as models see them, 8-bit RGB.

    Raises:
        ImportDataError: If it cannot be read.
    """
    return [open_rgb(file) for file in picture_files(path)]
