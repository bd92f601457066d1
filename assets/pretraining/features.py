"""Draws scenes and stores the frozen tower's features, shard by shard, so that training can start at once.

`python -m assets.pretraining.features --work DIR` writes `DIR/<split>_<number>.npy`, float16
`[images, tokens, channels]`; the row is the scene's seed or the easy-vqa image's index. About 50 ms an
image on one core; several processes share the work. A `.part` file without a process is one that was killed: delete it.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import EfficientNetModel

from assets.pretraining.model.tower import folded, preprocess
from assets.pretraining.model.wide_tower import load_wide_tower
from assets.pretraining.scenes.drawing import draw_scene
from assets.pretraining.scenes.plan import plan_scene
from leaml.models.precision import multiplies_bfloat16

IMAGE_SIZE = 256
SHARD = 500
HELD_OUT_SEED = 10_000_000
"""Held-out scenes are numbered from here; training scenes from 0."""
HELD_OUT = 300


def shard_path(work: Path, split: str, number: int) -> Path:
    """Return the file of one shard."""
    return work / f"{split}_{number:04d}.npy"


def easy_vqa_paths(split: str) -> list[Path]:
    """Return easy-vqa's images of "train" or "test", by image number."""
    import easy_vqa

    paths = easy_vqa.get_train_image_paths() if split == "train" else easy_vqa.get_test_image_paths()
    return [Path(paths[index]) for index in sorted(paths)]


def encode(images: list[Image.Image], tower: EfficientNetModel) -> NDArray[np.float16]:
    """Return the tower's features `[images, tokens, channels]` in row-major cell order."""
    pixels = preprocess(images, IMAGE_SIZE).to(tower.dtype, memory_format=torch.channels_last)
    with torch.inference_mode():
        hidden = tower(pixels).last_hidden_state
    return hidden.flatten(2).transpose(1, 2).to(torch.float16).numpy()


def _jobs(first: int, scenes: int) -> Iterator[tuple[str, int, range]]:
    """Yield (split, shard number, rows): held-out scenes first, easy-vqa after the first training shards."""
    yield "heldout", 0, range(HELD_OUT_SEED, HELD_OUT_SEED + HELD_OUT)
    easy = [("easyvqa", n, range(n * SHARD, (n + 1) * SHARD)) for n in range(4000 // SHARD)]
    for number in range(first // SHARD, (first + scenes) // SHARD):
        yield "scenes", number, range(number * SHARD, (number + 1) * SHARD)
        if number >= first // SHARD + 3 and easy:
            yield easy.pop(0)


def main() -> None:
    """Write every shard that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the feature shards")
    parser.add_argument("--scenes", type=int, default=30_000)
    parser.add_argument("--first", type=int, default=0, help="first scene; a later run can go on with new ones")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    precision = torch.bfloat16 if multiplies_bfloat16("cpu") else torch.float32
    tower = folded(load_wide_tower()).to(precision).to(memory_format=torch.channels_last)
    easy = easy_vqa_paths("train")
    for split, number, rows in _jobs(arguments.first, arguments.scenes):
        path = shard_path(arguments.work, split, number)
        partial = path.with_suffix(".part")
        if path.exists() or partial.exists():
            continue
        partial.touch()  # taken: a second process goes on with the next shard
        parts = []
        for row in rows:  # one by one: then all activations stay in the cache, which is faster than any batch
            image = Image.open(easy[row]) if split == "easyvqa" else draw_scene(plan_scene(row), IMAGE_SIZE)
            parts.append(encode([image], tower))
        with partial.open("wb") as file:
            np.save(file, np.concatenate(parts))
        partial.rename(path)


if __name__ == "__main__":
    main()
