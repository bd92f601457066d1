"""What can be read from the frozen tower: `python -m benchmarks.sight [--kvasir FOLDER] --json FILE`.

Linear probes of EfficientNet-Lite0's features at several picture sizes and depths, on the sample's pool and on Kvasir
polyps: macro accuracy over question types, mean over divisions by image group. The test sides are never read. Layers
are joined by adding their kernels, which is concatenating their channels with equal weight. Not covered: the decoder.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import EfficientNetModel

from assets.pretraining.model.tower import folded, load_tower, preprocess
from benchmarks.mini import probe
from benchmarks.mini.photos import Photos, blood_smears, kvasir
from benchmarks.record import machine, versions
from leaml.records import ImageId

SIZES = (256, 320, 384)
STAGES = {"stride 8": 4, "stride 16": 10, "stride 32": 15}
"""The last block of a resolution, by number."""
JOINED = (
    ("last",),
    ("stride 32",),
    ("stride 16",),
    ("stride 8",),
    ("color",),
    ("last", "color"),
    ("last", "stride 16", "color"),
    ("last", "stride 16", "stride 8", "color"),
)
SPLITS, HELD_OUT = 5, 0.3


def layers(picture: Image.Image, tower: EfficientNetModel, size: int) -> dict[str, NDArray[np.float16]]:
    """Return features `[tokens, channels]` of one picture by layer; "color" averages each 16 x 16 pixels."""
    pixels = preprocess([picture], size)
    kept: dict[str, torch.Tensor] = {"color": torch.nn.functional.avg_pool2d(pixels, 16)}
    hooks = [
        tower.encoder.blocks[number].register_forward_hook(lambda _m, _i, out, name=name: kept.update({name: out}))
        for name, number in STAGES.items()
    ]
    with torch.inference_mode():
        kept["last"] = tower(pixels).last_hidden_state
    for hook in hooks:
        hook.remove()
    return {name: value[0].flatten(1).T.to(torch.float16).numpy() for name, value in kept.items()}


def kernels(photos: Photos, tower: EfficientNetModel, size: int) -> dict[str, NDArray[np.float64]]:
    """Return the images' inner products `[N, N]` by layer."""
    rows = [layers(Image.open(path), tower, size) for path in photos.images.values()]
    return {name: probe.kernel(np.stack([row[name] for row in rows]).astype(np.float32)) for name in rows[0]}


def macro_accuracy(photos: Photos, products: NDArray[np.float64], seed: int) -> dict[str, float]:
    """Return the probe's accuracy by question type on the held-out groups of one division."""
    at = {image: row for row, image in enumerate(photos.images)}
    held = photos.held_out(HELD_OUT, seed=seed)
    accuracy = {}
    for kind in sorted({q.type_id or "" for q in photos.questions}):
        of_kind = {q.image_id: q.answer for q in photos.questions if q.type_id == kind}
        train: list[ImageId] = [image for image in of_kind if image not in held]
        test = [image for image in of_kind if image in held]
        answers = [of_kind.get(image, "") for image in photos.images]
        found = probe.predict(products, answers, [at[i] for i in train], [at[i] for i in test])
        accuracy[kind] = float(np.mean([a == of_kind[i] for a, i in zip(found, test, strict=True)]))
    return accuracy


def measure(photos: Photos, tower: EfficientNetModel) -> Iterator[dict[str, object]]:
    """Yield one line for each size and join of layers."""
    for size in SIZES:
        by_layer = kernels(photos, tower, size)
        for names in JOINED:
            products = np.sum([by_layer[name] for name in names], axis=0)
            runs = [macro_accuracy(photos, products, seed) for seed in range(SPLITS)]
            macros = [float(np.mean(list(run.values()))) for run in runs]
            line = {"photos": photos.name, "size": size, "layers": " + ".join(names)}
            line |= {"macro": round(float(np.mean(macros)), 3), "sd": round(float(np.std(macros, ddof=1)), 3)}
            line |= {kind: round(float(np.mean([run[kind] for run in runs])), 3) for kind in runs[0]}
            print(json.dumps(line), flush=True)
            yield line


def write_lines(about: str | None, measure: Callable[[Photos], Iterator[dict[str, object]]]) -> None:
    """Measure the collections that the command line names, and write the lines to its file."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--kvasir", type=Path, help="folder of the Kvasir polyps, which is read where it lies")
    options = parser.parse_args()
    collections = [blood_smears(), *([kvasir(options.kvasir)] if options.kvasir else [])]
    lines = [line for photos in collections for line in measure(photos)]
    options.json.write_text(json.dumps({"machine": machine(), "versions": versions(), "lines": lines}, indent=1) + "\n")


def main() -> None:
    """Measure, and write what was found."""
    tower = folded(load_tower())
    write_lines(__doc__, lambda photos: measure(photos, tower))


if __name__ == "__main__":
    main()
