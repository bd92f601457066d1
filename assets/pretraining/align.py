"""First stage: the projector learns to write into each image token what its cell of the image holds.

Trained through the decoder alone, the projector stayed nearly blind for thousands of exposures (the decoder first
learns what answers are likely, and the gradient that reaches the pixels is faint). Here linear heads, dropped
afterwards, read the facts of each cell from the projected tokens. No decoder runs, so an image costs two milliseconds.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from assets.pretraining.bundle import IMAGE_TOKENS, Whitening
from assets.pretraining.corpus import FeatureStore
from assets.pretraining.features import HELD_OUT_SEED
from assets.pretraining.scenes import ANGLES, COLORS, SHAPES, TEXTURES, Scene, Thing, plan_scene, profile
from leaml.precision import autocast

CPU = torch.device("cpu")
GRID = 8
SAMPLES = 2
"""Sample points per cell and direction that decide which object covers it."""
COLOR_NAMES = tuple(COLORS)
FACTS: dict[str, int] = {
    "color": len(COLORS) + 1,
    "shape": len(SHAPES) + 1,
    "texture": len(TEXTURES) + 1,
    "largest": 2,
    "cut": 2,
    "size": 4,
    "background": len(COLORS),
    "background tone": 3,
    "crowd color": len(COLORS) + 1,
    "crowded": 3,
    "dots": 3,
    "row": GRID,
    "column": GRID,
}
"""Classes of each fact of a cell; where an object may be missing, class 0 is "none"."""
_TONES = ("pale", "plain", "dark")


def covers(thing: Thing, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of the points (shares of the image) lie inside the object's outline."""
    dx, dy = x - thing.x, y - thing.y
    c, s = np.cos(thing.angle), np.sin(thing.angle)
    u, v = (dx * c + dy * s) / thing.aspect**0.5, (dy * c - dx * s) * thing.aspect**0.5
    index = (np.arctan2(v, u) * (ANGLES / (2 * np.pi))).astype(int) % ANGLES
    return np.hypot(u, v) < profile(thing.shape, thing.wobble)[index] * thing.radius


def cell_facts(scene: Scene) -> NDArray[np.int64]:
    """Return the class of every fact in every cell, `[IMAGE_TOKENS, len(FACTS)]`, cells row by row."""
    side = GRID * SAMPLES
    y, x = ((axis + 0.5) / side for axis in np.mgrid[:side, :side])
    owner = np.full((side, side), -1)
    for number, thing in enumerate(scene.main):
        owner[covers(thing, x, y)] = number
    cells = owner.reshape(GRID, SAMPLES, GRID, SAMPLES).transpose(0, 2, 1, 3).reshape(IMAGE_TOKENS, -1).max(1)
    areas = [thing.visible().area for thing in scene.main]
    rows = [(0, 0, 0, 0, 0, 0)]
    for thing, area in zip(scene.main, areas, strict=True):
        what = COLOR_NAMES.index(thing.tint.name) + 1, SHAPES.index(thing.shape) + 1, TEXTURES.index(thing.texture) + 1
        rows.append((*what, int(area == max(areas)), int(thing.visible().gap < 0), 1 + (area > 0.03) + (area > 0.1)))
    own = np.array(rows)[cells + 1]
    dots = np.zeros(IMAGE_TOKENS, dtype=int)
    for dot in scene.dots:
        dots[int(dot.y * GRID) * GRID + int(dot.x * GRID)] += 1
    crowd = COLOR_NAMES.index(scene.crowd[0].tint.name) + 1 if scene.crowd else 0
    shared = COLOR_NAMES.index(scene.background.name), _TONES.index(scene.background.tone), crowd
    dense = 0 if not scene.crowd else 1 + int(len(scene.crowd) > 25)
    whole = np.tile(np.array([*shared, dense]), (IMAGE_TOKENS, 1))
    number = np.arange(IMAGE_TOKENS)
    return np.concatenate(
        [own, whole, np.stack([dots.clip(max=2), number // GRID, number % GRID], axis=1)], axis=1
    ).astype(np.int64)


class CellHeads(nn.Module):
    """Linear heads that read each fact from a projected image token."""

    def __init__(self, width: int) -> None:
        """Make one head over all facts' classes."""
        super().__init__()
        self.norm = nn.RMSNorm(width, elementwise_affine=False)
        self.linear = nn.Linear(width, sum(FACTS.values()))

    def forward(self, tokens: Tensor) -> list[Tensor]:
        """Return logits per fact, each `[..., classes]`, from `[..., width]`."""
        logits: Tensor = self.linear(self.norm(tokens))
        return list(logits.split(list(FACTS.values()), dim=-1))


def _batches(store: FeatureStore, size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    rng = np.random.default_rng([seed, 17])
    while True:
        drawn = [d for d in (store.draw(rng) for _ in range(size)) if d[0] == "scenes"]
        facts = np.stack([cell_facts(plan_scene(row)) for _, row, _ in drawn])
        yield torch.from_numpy(np.stack([f for _, _, f in drawn])).float(), torch.from_numpy(facts)


def align(projector: nn.Module, whitening: Whitening, store: FeatureStore, *, steps: int) -> dict[str, float]:
    """Train the projector in place; return each fact's balanced accuracy over cells of held-out scenes."""
    heads = CellHeads(projector.linear_2.out_features)
    trained = [*projector.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.1)
    batches = _batches(store, 24, 0)
    for step in range(steps):
        features, facts = next(batches)
        with autocast(CPU):
            outputs = heads(projector(whitening(features)))
        losses = [
            functional.cross_entropy(o.float().flatten(0, 1), facts[..., n].flatten()) for n, o in enumerate(outputs)
        ]
        loss = torch.stack(losses).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        if step % 100 == 0:
            print(f"align step {step} loss {loss.item():.3f}", flush=True)
    return _held_out_accuracy(projector, heads, whitening, store)


def _held_out_accuracy(
    projector: nn.Module, heads: CellHeads, whitening: Whitening, store: FeatureStore
) -> dict[str, float]:
    features = store.held_out()
    facts = np.stack([cell_facts(plan_scene(HELD_OUT_SEED + n)) for n in range(len(features))])
    with torch.inference_mode(), autocast(CPU):
        outputs = heads(projector(whitening(torch.from_numpy(features.astype(np.float32)))))
    accuracy = {}
    for number, (name, output) in enumerate(zip(FACTS, outputs, strict=True)):
        right = (output.argmax(-1).numpy() == facts[..., number]).astype(float)
        classes = [c for c in range(FACTS[name]) if (facts[..., number] == c).any()]
        accuracy[name] = float(np.mean([right[facts[..., number] == c].mean() for c in classes]))
    return accuracy
