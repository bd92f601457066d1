"""Full fine-tuning of the decoder with the app's own loop, for about a given wall time.

The cosine needs the number of steps beforehand, so a few forward and backward passes are timed first. A machine that
turns slower is stopped a quarter late.
"""

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from leaml.backbone import Backbone
from leaml.config import TrainConfig
from leaml.features import ImageFeatures
from leaml.objectives import Sample, collate, cycle_indices, sequence_losses
from leaml.precision import autocast
from leaml.report import Cancelled
from leaml.training import Loss, train
from leaml.updates import full_update

BATCH_SIZE = 16
LEARNING_RATE = 5e-4
WEIGHT_DECAY = 0.01
WARMUP_SHARE = 0.05
TIMED, UNTIMED = 3, 1
LATE = 1.25
"""Training stops after this much of the time asked for."""


@dataclass(frozen=True)
class Trained:
    """What a training came to."""

    steps: int
    seconds: float
    loss: float


class Clock:
    """Hears the steps, and says stop when it is too late."""

    def __init__(self, seconds: float) -> None:
        """Start the clock."""
        self.began, self.last, self.steps = time.monotonic(), time.monotonic() + seconds, 0

    def progress(self, stage: str, step: int, total: int, **figures: float) -> None:
        """Count one step."""
        self.steps = step

    def cancelled(self) -> bool:
        """Tell whether time is up."""
        return time.monotonic() > self.last


def train_for(backbone: Backbone, features: ImageFeatures, samples: Sequence[Sample], *, seconds: float) -> Trained:
    """Train the whole decoder on the samples for about so many seconds, in place."""
    update = full_update(backbone, weight_decay=WEIGHT_DECAY)
    step_s = time_passes(backbone, features, samples)
    steps = max(1, math.ceil(seconds / step_s))
    config = TrainConfig(
        steps=steps,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
        warmup_steps=int(WARMUP_SHARE * steps),
        checkpoint_every=steps,
    )
    clock, losses = Clock(LATE * seconds), [0.0]

    def losses_of_step(step: int) -> Iterator[Loss]:
        loss = next(batch_loss(backbone, features, samples, step))
        losses.append(loss[1]["loss"])
        yield loss

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
    return Trained(clock.steps, time.monotonic() - clock.began, losses[-1])


def time_passes(backbone: Backbone, features: ImageFeatures, samples: Sequence[Sample]) -> float:
    """Return the median seconds of a forward and backward pass; no weight moves, no gradient stays."""
    times = []
    for step in range(UNTIMED + TIMED):
        began = time.perf_counter()
        with autocast(backbone.device):
            loss, _ = next(batch_loss(backbone, features, samples, step))
        loss.backward()
        times.append(time.perf_counter() - began)
        for weight in backbone.decoder_weights().values():
            weight.grad = None
    return median(times[UNTIMED:])


def batch_loss(backbone: Backbone, features: ImageFeatures, samples: Sequence[Sample], step: int) -> Iterator[Loss]:
    """Yield the mean over a batch of the targets' negative log-likelihood, as the app minimises it (Eq. 3)."""
    chosen = [samples[i] for i in cycle_indices(len(samples), BATCH_SIZE, seed=0, step=step)]
    losses, tokens = sequence_losses(backbone, collate(backbone, features, chosen))
    yield losses.sum() / len(chosen), {"loss": float(losses.detach().sum() / tokens.sum())}
