"""What each cell of an image holds, and linear heads that read it from the projected image tokens.

The heads train the projector (`align.py`) and keep it honest while the decoder learns (`pretrain.py`); they are
not part of the model.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from assets.pretraining.model.bundle import IMAGE_TOKENS
from assets.pretraining.scenes.facts import ANGLES, COLORS, SHAPES, TEXTURES, Curve, Scene, Thing, profile

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
    "core": 2,
    "background": len(COLORS),
    "background tone": 3,
    "crowd color": len(COLORS) + 1,
    "crowded": 3,
    "dots": 3,
    "fold": 2,
    "vessel": 2,
    "lumen": 2,
    "glint": 2,
    "text": 2,
    "box": 2,
    "row": GRID,
    "column": GRID,
}
"""Classes of each fact of a cell; where an object may be missing, class 0 is "none"."""
_TONES = ("pale", "plain", "dark")
_CENTERS = (np.arange(GRID) + 0.5) / GRID


def covers(thing: Thing, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of the points (shares of the image) lie inside the object's outline."""
    dx, dy = x - thing.x, y - thing.y
    c, s = np.cos(thing.angle), np.sin(thing.angle)
    u, v = (dx * c + dy * s) / thing.aspect**0.5, (dy * c - dx * s) * thing.aspect**0.5
    index = (np.arctan2(v, u) * (ANGLES / (2 * np.pi))).astype(int) % ANGLES
    return np.hypot(u, v) < profile(thing.shape, thing.wobble)[index] * thing.radius


def cell_facts(scene: Scene) -> NDArray[np.int64]:
    """Return the class of every fact in every cell, `[IMAGE_TOKENS, len(FACTS)]`, cells row by row."""
    number = np.arange(IMAGE_TOKENS)
    columns = [_objects(scene), _whole(scene), _marks(scene), np.stack([number // GRID, number % GRID], axis=1)]
    return np.concatenate(columns, axis=1).astype(np.int64)


def _objects(scene: Scene) -> NDArray[np.int64]:
    """Return color, shape, texture, largest, cut, size and core of the object that covers each cell."""
    side = GRID * SAMPLES
    y, x = ((axis + 0.5) / side for axis in np.mgrid[:side, :side])
    owner = np.full((side, side), -1)
    for number, thing in enumerate(scene.main):
        owner[covers(thing, x, y)] = number
    cells = owner.reshape(GRID, SAMPLES, GRID, SAMPLES).transpose(0, 2, 1, 3).reshape(IMAGE_TOKENS, -1).max(1)
    seen = [thing.visible() for thing in scene.main]
    largest = max((v.area for v in seen), default=0.0)
    rows = [(0,) * 7]
    for thing, v in zip(scene.main, seen, strict=True):
        what = COLOR_NAMES.index(thing.tint.name) + 1, SHAPES.index(thing.shape) + 1, TEXTURES.index(thing.texture) + 1
        how = int(v.area == largest), int(v.gap < 0), 1 + (v.area > 0.03) + (v.area > 0.1), int(thing.core is not None)
        rows.append((*what, *how))
    return np.array(rows)[cells + 1]


def _whole(scene: Scene) -> NDArray[np.int64]:
    """Return what all cells share: background, its tone, the crowd's color and density."""
    crowd = COLOR_NAMES.index(scene.crowd[0].tint.name) + 1 if scene.crowd else 0
    dense = 0 if not scene.crowd else 1 + int(len(scene.crowd) > 25)
    shared = COLOR_NAMES.index(scene.background.name), _TONES.index(scene.background.tone), crowd, dense
    return np.tile(np.array(shared), (IMAGE_TOKENS, 1))


def _marks(scene: Scene) -> NDArray[np.int64]:
    """Return dots (0 to 2), and whether fold, vessel, opening, glint, text and box reach into each cell."""
    grids = np.zeros((7, GRID, GRID), dtype=np.int64)
    for dot in scene.dots:
        grids[0, _cell(dot.y), _cell(dot.x)] += 1
    if scene.tissue:
        _trace(grids[1], scene.tissue.folds)
        _trace(grids[2], [curve for tree in scene.tissue.vessels for curve in tree])
        if scene.tissue.lumen:
            x, y, radius = scene.tissue.lumen
            grids[3] = np.hypot(_CENTERS[None, :] - x, _CENTERS[:, None] - y) < radius + 0.25 / GRID
        for x, y, _ in scene.tissue.glints:
            grids[4, _cell(y), _cell(x)] = 1
    for layer, overlay in ((5, scene.writing), (6, scene.box)):
        if overlay:
            left, top, right, bottom = overlay.area
            grids[layer, _cell(top) : _cell(bottom) + 1, _cell(left) : _cell(right) + 1] = 1
    return grids.reshape(7, -1).T.clip(max=2)


def _cell(place: float) -> int:
    return min(max(int(place * GRID), 0), GRID - 1)


def _trace(grid: NDArray[np.int64], curves: list[Curve] | tuple[Curve, ...]) -> None:
    """Mark the cells that curves run through, in place; what leaves the image is not marked."""
    for curve in curves:
        points = np.array(curve)
        steps = np.linspace(0, len(points) - 1, 4 * GRID * max(len(points) - 1, 1))
        x, y = (np.interp(steps, np.arange(len(points)), points[:, axis]) for axis in (0, 1))
        inside = (x >= 0) & (x < 1) & (y >= 0) & (y < 1)
        grid[(y[inside] * GRID).astype(int), (x[inside] * GRID).astype(int)] = 1


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

    def loss(self, tokens: Tensor, facts: Tensor) -> Tensor:
        """Return the summed cross-entropy of all facts `[B, T, len(FACTS)]` read from tokens `[B, T, width]`."""
        outputs = self(tokens)
        losses = [
            functional.cross_entropy(o.float().flatten(0, 1), facts[..., n].flatten()) for n, o in enumerate(outputs)
        ]
        return sum(losses, start=losses[0].new_zeros(()))
