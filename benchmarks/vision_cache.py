"""What keeping image features saves: `python -m benchmarks.vision_cache [--rounds N] [--json FILE]`.

Full fine-tuning steps of the bundled model on the sample's pool, in turns with features from the cache and through the
vision tower. The factor is the median of the rounds' ratios; below the target the exit code is 1. For a model of two
billion weights the factor that a cache can reach is computed from its configuration, by `step_flops` and `tower_flops`:

    tower   = 2 P_v N + 4 L_v N^2 d_v              N patches, P_v weights of the tower and the projector
    decoder = 6 P_d S + 6 L_d S^2 d_d + 6 V D A    S tokens of image and text, A of them the answer
    ceiling = 1 + tower / decoder

A weight takes 2 operations a token forward, 2 for the gradient of its input and 2 for its own. Attention takes 4 N^2 d
a layer where all patches read each other, and where each reads what came before it, half of that, three times.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

from benchmarks import record
from benchmarks.mini.photos import blood_smears
from leaml.config import BUNDLED_MODEL
from leaml.models.backbone import Backbone, load
from leaml.models.features import ImageFeatures
from leaml.models.precision import autocast
from leaml.training.objectives import Sample, answer_sample, collate, cycle_indices, sequence_losses
from leaml.training.updates import Update, full_update

TARGET = 1.3
ROUNDS, BATCH_SIZE, IMAGES, LEARNING_RATE = 9, 16, 48, 1e-6
CACHED, ENCODED = "features from the cache", "features through the tower"
LARGE = "Qwen2-VL-2B"
PATCH_PX, MERGED = 14, 4
TEXT_TOKENS, ANSWER_TOKENS = 96, 8
SIDES_PX = (448, 896)


def main() -> int:
    """Measure, compute, print, record; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vision_cache", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"steps of each kind [{ROUNDS}]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the result")
    arguments = parser.parse_args()
    times = measure(arguments.rounds)
    rows = figures(times)
    for row in rows:
        print(f"{row.subject:<46} {row.metric:<8} {row.p50:9.3f} {row.unit:<5} ({row.p20:.3f} to {row.p80:.3f})")
    factor = next(row.p50 for row in rows if row.metric == "factor")
    met = factor >= TARGET
    print(f"{'met' if met else 'missed':<6}  a step is {factor:.2f} times as fast with the cache (target {TARGET})")
    record.append(rows)
    if arguments.json:
        stamp = {"machine": record.machine(), "versions": record.versions(), "target": TARGET, "met": met}
        written = {**stamp, "rows": [asdict(row) for row in rows]}
        arguments.json.write_text(json.dumps(written, indent=1) + "\n")
    return 0 if met else 1


