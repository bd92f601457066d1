"""Pictures as they are sent to a server."""

import base64
from io import BytesIO
from pathlib import Path

from PIL import Image

from leaml.data.images import open_rgb

JPEG_QUALITY = 92


def data_url(path: Path, *, longest_side_px: int, image_format: str) -> str:
    """Return a picture as a data URL, reduced where it is larger, without any of the file's metadata.

    It is sent as the student sees it: its first frame, not turned by what the camera noted.

    Args:
        path: Its file.
        longest_side_px: Its longest side at most.
        image_format: `jpeg` or `png`.

    Raises:
        ImportDataError: If it cannot be read.
    """
    picture = open_rgb(path)
    picture.thumbnail((longest_side_px, longest_side_px), Image.Resampling.LANCZOS)
    picture.info.clear()  # PIL writes an ICC profile or a comment again otherwise
    content = BytesIO()
    picture.save(content, image_format.upper(), quality=JPEG_QUALITY)
    return f"data:image/{image_format};base64,{base64.b64encode(content.getvalue()).decode()}"
