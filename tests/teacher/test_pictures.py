"""Images as a server gets them."""

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from leaml.teacher.pictures import data_urls
from tests.conftest import draw


@pytest.mark.parametrize(("image_format", "decoded"), [("jpeg", "JPEG"), ("png", "PNG")])
def test_large_images_are_reduced_and_lose_their_metadata(image_format, decoded, tmp_path):
    picture = Image.new("CMYK", (3000, 1000))
    exif = Image.Exif()
    exif[0x010E] = "Patient 17"
    picture.save(tmp_path / "scan.jpg", exif=exif, comment=b"Patient 17")
    (url,) = data_urls(tmp_path / "scan.jpg", longest_side_px=512, image_format=image_format)
    head, _, content = url.partition(",")
    data = base64.b64decode(content)
    with Image.open(BytesIO(data)) as sent:
        assert (sent.format, sent.mode, sent.size) == (decoded, "RGB", (512, 171))
    assert head == f"data:image/{image_format};base64" and b"Patient" not in data


def test_a_picture_of_16_bits_keeps_its_brightness(tmp_path):
    Image.fromarray(np.full((20, 20), 0x8000, dtype=np.uint16)).save(tmp_path / "scan.png")
    (url,) = data_urls(tmp_path / "scan.png", longest_side_px=512, image_format="png")
    content = url.partition(",")[2]
    with Image.open(BytesIO(base64.b64decode(content))) as sent:
        assert sent.getpixel((9, 9)) == (128, 128, 128)


def test_small_images_keep_their_size(tmp_path):
    draw(tmp_path / "a.png", 0)
    (url,) = data_urls(tmp_path / "a.png", longest_side_px=512, image_format="png")
    data = base64.b64decode(url.partition(",")[2])
    with Image.open(BytesIO(data)) as sent, Image.open(tmp_path / "a.png") as own:
        assert sent.tobytes() == own.tobytes()