def measure(rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each step by kind; every round does one of both, the first of them in turns."""
    backbone, photos = load(BUNDLED_MODEL), blood_smears()
    wanted = sorted(photos.images)[:IMAGES]
    samples = [answer_sample(question) for question in photos.questions if question.image_id in wanted]
    update = full_update(backbone, weight_decay=0.0)
    times: dict[str, list[float]] = {CACHED: [], ENCODED: []}
    with tempfile.TemporaryDirectory() as folder:
        kinds = {
            CACHED: ImageFeatures(backbone, Path(folder) / "kept"),
            ENCODED: ImageFeatures(backbone, Path(folder) / "none", limit_bytes=0),
        }
        for features in kinds.values():
            features.add({image_id: photos.images[image_id] for image_id in wanted})
        for round_ in range(rounds + 1):
            batch = [samples[i] for i in cycle_indices(len(samples), BATCH_SIZE, seed=0, step=round_)]
            for kind in sorted(kinds, reverse=bool(round_ % 2)):
                times[kind].append(_step_seconds(backbone, kinds[kind], update, batch))
    return {kind: values[1:] for kind, values in times.items()}  # the first round warms up


def _step_seconds(backbone: Backbone, features: ImageFeatures, update: Update, batch: list[Sample]) -> float:
    began = time.perf_counter()
    with autocast(backbone.device):
        losses, _ = sequence_losses(backbone, collate(backbone, features, batch))
        loss = losses.mean()
    loss.backward()
    update.optimizer.clip(1.0)
    update.optimizer.step(LEARNING_RATE)
    return time.perf_counter() - began


@dataclass(frozen=True)
class Shape:
    """What the cost of a model's step depends on.

    Attributes:
        tower_weights: Of the vision tower and the projector, without embeddings of places.
        tower_layers: Of the tower.
        tower_width: Of its attention.
        decoder_weights: Of the decoder, without embeddings.
        decoder_layers: Of the decoder.
        decoder_width: Of its attention.
        vocabulary: Rows of the head.
        hidden: Columns of the head.
    """

    tower_weights: int
    tower_layers: int
    tower_width: int
    decoder_weights: int
    decoder_layers: int
    decoder_width: int
    vocabulary: int
    hidden: int


def large_config() -> Qwen2VLConfig:
    """Return the published configuration of Qwen2-VL-2B."""
    text = {"vocab_size": 151936, "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28}
    text |= {"num_attention_heads": 12, "num_key_value_heads": 2}
    vision = {"depth": 32, "embed_dim": 1280, "num_heads": 16, "hidden_size": 1536, "mlp_ratio": 4}
    vision |= {"patch_size": PATCH_PX, "spatial_merge_size": 2, "temporal_patch_size": 2}
    return Qwen2VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True)


def shape_of(config: Any) -> Shape:
    """Return the shape of a Qwen2-VL, its weights counted in the model itself, which takes no memory."""
    with torch.device("meta"):
        model = Qwen2VLForConditionalGeneration(config)
    text, vision = config.text_config, config.vision_config
    embedding = model.get_input_embeddings().weight.numel()
    return Shape(
        tower_weights=sum(p.numel() for p in model.model.visual.parameters()),
        tower_layers=vision.depth,
        tower_width=vision.embed_dim,
        decoder_weights=sum(p.numel() for p in model.get_decoder().parameters()) - embedding,
        decoder_layers=text.num_hidden_layers,
        decoder_width=text.hidden_size,
        vocabulary=text.vocab_size,
        hidden=text.hidden_size,
    )


def tower_flops(shape: Shape, patches: int) -> float:
    """Return the operations of a picture's way through tower and projector."""
    return 2 * shape.tower_weights * patches + 4 * shape.tower_layers * patches**2 * shape.tower_width


def step_flops(shape: Shape, tokens: int, answer: int) -> float:
    """Return the operations of a training step of the decoder on one sample of so many tokens."""
    attention = 6 * shape.decoder_layers * tokens**2 * shape.decoder_width
    return 6 * shape.decoder_weights * tokens + attention + 6 * shape.vocabulary * shape.hidden * answer


def ceiling(shape: Shape, side_px: int) -> float:
    """Return the largest factor that a cache can reach on square pictures of this side."""
    patches = (side_px // PATCH_PX) ** 2
    step = step_flops(shape, patches // MERGED + TEXT_TOKENS, ANSWER_TOKENS)
    return 1 + tower_flops(shape, patches) / step


def figures(times: dict[str, list[float]]) -> list[record.Figure]:
    """Return the lines of the log."""
    what = f"vision_cache {BUNDLED_MODEL}"
    rows = [record.Figure.of(what, kind, "step", "s", values) for kind, values in times.items()]
    ratios = [slow / fast for slow, fast in zip(times[ENCODED], times[CACHED], strict=True)]
    rows.append(record.Figure.of(what, "with the cache", "factor", "times", ratios))
    shape = shape_of(large_config())
    for side in SIDES_PX:
        rows.append(
            record.Figure.of(
                f"vision_cache {LARGE}", f"{side} x {side} px, computed", "ceiling", "times", [ceiling(shape, side)]
            )
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
