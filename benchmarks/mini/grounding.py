"""Whether captions are read off the image: their loss with the right image and with a wrong one of the same domain.

On held-out scenes as the model is; on photographs before and after a short distillation of the teacher's captions of
the other images. The decoder's whole change is trained in about the given wall time, as many captions a step and as
fast as the app's generator learns them.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from benchmarks.mini.photos import Photos
from benchmarks.mini.place import Place, held_out_questions, held_out_scene, scene_id, write_caption
from benchmarks.mini.rows import Row, ratio_interval, share_row
from benchmarks.mini.splits import derangement
from benchmarks.mini.timed import Lesson, train_within
from leaml.config import GeneratorConfig
from leaml.models.backbone import Backbone
from leaml.models.features import ImageFeatures
from leaml.models.precision import autocast
from leaml.prompts import CAPTION_PROMPT
from leaml.recipes import CONTRAST, GENERATOR_RATES
from leaml.training.objectives import Sample, caption_sample, collate, sequence_losses

PART = "grounding"
HELD_OUT, SPLIT_SEED, WRONG_SEED = 0.25, 3, 5
BATCH = 16
ALONE = Lesson(batch_size=GeneratorConfig().train.batch_size // 2, learning_rate=GENERATOR_RATES["full"])
"""The paper's loss of captions, learnt as the app's generator does: half of its batch are captions."""


def measure(place: Place) -> list[Row]:
    """Return caption losses with right and wrong images, before and after distillation."""
    rows = _scenes(place)
    for photos in place.collections():
        rows += _photos(place, photos)
    if place.kvasir is None:
        print("grounding: Kvasir polyps skipped; give --kvasir FOLDER or set LEAML_KVASIR.", flush=True)
    return rows


def caption_rows(backbone: Backbone, features: ImageFeatures, samples: Sequence[Sample], subject: str) -> list[Row]:
    """Return the loss with the right and a wrong image, their difference, how often it is less, and the perplexity."""
    other = derangement([sample.image_id for sample in samples], seed=WRONG_SEED)
    right, tokens = caption_losses(backbone, features, samples)
    wrong, _ = caption_losses(
        backbone, features, [replace(sample, image_id=other[sample.image_id]) for sample in samples]
    )
    count = len(samples)
    rows = []
    for metric, totals in (
        ("caption loss", right),
        ("caption loss, wrong image", wrong),
        ("wrong minus right", wrong - right),
    ):
        found = ratio_interval(totals.tolist(), tokens.tolist())
        rows.append(Row(PART, subject, metric, "nats/token", found.value, count, found.low, found.high))
    rows.append(share_row(PART, subject, "right image preferred", (right < wrong).tolist(), chance=0.5))
    loss = rows[0]
    low, high = (math.exp(end) for end in (loss.low or 0.0, loss.high or 0.0))
    return [*rows, Row(PART, subject, "caption perplexity", "", math.exp(loss.value), count, low, high)]


@torch.inference_mode()
def caption_losses(
    backbone: Backbone, features: ImageFeatures, samples: Sequence[Sample]
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return each caption's loss `[N]` (nats, summed) and its tokens `[N]`."""
    losses: list[float] = []
    counts: list[float] = []
    for start in range(0, len(samples), BATCH):
        with autocast(backbone.device):
            found, tokens = sequence_losses(backbone, collate(backbone, features, samples[start : start + BATCH]))
        losses += found.tolist()
        counts += tokens.tolist()
    return np.array(losses), np.array(counts)


def _scenes(place: Place) -> list[Row]:
    backbone, count = place.backbone(), place.amounts.scenes
    features = place.scene_features(backbone, count)
    samples = []
    for number in range(count):
        # The questions are drawn first, as in pretraining's own exam, so that the captions are the same.
        rng, scene = np.random.default_rng([number, 13]), held_out_scene(number)
        held_out_questions(rng, scene)
        samples.append(Sample(scene_id(number), CAPTION_PROMPT, write_caption(rng, scene)))
    return caption_rows(backbone, features, samples, "scenes")


def _photos(place: Place, photos: Photos) -> list[Row]:
    out = photos.held_out(HELD_OUT, seed=SPLIT_SEED)
    samples = [caption_sample(caption) for caption in photos.captions]
    held = [sample for sample in samples if sample.image_id in out]
    taught = [sample for sample in samples if sample.image_id not in out]
    rows: list[Row] = []
    for after, lesson in (
        (f"{photos.name}, after, L_C alone", ALONE),
        (f"{photos.name}, after", replace(ALONE, flips=photos.flips, contrast=CONTRAST)),
    ):
        backbone = place.backbone()
        features = place.photo_features(backbone, photos.images)
        if not rows:
            rows += caption_rows(backbone, features, held, f"{photos.name}, before")
        trained = train_within(backbone, features, taught, photos.groups, seconds=place.amounts.distil_s, lesson=lesson)
        rows += caption_rows(backbone, features, held, after)
        beside = {"seconds": trained.seconds, "searched": trained.searched, "encoding before": trained.encoding}
        rows.append(Row(PART, after, "distillation", "steps", trained.steps, 1, beside=beside))
    return rows
