"""Tiny checkpoints of all families, made once for all modules, and the pictures that they are shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw

from leaml.models.backbone import BUNDLED_PATH
from tests.backbones.tiny import FAMILIES, make

BUNDLED = "fast_vlm"
ALL = (*FAMILIES, BUNDLED)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each family; the bundled model stands for FastVLM."""
    root = tmp_path_factory.mktemp("checkpoints")
    return {**{family: make(family, root / family) for family in FAMILIES}, BUNDLED: BUNDLED_PATH}


@pytest.fixture(scope="session")
def shapes() -> list[Image.Image]:
    """Three pictures of different shapes and contents."""
    pictures = []
    for number, size in enumerate(((60, 40), (50, 90), (64, 64))):
        picture = Image.new("RGB", size, (230, 220, 40 * number))
        ImageDraw.Draw(picture).ellipse(
            (5 + 8 * number, 8, 30 + 8 * number, 34), fill=("navy", "crimson", "teal")[number]
        )
        pictures.append(picture)
    return pictures


def own_inputs(
    processor: Any, pictures: Sequence[Image.Image], prompt: str, answer: Sequence[int] = ()
) -> dict[str, Any]:
    """Return what a model's own processor makes of pictures and a prompt, with an answer's tokens behind it."""
    if processor.chat_template is None:
        text = processor.image_token * len(pictures) + prompt
    else:
        parts = [*([{"type": "image"}] * len(pictures)), {"type": "text", "text": prompt}]
        turns = [{"role": "user", "content": parts}]
        text = processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    # As apply_chat_template does it where it makes the tokens itself.
    bos = processor.tokenizer.bos_token
    adds = {"add_special_tokens": False} if bos and text.startswith(bos) else {}
    made = dict(processor(images=[list(pictures)], text=[text], return_tensors="pt", **adds))
    made.pop("labels", None)
    behind = torch.tensor([list(answer)], dtype=torch.int64)
    made["input_ids"] = torch.cat([made["input_ids"], behind], dim=1)
    made["attention_mask"] = torch.cat([made["attention_mask"], torch.ones_like(behind)], dim=1)
    types = 1 if processor.chat_template is None else 0  # PaliGemma's 1 is an answer, Gemma's an image
    for name in ("token_type_ids", "mm_token_type_ids"):
        if name in made:
            made[name] = torch.cat([made[name], torch.full_like(behind, types)], dim=1)
    return made
