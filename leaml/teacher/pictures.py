"""Pictures as they are sent to a server."""

import base64
from io import BytesIO
from pathlib import Path

from PIL import Image

from leaml.data.items import open_pictures

JPEG_QUALITY = 92


def data_urls(path: Path, *, longest_side_px: int, image_format: str) -> list[str]:
    """Return a picture, or each frame of a clip, as a data URL: reduced where it is larger, without any metadata.

    It is sent as the student sees it: upright.

    Args:
        path: Its file.
        longest_side_px: Its longest side at most.
        image_format: `jpeg` or `png`.

    Raises:
        ImportDataError: If it cannot be read.
    """
    return [_data_url(picture, longest_side_px, image_format) for picture in open_pictures(path)]


def _data_url(picture: Image.Image, longest_side_px: int, image_format: str) -> str:
    picture.thumbnail((longest_side_px, longest_side_px), Image.Resampling.LANCZOS)
    picture.info.clear()  # PIL writes an ICC profile or a comment again otherwise
    content = BytesIO()
    picture.save(content, image_format.upper(), quality=JPEG_QUALITY)
    return f"data:image/{image_format};base64,{base64.b64encode(content.getvalue()).decode()}"
