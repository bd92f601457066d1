"""Full fine-tuning of the decoder with the app's own loop, for about a given wall time.

How many steps fit into the time depends on the machine. Where that would be too many (captions are soon known by
heart), a first training, without a part of the images, finds after how many their loss is least; the second, on all,
counts. The cosine needs the number of steps beforehand, so a few forward and backward passes are timed first. A
machine that turns slower is stopped a quarter late. Mirrored pictures are encoded before the clock starts, as the
others are: the app keeps them, too.
"""

import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

import torch

from benchmarks.mini.splits import hold_out
from leaml.config import Flips, TrainConfig
from leaml.models.backbone import Backbone
from leaml.models.features import ImageFeatures
from leaml.models.precision import autocast
from leaml.records import ImageId
from leaml.report import Cancelled
from leaml.threads import share_cores
from leaml.training.flips import WAYS, flip_id
from leaml.training.objectives import (
    Sample,
    beside_others,
    collate,
    cycle_indices,
    flip_some,
    sequence_losses,
    split,
    told_apart,
)
from leaml.training.train import Loss, backward, shares_of, train
from leaml.training.updates import full_update

BATCH_SIZE = 16
LEARNING_RATE = 5e-4
WEIGHT_DECAY = 0.01
WARMUP_SHARE = 0.05
TIMED, UNTIMED = 3, 1
LATE = 1.25
"""Training stops after this much of the time asked for."""
SEARCH, WATCHED, WATCHED_SEED, LOOKS = 0.5, 0.2, 6, 12
"""Of the time, and of the images' groups, what the first training takes and leaves out; how often it looks at these."""


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Attributes:
        steps: Of the training that counts.
        searched: Steps of the one before it that found their number; 0 without one.
        seconds: Of both.
        encoding: Seconds before them, for mirrored pictures.
        loss: Of the last batch, nats a token.
    """

    steps: int
    searched: int
    seconds: float
    encoding: float
    loss: float


@dataclass(frozen=True)
class Lesson:
    """What is minimised, and in which steps; where nothing is said, as answers are learnt.

    Attributes:
        flips: How pictures are mirrored, too.
        contrast: How much targets are to be less likely beside other images.
        batch_size: Targets a step.
        learning_rate: At its highest.
    """

    flips: Flips = "none"
    contrast: float = 0.0
    batch_size: int = BATCH_SIZE
    learning_rate: float = LEARNING_RATE


PLAIN = Lesson()


class Clock:
    """Hears the steps, and says stop when it is too late."""

    def __init__(self, seconds: float) -> None:
        """Start the clock."""
        self.began, self.last, self.steps = time.monotonic(), time.monotonic() + seconds, 0
        self.loss = 0.0

    def progress(self, stage: str, step: int, total: int, **figures: float) -> None:
        """Count one step, and keep its loss."""
        self.steps, self.loss = step, figures["loss"]

    def cancelled(self) -> bool:
        """Tell whether time is up."""
        return time.monotonic() > self.last


def train_for(
    backbone: Backbone, features: ImageFeatures, samples: Sequence[Sample], *, seconds: float, lesson: Lesson = PLAIN
) -> Trained:
    """Train the whole decoder on the samples for about so many seconds, in place."""
    encoding = _encode_flipped(features, samples, lesson.flips)
    began = time.monotonic()
    steps = max(1, math.ceil(seconds / time_passes(backbone, features, samples, lesson)))
    course = _train(backbone, features, samples, Clock(LATE * seconds), steps=steps, lesson=lesson)
    return Trained(course.steps, 0, time.monotonic() - began, encoding, course.loss)


def train_within(
    backbone: Backbone,
    features: ImageFeatures,
    samples: Sequence[Sample],
    groups: Mapping[ImageId, str],
    *,
    seconds: float,
    lesson: Lesson = PLAIN,
) -> Trained:
    """Train the whole decoder on the samples, in place, for as long as it helps; about so many seconds at most.

    Args:
        backbone: The model.
        features: Of the samples' images.
        samples: What is learnt.
        groups: By image; those of one group are near-duplicates and are left out of the first training together.
        seconds: Wall time of both trainings.
        lesson: What is minimised.
    """
    encoding = _encode_flipped(features, samples, lesson.flips)
    began = time.monotonic()
    longest = max(1, math.ceil(SEARCH * seconds / time_passes(backbone, features, samples, lesson)))
    start = {name: weight.detach().clone() for name, weight in backbone.decoder_weights().items()}
    watched = hold_out({s.image_id: groups[s.image_id] for s in samples}, WATCHED, seed=WATCHED_SEED)
    learnt = [sample for sample in samples if sample.image_id not in watched]
    seen = [sample for sample in samples if sample.image_id in watched]
    search = _train(backbone, features, learnt, Clock(LATE * SEARCH * seconds), steps=longest, lesson=lesson, seen=seen)
    with torch.no_grad():
        for name, weight in backbone.decoder_weights().items():
            weight.copy_(start[name])
    best = min(search.looks, key=search.looks.__getitem__)
    # As many passes over the data, which is more now.
    steps = round(best * len(samples) / len(learnt))
    left = LATE * seconds - (time.monotonic() - began)
    final = _train(backbone, features, samples, Clock(left), steps=steps, lesson=lesson)
    return Trained(final.steps, search.steps, time.monotonic() - began, encoding, final.loss)


def _encode_flipped(features: ImageFeatures, samples: Sequence[Sample], flips: Flips) -> float:
    """Have the features of all pictures that may be shown, and return how many seconds that took."""
    began = time.monotonic()
    for image_id in {sample.image_id for sample in samples}:
        features.batch(flip_id(image_id, way) for way in WAYS[flips])
    return time.monotonic() - began


@dataclass(frozen=True)
class _Course:
    """One training: its steps, its last batch's loss, and by step the loss of what it did not learn."""

    steps: int
    loss: float
    looks: dict[int, float]


