"""Plans what is laid over an image: lines of text and a filled box in a corner."""

from dataclasses import replace

import numpy as np

from assets.pretraining.scenes.facts import Box, Rng, Scene, Thing, Tint, Writing
from assets.pretraining.scenes.objects import contrast, make_tint

LETTERS = list("ABCDEFGHKLMNPRSTUVXZ0123456789")
LINE = 0.058
"""Height of a line of text as a share of the side."""
LETTER = 0.034
INKS = (
    Tint("white", "plain", (250, 250, 250)),
    Tint("yellow", "plain", (245, 225, 40)),
    Tint("green", "plain", (60, 230, 80)),
)
BLACK = Tint("black", "plain", (10, 10, 12))
Area = tuple[float, float, float, float]


def plan_overlays(rng: Rng, scene: Scene) -> Scene:
    """Return the scene with text, a corner box or both; with neither where there is no room."""
    kind = int(rng.integers(3))
    if kind != 1:
        scene = replace(scene, box=plan_box(rng, scene))
    return replace(scene, writing=plan_writing(rng, scene)) if kind != 0 else scene


def plan_writing(rng: Rng, scene: Scene) -> Writing | None:
    """Return text that stands out and hides no dot; None where there is no room."""
    inks = [ink for ink in INKS if contrast(ink, scene.background) > 110 and _lighter(ink, scene.background)]
    framed = bool(scene.vignette or (scene.tissue and scene.tissue.frame))
    if not inks and framed:
        return None  # no ink would show on both the pale ground and the dark rim
    ink = inks[int(rng.integers(len(inks)))] if inks else BLACK
    for _ in range(8):
        side = str(rng.choice(["left", "top", "bottom"]))
        count = int(rng.integers(2, 6)) if side == "left" else int(rng.integers(1, 3))
        lengths = rng.integers(3, 8, count) if side == "left" else rng.integers(6, 19, count)
        lines = tuple(_line(rng, int(n)) for n in lengths)
        width, height = float(lengths.max()) * LETTER, count * LINE
        x = 0.02 if side == "left" else float(rng.uniform(0.02, 0.97 - width))
        y = {"top": 0.02, "bottom": 0.97 - height}.get(side, float(rng.uniform(0.1, 0.88 - height)))
        area = (x, y, x + width, y + height)
        box = scene.box.area if scene.box else None
        if not (box and _overlap(area, box)) and not any(_near(area, d, 0.02) for d in scene.dots):
            return Writing(lines, side, ink, area)
    return None


def plan_box(rng: Rng, scene: Scene) -> Box | None:
    """Return a box in a corner that hides no object; None where there is no room."""
    rim = [BLACK] if scene.vignette or (scene.tissue and scene.tissue.frame) else []
    ground = [scene.background, *rim, *(t.tint for t in scene.crowd[:1])]
    names = ["black", "green", "blue", "gray"]
    tints = [make_tint(rng, str(name)) for name in rng.permutation(names)]
    tints = [t for t in tints if all(contrast(t, g) > 85 for g in ground)]
    for _ in range(8 if tints else 0):
        corner = int(rng.integers(4))
        width, height = (float(v) for v in rng.uniform(0.13, 0.28, 2))
        left, top = (corner % 2) * (1 - width), (corner // 2) * (1 - height)
        area = (left, top, left + width, top + height)
        lumen = scene.tissue.lumen if scene.tissue else None
        clear = lumen is None or not _near(area, _disc(*lumen), lumen[2])
        text = scene.writing.area if scene.writing else None
        if clear and not (text and _overlap(area, text)) and not hides(area, scene):
            return Box(corner, tints[0], bool(rng.random() < 0.5), area)
    return None


def hides(area: Area, scene: Scene) -> bool:
    """Return whether the area covers a part of an object that a question may be about."""
    return any(_near(area, t, t.radius * t.aspect**0.5 * 1.05) for t in (*scene.main, *scene.dots))


def clear_of_overlays(thing: Thing, scene: Scene) -> bool:
    """Return whether no overlay of the scene covers a part of the object."""
    areas = [o.area for o in (scene.box, scene.writing) if o]
    return not any(_near(area, thing, thing.radius * thing.aspect**0.5 * 1.05) for area in areas)


def _lighter(ink: Tint, ground: Tint) -> bool:
    """Return whether letters in the ink can be read: hue alone does not carry thin strokes."""
    weights = np.array([0.3, 0.59, 0.11])
    return float(weights @ np.array(ink.rgb) - weights @ np.array(ground.rgb)) > 45


def _disc(x: float, y: float, radius: float) -> Thing:
    return Thing(x, y, radius, "circle", "solid", BLACK)


def _near(area: Area, thing: Thing, reach: float) -> bool:
    dx = max(area[0] - thing.x, thing.x - area[2], 0.0)
    dy = max(area[1] - thing.y, thing.y - area[3], 0.0)
    return float(np.hypot(dx, dy)) < reach


def _overlap(a: Area, b: Area) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _line(rng: Rng, length: int) -> str:
    letters = "".join(rng.choice(LETTERS, length))
    cut = int(rng.integers(1, length))
    return f"{letters[:cut]}{rng.choice([':', '-', '/', ''])}{letters[cut:]}"[:length]
