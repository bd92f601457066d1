"""Captions that a generator reads beside the image: AdaMLLM's synthesizer (Cheng et al. 2024), every tenth image blank.

The blank images are there so that the text is read at all.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from PIL import Image

from leaml.records import ImageId
from leaml.training.objectives import Sample

BLANK = ImageId("blank")
"""The image that shows nothing."""
BLANK_SHARE = 0.1
SIDE_PX = 64


def some_blank(samples: Sequence[Sample], *, seed: int, step: int) -> list[Sample]:
    """Return a step's samples with a tenth of their images, by chance, replaced by the blank one."""
    chance = Random(f"{seed} {step}")
    return [replace(sample, image_id=BLANK) if chance.random() < BLANK_SHARE else sample for sample in samples]


def blank_picture(folder: Path) -> Path:
    """Write the blank image into a folder and return its path."""
    path = folder / "blank.png"
    Image.new("RGB", (SIDE_PX, SIDE_PX), "white").save(path)
    return path