def _train(
    backbone: Backbone,
    features: ImageFeatures,
    samples: Sequence[Sample],
    clock: Clock,
    *,
    steps: int,
    lesson: Lesson,
    seen: Sequence[Sample] = (),
) -> _Course:
    update = full_update(backbone, weight_decay=WEIGHT_DECAY)
    config = _config(lesson, steps)
    looks = dict[int, float]()

    def look(step: int) -> None:
        if seen:
            looks[step] = mean_loss(backbone, features, seen)

    def losses_of_step(step: int) -> list[Iterator[Loss]]:
        if step and step % max(1, steps // LOOKS) == 0:
            look(step)
        return batch_losses(backbone, features, samples, step, lesson)

    with tempfile.TemporaryDirectory() as folder:
        try:
            train(
                "mini",
                update.optimizer,
                losses_of_step,
                config,
                checkpoints=Path(folder),
                report=clock,
                device=backbone.device,
            )
        except Cancelled:
            update.optimizer.close()
    look(clock.steps)
    return _Course(clock.steps, clock.loss, looks)


@torch.no_grad()
def mean_loss(backbone: Backbone, features: ImageFeatures, samples: Sequence[Sample]) -> float:
    """Return the mean over samples of the target's negative log-likelihood, nats."""
    found: list[float] = []
    for start in range(0, len(samples), BATCH_SIZE):
        with autocast(backbone.device):
            losses, _ = sequence_losses(backbone, collate(backbone, features, samples[start : start + BATCH_SIZE]))
        found += losses.tolist()
    return fmean(found)


def time_passes(
    backbone: Backbone, features: ImageFeatures, samples: Sequence[Sample], lesson: Lesson = PLAIN
) -> float:
    """Return the median seconds of a forward and backward pass; no weight moves, no gradient stays."""
    update, times = full_update(backbone, weight_decay=WEIGHT_DECAY), []
    with share_cores(len(batch_losses(backbone, features, samples, 0, lesson))) as cores:
        for step in range(UNTIMED + TIMED):
            began = time.perf_counter()
            backward(batch_losses(backbone, features, samples, step, lesson), backbone.device, cores)
            times.append(time.perf_counter() - began)
            for weight in backbone.decoder_weights().values():
                weight.grad = None
    update.optimizer.close()
    return median(times[UNTIMED:])


def batch_losses(
    backbone: Backbone, features: ImageFeatures, samples: Sequence[Sample], step: int, lesson: Lesson = PLAIN
) -> list[Iterator[Loss]]:
    """Return the mean over a batch of the targets' negative log-likelihood, as the app minimises it (Eq. 3)."""
    chosen = [samples[i] for i in cycle_indices(len(samples), lesson.batch_size, seed=0, step=step)]
    shown = flip_some(chosen, lesson.flips, seed=0, step=step)
    wrong = beside_others(shown) if lesson.contrast else []

    def losses(own: Sequence[Sample], other: Sequence[Sample]) -> Iterator[Loss]:
        lost, figures = told_apart(backbone, features, own, other, contrast=lesson.contrast)
        yield lost.sum() / len(chosen), {"loss": figures["caption_loss"]}

    shares = shares_of(_config(lesson, 1), backbone.device)
    return [losses(*share) for share in zip(split(shown, shares), split(wrong, shares), strict=True)]


def _config(lesson: Lesson, steps: int) -> TrainConfig:
    return TrainConfig(
        steps=steps,
        batch_size=lesson.batch_size,
        learning_rate=lesson.learning_rate,
        weight_decay=WEIGHT_DECAY,
        warmup_steps=int(WARMUP_SHARE * steps),
        checkpoint_every=steps,
    )
