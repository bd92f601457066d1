"""Fixtures that several test modules use: pictures, and the bundled model. The network is closed to all tests."""

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

os.environ["HF_HUB_OFFLINE"] = "1"  # for the processes that tests start, too

from leaml.config import BUNDLED_MODEL
from leaml.models.backbone import Backbone, load
from leaml.models.features import ImageFeatures
from leaml.records import AnsweredQuestion, ImageId
from tests.warm import Warm, stand_in

_connect = socket.socket.connect


def _connect_to_this_machine(self: socket.socket, address: Any) -> None:
    """Connect, unless the address is somewhere else."""
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"A test tried to reach {address[0]}. Tests run without the network.")
    _connect(self, address)


socket.socket.connect = _connect_to_this_machine  # type: ignore[method-assign]

COLOURS = ("crimson", "teal", "gold", "navy")


def draw(path: Path, index: int) -> Path:
    """Save a picture with one disc whose place and colour depend on the index."""
    picture = Image.new("RGB", (160, 120), (235, 235, 225))
    x = (30, 80, 130)[index % 3]
    ImageDraw.Draw(picture).ellipse((x - 22, 38, x + 22, 82), fill=COLOURS[index % 4])
    picture.save(path)
    return path


def place_question(image_id: str, index: int) -> AnsweredQuestion:
    """Return a question about the place of that disc, with its right answer."""
    options = ("left", "center", "right")
    return AnsweredQuestion(
        ImageId(image_id), "Where is the disc, from left to right?", options, options[index % 3], "place"
    )


@pytest.fixture(scope="session", autouse=True)
def warm() -> Iterator[Warm | None]:
    """Have workers that are started in this process start soon; the others, and all on other systems, as they do."""
    if sys.platform != "linux":
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="leaml_warm_") as folder:  # a socket's path has to be short
        found = Warm(Path(folder) / "socket")
        stand_in(str(found.path))
        yield found
        found.close()


@pytest.fixture
def pictures(tmp_path: Path) -> dict[ImageId, Path]:
    """Six pictures on disk."""
    return {ImageId(f"picture{n}"): draw(tmp_path / f"picture{n}.png", n) for n in range(6)}


@pytest.fixture
def float32_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute alike on every processor: the models' own ways, which ours are held against, know no autocast."""
    monkeypatch.setattr("leaml.models.precision.multiplies_bfloat16", lambda device_type: False)


@pytest.fixture
def backbone() -> Backbone:
    """The bundled model, loaded afresh: a test may change its weights."""
    return load(BUNDLED_MODEL, device="cpu")


@pytest.fixture
def features(backbone: Backbone, pictures: dict[ImageId, Path], tmp_path: Path) -> ImageFeatures:
    """The features of the six pictures."""
    found = ImageFeatures(backbone, tmp_path / "cache")
    found.add(pictures)
    return found
