"""Draws a smooth ground with relief: uneven hue, folds, vessels, an opening, shaded mounds, glints, a black frame."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from assets.pretraining.scenes.facts import Curve, Rng, Thing, Tint, Tissue
from assets.pretraining.scenes.painting import Canvas, frame_of, textured


def shade_ground(canvas: Canvas, ground: Tint, rng: Rng) -> None:
    """Vary brightness and, less, hue over the canvas, in place; gray stays gray."""
    size = canvas.shape[0]
    light = 1 + _smooth(rng, 5, size) * 0.09
    if ground.name == "gray":
        canvas *= light[..., None]
        return
    for channel in range(3):
        canvas[..., channel] *= light + _smooth(rng, 4, size) * 0.022


def _smooth(rng: Rng, knots: int, size: int) -> Canvas:
    """Return a slowly varying field `[H, W]` of unit spread."""
    small = Image.fromarray(rng.standard_normal((knots, knots), dtype=np.float32))
    return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC)).clip(-1.8, 1.8)


def add_relief(canvas: Canvas, tissue: Tissue, ground: Tint) -> None:
    """Draw the opening, folds and vessels, in place."""
    size = canvas.shape[0]
    if tissue.lumen:
        x, y, radius = tissue.lumen
        across, down = ((np.arange(size, dtype=np.float32) + 0.5) / size - at for at in (x, y))
        far = np.hypot(across[None, :], down[:, None]) / np.float32(radius)
        canvas *= (0.09 + 0.91 * _step((far - 0.35) / 1.0))[..., None]
    if tissue.folds:
        step = _lit_side(tissue.folds[0], tissue.light) * 0.019
        dark = _strokes(tissue.folds, size, 0.017, 1.6, (0.0, 0.0))
        light = _strokes(tissue.folds, size, 0.015, 1.8, (float(step[0]), float(step[1])))
        canvas *= (1 + 0.3 * light - 0.55 * dark)[..., None]
    if tissue.vessels:
        curves = [curve for tree in tissue.vessels for curve in tree]
        trunks = _strokes([tree[0] for tree in tissue.vessels], size, 0.011, 0.7, (0.0, 0.0))
        mask = np.maximum(_strokes(curves, size, 0.007, 0.6, (0.0, 0.0)), trunks)
        keep = (0.45, 0.45, 0.45) if ground.name == "gray" else (0.68, 0.3, 0.34)
        canvas *= 1 - mask[..., None] * (1 - np.array(keep, dtype=np.float32)) * 0.85


def _lit_side(fold: Curve, light: float) -> Canvas:
    """Return the unit normal of a fold that points to the light; all folds of an image run side by side."""
    dx, dy = fold[-1][0] - fold[0][0], fold[-1][1] - fold[0][1]
    sign = 1.0 if dx * np.sin(light) - dy * np.cos(light) > 0 else -1.0
    return np.array([-dy, dx], dtype=np.float32) * np.float32(sign / max(float(np.hypot(dx, dy)), 1e-6))


def _step(value: Canvas) -> Canvas:
    """Return a smooth step from 0 to 1 over the unit interval."""
    t = value.clip(0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def _strokes(
    curves: list[Curve] | tuple[Curve, ...], size: int, width: float, blur: float, shift: tuple[float, float]
) -> Canvas:
    """Return a soft mask `[H, W]` in [0, 1] of the curves, moved by `shift`; `blur` is in pixels of a 256 image."""
    image = Image.new("L", (size, size))
    pen = ImageDraw.Draw(image)
    for curve in curves:
        points = [((x + shift[0]) * size, (y + shift[1]) * size) for x, y in curve]
        pen.line(points, fill=255, width=max(1, round(width * size)), joint="curve")
    soft = image.filter(ImageFilter.GaussianBlur(blur * size / 256))
    return np.asarray(soft, dtype=np.float32) / np.float32(255)


def paint_mound(canvas: Canvas, thing: Thing, light: float, rng: Rng) -> None:
    """Blend a soft-edged mound lit from one side, with a faint shadow on the other, into the canvas, in place."""
    local = frame_of(thing, canvas.shape[0], margin=0.35)
    if local is None:
        return
    facing = local.dx * np.float32(np.cos(light)) + local.dy * np.float32(np.sin(light))
    color = textured(thing, local, rng, canvas.shape[0])
    tilt = facing * (local.depth * 1.1).clip(0, 1)
    color = color * (1 - 0.42 * (-tilt).clip(0, 1))[..., None]
    color = color + (255 - color) * (0.34 * tilt.clip(0, 1))[..., None]
    patch = canvas[local.rows, local.columns]
    edge = (1.3 - local.depth).clip(0, 0.3) / 0.3
    patch *= (1 - 0.3 * edge * (0.45 - facing * 0.6).clip(0, 1))[..., None]
    alpha = _step((1.1 - local.depth) / 0.22)
    patch += (color - patch) * alpha[..., None]


def add_glints(canvas: Canvas, tissue: Tissue) -> None:
    """Add bright reflections, in place."""
    size = canvas.shape[0]
    for x, y, radius in tissue.glints:
        reach = radius * 2.2
        rows, columns = (slice(max(0, int((c - reach) * size)), int((c + reach) * size) + 1) for c in (y, x))
        down, across = ((np.arange(size, dtype=np.float32)[s] + 0.5) / size for s in (rows, columns))
        far = np.exp(-(((down - y) / radius) ** 2))[:, None] * np.exp(-(((across - x) / radius) ** 2))[None, :]
        patch = canvas[rows, columns]
        patch += (255 - patch) * (1.5 * far).clip(0, 1)[..., None].astype(np.float32)


def add_frame(image: Image.Image, frame: str) -> Image.Image:
    """Return the image with everything outside a circle or an octagon black."""
    size = image.size[0]
    mask = Image.new("L", image.size)
    pen = ImageDraw.Draw(mask)
    low, high, cut = 0.01 * size, 0.99 * size, 0.24 * size
    if frame == "circle":
        pen.ellipse([low, low, high, high], fill=255)
    else:
        ends = ((low, low + cut), (low, high - cut), (low + cut, high), (high - cut, high))
        pen.polygon([*ends, (high, high - cut), (high, low + cut), (high - cut, low), (low + cut, low)], fill=255)
    return Image.composite(image, Image.new("RGB", image.size, (4, 4, 5)), mask)
