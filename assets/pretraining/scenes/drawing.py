"""Draws a planned scene: signed radial distance per object, then optics (vignette, blur, noise, highlights).

What is drawn beyond the facts (grain, stains, where highlights fall) is seeded by the scene's look, so an image is
reproducible from its seed alone and twins differ in nothing but their one fact. Soft mounds, folds, vessels and
overlays are drawn in `drawing_tissue.py` and `drawing_overlays.py`.
"""

import numpy as np
from PIL import Image, ImageFilter

from assets.pretraining.scenes.drawing_overlays import add_overlays
from assets.pretraining.scenes.drawing_tissue import add_frame, add_glints, add_relief, paint_mound, shade_ground
from assets.pretraining.scenes.facts import Rng, Scene, Thing
from assets.pretraining.scenes.painting import Canvas, frame_of, textured


def draw_scene(scene: Scene, size: int = 256) -> Image.Image:
    """Return the scene as an RGB image of `size` x `size` pixels."""
    look = scene.seed if scene.look < 0 else scene.look
    # each part has its own stream, so that a changed part leaves the others' grain alone
    ground, crowd, light, grain = (np.random.default_rng([look, part]) for part in range(11, 15))
    canvas = _paint_background(scene, size, ground)
    if scene.tissue:
        shade_ground(canvas, scene.background, ground)
        add_relief(canvas, scene.tissue, scene.background)
    for thing in scene.crowd:
        paint(canvas, thing, crowd, opacity=0.78)
    for number, thing in enumerate((*scene.main, *scene.dots)):
        own = np.random.default_rng([look, 15, number]) if thing.texture == "granular" else crowd
        if thing.soft and scene.tissue:
            paint_mound(canvas, thing, scene.tissue.light, own)
        else:
            paint(canvas, thing, own, opacity=1.0)
    _add_light(canvas, scene, light)
    if scene.tissue:
        add_glints(canvas, scene.tissue)
    image = Image.fromarray(canvas.clip(0, 255).astype(np.uint8))
    if scene.blur:
        image = image.filter(ImageFilter.GaussianBlur(scene.blur * size / 256))
    if scene.noise:
        pixels = np.asarray(image, dtype=np.float32)
        noise = grain.standard_normal((size, size, 1), dtype=np.float32) * np.float32(scene.noise)
        image = Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))
    if scene.tissue and scene.tissue.frame:
        image = add_frame(image, scene.tissue.frame)
    add_overlays(image, scene)
    return image


def paint(canvas: Canvas, thing: Thing, rng: Rng, *, opacity: float) -> None:
    """Blend one object with a sharp edge, its pale centre and its core into the canvas `[H, W, 3]`, in place."""
    size = canvas.shape[0]
    local = frame_of(thing, size)
    if local is None:
        return
    alpha = (local.inside + 0.5).clip(0, 1) * opacity
    color = textured(thing, local, rng, size)
    if thing.pale_center:
        middle = (1.15 - 2.2 * local.depth).clip(0, 1)[..., None]
        color = color + (color * 0.3 + 255 * 0.7 - color) * middle
    if thing.texture == "hollow":
        width = max(2.0, thing.radius * size * 0.22)
        alpha = alpha * (width - local.inside + 0.5).clip(0, 1)
    patch = canvas[local.rows, local.columns]
    patch += (color - patch) * alpha[..., None].astype(np.float32)
    for lobe in core_lobes(thing):
        paint(canvas, lobe, rng, opacity=1.0)


def core_lobes(thing: Thing) -> list[Thing]:
    """Return the discs of which the object's core consists: one, or two to four on a ring with a thin link."""
    core = thing.core
    if core is None:
        return []
    reach = core.share * thing.radius / thing.aspect**0.5  # so that it fits across an elongated body
    x, y = thing.x + core.dx * thing.radius / thing.aspect, thing.y + core.dy * thing.radius / thing.aspect
    if core.lobes == 1:
        return [Thing(x, y, reach, "circle", "solid", core.tint)]
    disc = {2: 0.47, 3: 0.43, 4: 0.37}[core.lobes] * reach
    turns = core.angle + np.arange(core.lobes) * (2 * np.pi / core.lobes)
    ring = [(x + 0.6 * reach * float(np.cos(t)), y + 0.6 * reach * float(np.sin(t))) for t in turns]
    lobes = [Thing(a, b, disc, "circle", "solid", core.tint) for a, b in ring]
    return [Thing(x, y, 0.24 * reach, "circle", "solid", core.tint), *lobes]


def _paint_background(scene: Scene, size: int, rng: Rng) -> Canvas:
    base = np.array(scene.background.rgb, dtype=np.float32)
    ramp = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    # plain floats: a float64 scalar of numpy would widen the whole canvas
    across, down = float(np.cos(angle)) * scene.gradient, float(np.sin(angle)) * scene.gradient
    canvas = base * (1 + across * ramp[None, :] + down * ramp[:, None])[..., None]
    for _ in range(scene.stains):
        x, y = rng.uniform(0, 1, 2)
        canvas *= 1 - 0.18 * _spot(ramp + 0.5, x, y, rng.uniform(0.05, 0.2))
    return canvas


def _add_light(canvas: Canvas, scene: Scene, rng: Rng) -> None:
    size = canvas.shape[0]
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    if scene.vignette:
        far = (ramp**2)[None, :] + (ramp**2)[:, None]
        canvas *= (1 - scene.vignette * ((far - 0.7) / 1.3).clip(0, 1))[..., None]
    for _ in range(scene.highlights):
        x, y = rng.uniform(-0.9, 0.9, 2)
        canvas += (255 - canvas) * 0.9 * _spot(ramp, x, y, rng.uniform(0.02, 0.05))


def _spot(ramp: Canvas, x: float, y: float, width: float) -> Canvas:
    """Return a round bump `[H, W, 1]` of height 1 at (x, y); the exponential splits into rows and columns."""
    across, down = (np.exp(-(((ramp - at) / width) ** 2)) for at in (x, y))
    return np.asarray((down[:, None] * across[None, :])[..., None], dtype=np.float32)
