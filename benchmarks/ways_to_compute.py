"""What the ways to compute bring on a quiet machine: `python -m benchmarks.ways_to_compute [--rounds N]`.

Of the bundled model on the sample's pool, in turns within one process: the probabilities of all options with prompts in
float32 products and in those of `leaml.models.precision`, each prompt alone and what those about one image share once;
the tower with a picture's channels one after the other and side by side; a training step with torch's fused attention
and with plain products, in one share on all cores and in two at once. Prints the median of the rounds, and of their
ratios to the first way.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from statistics import median
from unittest.mock import patch

import torch

from benchmarks import record
from benchmarks.mini.photos import blood_smears
from leaml.config import BUNDLED_MODEL
from leaml.data.items import open_pictures
from leaml.models import attention
from leaml.models.backbone import Backbone, load
from leaml.models.decoding import option_probabilities
from leaml.models.features import ImageFeatures
from leaml.models.precision import autocast, multiplies_bfloat16
from leaml.records import AnsweredQuestion
from leaml.threads import share_cores
from leaml.training.objectives import Sample, answer_sample, collate, sequence_losses, split
from leaml.training.train import Loss, backward
from leaml.training.updates import full_update

ROUNDS, BATCH_SIZE, IMAGES, LEARNING_RATE = 9, 16, 48, 1e-6

Ways = dict[str, Callable[[], object]]


def main() -> int:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ways_to_compute", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of each way [{ROUNDS}]")
    rounds = parser.parse_args().rounds
    print(f"{record.machine()}; {record.versions()}")
    photos, backbone = blood_smears(), load(BUNDLED_MODEL)
    images = {image_id: photos.images[image_id] for image_id in sorted(photos.images)[:IMAGES]}
    questions = [question for question in photos.questions if question.image_id in images]
    with tempfile.TemporaryDirectory() as folder:
        features = ImageFeatures(backbone, Path(folder))
        features.add(images)
        compared = {
            f"options of {len(questions)} questions about {IMAGES} images": answering(backbone, features, questions),
            "a picture through the tower": seeing(backbone, images[min(images)]),
        }
        for what, ways in compared.items():
            record.append(figures(what, in_turns(ways, rounds)))
        with share_cores(2) as halves:
            ways = training(backbone, features, questions, halves)
            record.append(figures(f"a step of {BATCH_SIZE} answers", in_turns(ways, rounds)))
    return 0


def answering(backbone: Backbone, features: ImageFeatures, questions: list[AnsweredQuestion]) -> Ways:
    """Return the ways to score all options."""

    def score(*, fast: bool, shared: bool) -> None:
        with (
            patch("leaml.models.precision.multiplies_bfloat16", lambda _: fast),
            patch.object(backbone, "shares_prefill", shared),
        ):
            option_probabilities(backbone, features, questions, lambda done, total: None)

    fast = multiplies_bfloat16("cpu")
    return {
        "float32 products, each prompt alone": lambda: score(fast=False, shared=False),
        "usual products, each prompt alone": lambda: score(fast=fast, shared=False),
        "usual products, shared once": lambda: score(fast=fast, shared=True),
    }


def seeing(backbone: Backbone, path: Path) -> Ways:
    """Return the ways to lay out pixels for the tower."""
    pixels = backbone.processor.image_processor(images=open_pictures(path), return_tensors="pt")["pixel_values"]

    @torch.no_grad()
    def see(layout: torch.memory_format) -> None:
        with autocast(backbone.device):
            backbone.model.model.get_image_features(pixels.contiguous(memory_format=layout), return_dict=True)

    return {
        "channels one after the other": lambda: see(torch.contiguous_format),
        "channels side by side": lambda: see(torch.channels_last),
    }


def training(backbone: Backbone, features: ImageFeatures, questions: list[AnsweredQuestion], halves: Executor) -> Ways:
    """Return the ways of attention, and of sharing the cores, in a step of full fine-tuning."""
    samples = [answer_sample(question) for question in questions[:: len(questions) // BATCH_SIZE][:BATCH_SIZE]]
    update = full_update(backbone, weight_decay=0.0)
    config = backbone.decoder.config

    def losses(share: Sequence[Sample]) -> Iterator[Loss]:
        yield sequence_losses(backbone, collate(backbone, features, share))[0].sum() / BATCH_SIZE, {}

    def step(name: str, shares: int) -> None:
        config._attn_implementation = name
        backward([losses(share) for share in split(samples, shares)], backbone.device, halves)
        update.optimizer.clip(1.0)
        update.optimizer.step(LEARNING_RATE)

    return {
        "fused attention": lambda: step("sdpa", 1),
        "plain products": lambda: step(attention.NAME, 1),
        "fused attention, two shares at once": lambda: step("sdpa", 2),
        "plain products, two shares at once": lambda: step(attention.NAME, 2),
    }


def in_turns(ways: Ways, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each way, a round of all after the other; the first round warms up."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - began)
    return {name: found[1:] for name, found in times.items()}


def figures(what: str, times: dict[str, list[float]]) -> list[record.Figure]:
    """Return the log's lines of one comparison, and print it."""
    print(what)
    first = next(iter(times.values()))
    found = []
    for name, seconds in times.items():
        ratios = [one / other for one, other in zip(seconds, first, strict=True)]
        found.append(record.Figure.of("ways_to_compute", f"{what}, {name}", "time", "s", seconds))
        found.append(record.Figure.of("ways_to_compute", f"{what}, {name}", "of the first", "x", ratios))
        low, high = found[-1].p20, found[-1].p80
        print(f"  {name:<38}{median(seconds):8.3f} s   {found[-1].p50:.2f} ({low:.2f} to {high:.2f})", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
