"""The geometry of one drawn object on the canvas, and its texture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assets.pretraining.scenes.facts import ANGLES, Rng, Thing, profile

Canvas = NDArray[np.float32]


@dataclass(frozen=True)
class Local:
    """The pixels around an object, in its own turned and stretched frame.

    `inside` is the distance in pixels to the outline (negative outside), `depth` 0 at the centre and 1 on the outline;
    `dx`, `dy` are offsets in shares of the radius, unturned.
    """

    rows: slice
    columns: slice
    u: Canvas
    v: Canvas
    inside: Canvas
    depth: Canvas
    dx: Canvas
    dy: Canvas


def frame_of(thing: Thing, size: int, margin: float = 0.0) -> Local | None:
    """Return the object's surroundings on a canvas of `size` pixels; None where it lies outside."""
    table: Canvas = (profile(thing.shape, thing.wobble) * (thing.radius * size)).astype(np.float32)
    reach = float(table.max()) * thing.aspect**0.5 + 2 + margin * thing.radius * size
    cx, cy = thing.x * size, thing.y * size
    x0, x1 = max(0, int(cx - reach)), min(size, int(cx + reach) + 1)
    y0, y1 = max(0, int(cy - reach)), min(size, int(cy + reach) + 1)
    if x0 >= x1 or y0 >= y1:
        return None
    dx = np.arange(x0, x1, dtype=np.float32)[None, :] + np.float32(0.5 - cx)
    dy = np.arange(y0, y1, dtype=np.float32)[:, None] + np.float32(0.5 - cy)
    c, s = np.float32(np.cos(thing.angle)), np.float32(np.sin(thing.angle))
    u: Canvas = (dx * c + dy * s) * np.float32(thing.aspect**-0.5)
    v: Canvas = (dy * c - dx * s) * np.float32(thing.aspect**0.5)
    far: Canvas = np.hypot(u, v)
    if thing.shape in ("circle", "ellipse"):
        limit: Canvas = np.full_like(far, table[0])
    else:
        limit = table[(np.arctan2(v, u) * np.float32(ANGLES / (2 * np.pi))).astype(np.int32) % ANGLES]
    share = np.float32(1 / (thing.radius * size))
    return Local(slice(y0, y1), slice(x0, x1), u, v, limit - far, far / limit, dx * share, dy * share)


def textured(thing: Thing, local: Local, rng: Rng, size: int) -> Canvas:
    """Return the object's color `[h, w, 3]`: its tint, with the texture in a lighter or darker shade of it."""
    base = np.array(thing.tint.rgb, dtype=np.float32)
    shade = base * 0.35 if base.mean() > 110 else base + (255 - base) * 0.6
    if thing.soft:
        shade = base * 0.55 if base.mean() > 90 else base + (255 - base) * 0.4
    mask = texture_mask(thing, local, rng, thing.radius * size)
    return np.asarray(base + (shade - base) * mask[..., None], dtype=np.float32)


def texture_mask(thing: Thing, local: Local, rng: Rng, radius: float) -> Canvas:
    """Return how strongly each pixel takes the second shade; `radius` is in pixels."""
    shape = local.inside.shape
    mask = np.zeros(shape, dtype=np.float32)
    if thing.texture == "striped":
        mask = np.sin(local.u * (2 * np.pi / max(7.0, radius / 2.6))) > 0.25
    elif thing.texture == "dotted":
        step = 2 * np.pi / max(8.0, radius / 2.2)
        mask = (np.cos(local.u * step) + np.cos(local.v * step)) > 0.9
    elif thing.texture == "granular":
        coarse = rng.random((shape[0] // 2 + 1, shape[1] // 2 + 1), dtype=np.float32)
        mask = coarse.repeat(2, 0).repeat(2, 1)[: shape[0], : shape[1]] ** 2 * 0.75
    elif thing.texture == "solid" and not thing.soft:
        mask = (0.12 * (local.inside / max(radius, 1.0))).clip(0, 0.12)
    return mask.astype(np.float32)
