"""Draws a planned scene: signed radial distance per object, then optics (vignette, blur, noise, highlights).

What is drawn beyond the facts (grain, stains, where highlights fall) is seeded by the scene, so an image is
reproducible from its seed alone.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from assets.pretraining.scenes import ANGLES, Rng, Scene, Thing, profile

Canvas = NDArray[np.float32]


def draw_scene(scene: Scene, size: int = 256) -> Image.Image:
    """Return the scene as an RGB image of `size` x `size` pixels."""
    rng = np.random.default_rng([scene.seed, 11])
    canvas = _paint_background(scene, size, rng)
    for thing in scene.crowd:
        paint(canvas, thing, rng, opacity=0.78)
    for thing in (*scene.main, *scene.dots):
        paint(canvas, thing, rng, opacity=1.0)
    _add_light(canvas, scene, rng)
    image = Image.fromarray(canvas.clip(0, 255).astype(np.uint8))
    if scene.blur:
        image = image.filter(ImageFilter.GaussianBlur(scene.blur * size / 256))
    if scene.noise:
        grain = rng.normal(0, scene.noise, (size, size, 1)) + np.asarray(image, dtype=np.float32)
        image = Image.fromarray(grain.clip(0, 255).astype(np.uint8))
    if scene.label:
        _add_label(image, scene.label, int(rng.integers(4)))
    return image


def paint(canvas: Canvas, thing: Thing, rng: Rng, *, opacity: float) -> None:
    """Blend one object into the canvas `[H, W, 3]`, in place."""
    size = canvas.shape[0]
    table = profile(thing.shape, thing.wobble) * (thing.radius * size)
    reach = float(table.max()) * thing.aspect**0.5 + 2
    cx, cy = thing.x * size, thing.y * size
    x0, x1 = max(0, int(cx - reach)), min(size, int(cx + reach) + 1)
    y0, y1 = max(0, int(cy - reach)), min(size, int(cy + reach) + 1)
    if x0 >= x1 or y0 >= y1:
        return
    dx = (np.arange(x0, x1, dtype=np.float32) + 0.5 - cx)[None, :]
    dy = (np.arange(y0, y1, dtype=np.float32) + 0.5 - cy)[:, None]
    c, s = np.cos(thing.angle), np.sin(thing.angle)
    u = (dx * c + dy * s) / thing.aspect**0.5
    v = (dy * c - dx * s) * thing.aspect**0.5
    index = (np.arctan2(v, u) * (ANGLES / (2 * np.pi))).astype(np.int32) % ANGLES
    inside = table[index] - np.hypot(u, v)
    alpha = (inside + 0.5).clip(0, 1) * opacity
    color = _texture(thing, u, v, inside, rng, size)
    if thing.texture == "hollow":
        width = max(2.0, thing.radius * size * 0.22)
        alpha = alpha * (width - inside + 0.5).clip(0, 1)
    patch = canvas[y0:y1, x0:x1]
    patch += (color - patch) * alpha[..., None].astype(np.float32)


def _texture(thing: Thing, u: Canvas, v: Canvas, inside: Canvas, rng: Rng, size: int) -> Canvas:
    """Return the object's color `[h, w, 3]`: its tint, with the texture in a lighter or darker shade of it."""
    base = np.array(thing.tint.rgb, dtype=np.float32)
    shade = base * 0.35 if base.mean() > 110 else base + (255 - base) * 0.6
    radius = thing.radius * size
    mask = np.zeros(inside.shape, dtype=np.float32)
    if thing.texture == "striped":
        mask = (np.sin(u * (2 * np.pi / max(7.0, radius / 2.6))) > 0.25).astype(np.float32)
    elif thing.texture == "dotted":
        step = 2 * np.pi / max(8.0, radius / 2.2)
        mask = ((np.cos(u * step) + np.cos(v * step)) > 0.9).astype(np.float32)
    elif thing.texture == "granular":
        coarse = rng.random((inside.shape[0] // 2 + 1, inside.shape[1] // 2 + 1), dtype=np.float32)
        mask = coarse.repeat(2, 0).repeat(2, 1)[: inside.shape[0], : inside.shape[1]] ** 2 * 0.75
    elif thing.texture == "solid":
        mask = (0.12 * (inside / max(radius, 1.0))).clip(0, 0.12).astype(np.float32)
    return base + (shade - base) * mask[..., None]


def _paint_background(scene: Scene, size: int, rng: Rng) -> Canvas:
    base = np.array(scene.background.rgb, dtype=np.float32)
    ramp = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * ramp[None, :] + np.sin(angle) * ramp[:, None]
    canvas = base * (1 + scene.gradient * slope[..., None])
    for _ in range(scene.stains):
        x, y = rng.uniform(0, 1, 2)
        width = rng.uniform(0.05, 0.2)
        spread = ((ramp + 0.5 - x) ** 2)[None, :] + ((ramp + 0.5 - y) ** 2)[:, None]
        canvas *= 1 - 0.18 * np.exp(-spread / width**2)[..., None].astype(np.float32)
    return canvas.astype(np.float32)


def _add_light(canvas: Canvas, scene: Scene, rng: Rng) -> None:
    size = canvas.shape[0]
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    if scene.vignette:
        far = (ramp**2)[None, :] + (ramp**2)[:, None]
        canvas *= (1 - scene.vignette * ((far - 0.7) / 1.3).clip(0, 1))[..., None]
    for _ in range(scene.highlights):
        x, y = rng.uniform(-0.9, 0.9, 2)
        width = rng.uniform(0.02, 0.05)
        glow = np.exp(-(((ramp - x) ** 2)[None, :] + ((ramp - y) ** 2)[:, None]) / width**2)[..., None]
        canvas += (255 - canvas) * 0.9 * glow.astype(np.float32)


def _add_label(image: Image.Image, text: str, corner: int) -> None:
    size = image.size[0]
    width, height = size // 6, size // 14
    x, y = (corner % 2) * (size - width), (corner // 2) * (size - height)
    pen = ImageDraw.Draw(image)
    pen.rectangle([x, y, x + width, y + height], fill=(0, 0, 0))
    pen.text((x + 4, y + 3), text, fill=(255, 255, 255))
