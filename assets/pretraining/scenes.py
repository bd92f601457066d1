"""Drawn scenes as facts: what is in each pretraining image, decided before anything is drawn.

A scene holds primitives that specialist images share (crowds of pale discs, odd dark bodies, tiny dots, stains,
vignettes), never such an image itself. `plan_scene` is pure: the same seed gives the same facts, so that only
features have to be stored. Drawing lives in `drawing.py`, sentences in `captions.py` and `questions.py`.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Rgb = tuple[int, int, int]
Rng = np.random.Generator

COLORS: dict[str, Rgb] = {
    "red": (205, 38, 40),
    "orange": (242, 140, 30),
    "yellow": (238, 216, 48),
    "green": (48, 150, 60),
    "teal": (36, 166, 166),
    "blue": (45, 85, 208),
    "purple": (122, 48, 160),
    "pink": (240, 128, 182),
    "brown": (122, 78, 44),
    "gray": (130, 130, 130),
    "black": (24, 24, 26),
    "white": (246, 246, 246),
}
PALE = ("yellow", "green", "teal", "blue", "purple", "pink", "orange", "gray")
DARK = ("red", "green", "blue", "purple", "brown", "teal")
SHAPES = ("circle", "ellipse", "square", "triangle", "hexagon", "star", "cross", "lobed", "irregular")
TEXTURES = ("solid", "striped", "dotted", "granular", "hollow")
ANGLES = 256


@dataclass(frozen=True)
class Tint:
    """A named color: `name` is the hue, `tone` one of pale, plain and dark."""

    name: str
    tone: str
    rgb: Rgb


@dataclass(frozen=True)
class Thing:
    """One drawn object. Lengths and places are shares of the image's side; `radius` is that of its equal-area disc."""

    x: float
    y: float
    radius: float
    shape: str
    texture: str
    tint: Tint
    aspect: float = 1.0
    angle: float = 0.0
    wobble: tuple[tuple[int, float, float], ...] = ()

    def outline(self) -> NDArray[np.float64]:
        """Return the boundary `[ANGLES, 2]` as (x, y) shares of the image; it may lie outside the image."""
        theta = np.arange(ANGLES) * (2 * np.pi / ANGLES)
        rho = profile(self.shape, self.wobble) * self.radius
        u = rho * np.cos(theta) * self.aspect**0.5
        v = rho * np.sin(theta) / self.aspect**0.5
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.stack([self.x + u * c - v * s, self.y + u * s + v * c], axis=1)

    def visible(self) -> "Visible":
        """Return what can be seen of the object inside the image."""
        raw = self.outline()
        points = raw.clip(0.0, 1.0)
        low, high = points.min(0), points.max(0)
        nxt = np.roll(points, -1, axis=0)
        area = 0.5 * abs(float(np.sum(points[:, 0] * nxt[:, 1] - nxt[:, 0] * points[:, 1])))
        gap = float(min(raw.min(), 1.0 - raw.max()))
        x, y = (low + high) / 2
        return Visible(x=float(x), y=float(y), area=area, gap=gap)


@dataclass(frozen=True)
class Visible:
    """Centre of the visible bounding box, visible area share, gap to the border (negative where cut off)."""

    x: float
    y: float
    area: float
    gap: float


@dataclass(frozen=True)
class Scene:
    """All facts of one drawn image."""

    seed: int
    family: str
    background: Tint
    gradient: float
    main: tuple[Thing, ...] = ()
    crowd: tuple[Thing, ...] = ()
    dots: tuple[Thing, ...] = ()
    clumped: bool = False
    vignette: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    stains: int = 0
    highlights: int = 0
    label: str = field(default="")


@lru_cache(maxsize=4096)
def profile(shape: str, wobble: tuple[tuple[int, float, float], ...] = ()) -> NDArray[np.float64]:
    """Return the radius at `ANGLES` angles, scaled so that the area is that of the unit disc."""
    theta = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    rho = np.ones(ANGLES)
    sides = {"square": 4, "triangle": 3, "hexagon": 6}.get(shape)
    if sides:
        rho = 1.0 / np.cos((theta % (2 * np.pi / sides)) - np.pi / sides)
    elif shape == "star":
        rho = 0.42 + 0.58 * np.abs((theta * 5 / (2 * np.pi)) % 1.0 * 2 - 1) ** 1.2
    elif shape == "cross":
        c, s = np.abs(np.cos(theta)) + 1e-9, np.abs(np.sin(theta)) + 1e-9
        rho = np.maximum(np.minimum(1 / c, 0.34 / s), np.minimum(0.34 / c, 1 / s))
    for lobes, height, phase in wobble:
        rho = rho * (1 + height * np.cos(lobes * theta + phase))
    return rho / np.sqrt(np.mean(rho**2))


def plan_scene(seed: int) -> Scene:
    """Return the facts of scene number `seed`."""
    rng = np.random.default_rng([seed, 7])
    family = str(rng.choice(["crowd", "few", "single", "empty"], p=[0.45, 0.32, 0.19, 0.04]))
    background = _background(rng)
    crowd, clumped, main = (), False, ()
    if family == "crowd":
        crowd, clumped = _crowd(rng, background)
        main = _odd_ones(rng, background, crowd[0].tint)
    elif family in ("few", "single"):
        main = _few(rng, background, 1 if family == "single" else int(rng.integers(1, 6)))
    dots: tuple[Thing, ...] = ()
    if family != "empty" and rng.random() < (0.75 if family == "crowd" else 0.35):
        dots = _dots(rng, background, main, int(rng.integers(0, 7)))
    return Scene(
        seed=seed,
        family=family,
        background=background,
        gradient=float(rng.uniform(0, 0.3)),
        main=main,
        crowd=crowd,
        dots=dots,
        clumped=clumped,
        vignette=float(rng.choice([0.0, 0.0, rng.uniform(0.3, 0.9)])),
        blur=float(rng.choice([0.0, 0.0, rng.uniform(0.6, 2.0)])),
        noise=float(rng.choice([0.0, rng.uniform(2, 12)])),
        stains=int(rng.choice([0, 0, 0, 1, 2])),
        highlights=0 if dots else int(rng.choice([0, 0, 1, 3])),  # a glint looks like a dot
        label="".join(rng.choice(list("ABCDEFX0123456789"), 4)) if rng.random() < 0.08 else "",
    )


def make_tint(rng: Rng, name: str, tone: str = "plain") -> Tint:
    """Return a tint near the named color; the jitter stays well inside the name's range."""
    rgb = np.array(COLORS[name], dtype=float) + rng.normal(0, 7, 3)
    if tone == "pale":
        rgb = rgb + (255 - rgb) * rng.uniform(0.5, 0.68)
    elif tone == "dark":
        rgb = rgb * rng.uniform(0.42, 0.58)
    r, g, b = (int(v) for v in rgb.clip(0, 255))
    return Tint(name=name, tone=tone, rgb=(r, g, b))


def contrast(a: Tint, b: Tint) -> float:
    """Return the RGB distance of two tints."""
    return float(np.linalg.norm(np.array(a.rgb, dtype=float) - np.array(b.rgb)))


def _background(rng: Rng) -> Tint:
    pick = rng.random()
    if pick < 0.5:
        return make_tint(rng, str(rng.choice(PALE)), "pale")
    if pick < 0.65:
        return make_tint(rng, "white")
    if pick < 0.8:
        return make_tint(rng, str(rng.choice(DARK)), "dark")
    return make_tint(rng, str(rng.choice([name for name in COLORS if name != "white"])))


def _tint_against(rng: Rng, others: list[Tint], distance: float, tones: tuple[str, ...]) -> Tint:
    """Return a random tint at least `distance` from all others (or the best of 30 draws)."""
    best, best_gap = None, -1.0
    for _ in range(30):
        tone = str(rng.choice(tones))
        names = {"pale": PALE, "dark": DARK}.get(tone, tuple(COLORS))
        tint = make_tint(rng, str(rng.choice(names)), tone)
        gap = min(contrast(tint, other) for other in others)
        if gap >= distance and all(tint.name != other.name for other in others):
            return tint
        if gap > best_gap:
            best, best_gap = tint, gap
    assert best is not None
    return best


def _thing(rng: Rng, x: float, y: float, radius: float, tint: Tint, shape: str, texture: str) -> Thing:
    wobble: tuple[tuple[int, float, float], ...] = ()
    phase = float(rng.uniform(0, 6.28))
    if shape == "lobed":
        wobble = ((int(rng.integers(2, 6)), float(rng.uniform(0.2, 0.32)), phase),)
    elif shape == "irregular":
        wobble = tuple((k, float(rng.uniform(0.06, 0.16)), float(rng.uniform(0, 6.28))) for k in (2, 3, 5, 7))
    if shape == "ellipse":
        aspect = float(rng.uniform(1.7, 3.2))
    else:
        aspect = float(rng.uniform(1.7, 2.4)) if shape == "irregular" and rng.random() < 0.3 else 1.0
    return Thing(x, y, radius, shape, texture, tint, aspect, float(rng.uniform(0, 3.14)), wobble)


def _place(rng: Rng, radius: float, others: list[Thing], cut: bool) -> tuple[float, float]:
    """Return a centre: inside the image or cut off by one border, and clear of the other objects if possible."""
    x = y = 0.5
    for _ in range(25):
        low = min(radius * 1.25 + 0.015, 0.45)
        x, y = (float(v) for v in rng.uniform(low, 1 - low, 2))
        if cut:
            depth = float(rng.uniform(-0.3, 0.65)) * radius
            along = float(rng.uniform(0.02, 0.98))
            x, y = ((depth, along), (1 - depth, along), (along, depth), (along, 1 - depth))[rng.integers(4)]
        if all(np.hypot(x - o.x, y - o.y) > 1.1 * (radius + o.radius) for o in others):
            break
    return x, y


def _crowd(rng: Rng, background: Tint) -> tuple[tuple[Thing, ...], bool]:
    tint = _tint_against(rng, [background], 55, ("pale", "pale", "plain"))
    shape = str(rng.choice(["circle", "circle", "circle", "ellipse", "irregular", "hexagon"]))
    texture = str(rng.choice(["solid", "solid", "solid", "hollow"]))
    radius = float(rng.uniform(0.026, 0.06))
    count = int(rng.choice([rng.integers(8, 19), rng.integers(36, 80)]))
    clumped = bool(rng.random() < 0.4)
    centres = rng.uniform(-0.02, 1.02, (count, 2))
    if clumped:
        heart = rng.uniform(0.1, 0.9, (max(2, count // 9), 2))
        centres = heart[rng.integers(len(heart), size=count)] + rng.normal(0, radius * 1.5, (count, 2))
    return tuple(
        _thing(rng, float(x), float(y), radius * float(rng.uniform(0.85, 1.15)), tint, shape, texture)
        for x, y in centres
    ), clumped


def _odd_ones(rng: Rng, background: Tint, crowd: Tint) -> tuple[Thing, ...]:
    """Return 0 to 3 large objects that differ from a crowd and usually look alike."""
    things: list[Thing] = []
    tint = _tint_against(rng, [background, crowd], 105, ("plain", "dark"))
    shape, texture = str(rng.choice(SHAPES)), str(rng.choice(TEXTURES[:4]))
    if rng.random() < 0.5:
        shape = str(rng.choice(["circle", "lobed", "irregular", "ellipse"]))
    for _ in range(int(rng.choice(4, p=[0.08, 0.56, 0.2, 0.16]))):
        radius = float(np.exp(rng.uniform(np.log(0.07), np.log(0.24))))
        x, y = _place(rng, radius, things, bool(rng.random() < 0.35))
        things.append(_thing(rng, x, y, radius, tint, shape, texture))
    return tuple(things)


def _few(rng: Rng, background: Tint, count: int) -> tuple[Thing, ...]:
    """Return `count` objects, each with its own shape, color, texture and size."""
    things: list[Thing] = []
    for _ in range(count):
        low, high = (0.06, 0.36) if count == 1 else (0.05, 0.4 / count**0.5)
        radius = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        x, y = _place(rng, radius, things, bool(rng.random() < (0.4 if count == 1 else 0.2)))
        tint = _tint_against(rng, [background], 95, ("plain", "plain", "dark", "pale"))
        things.append(_thing(rng, x, y, radius, tint, str(rng.choice(SHAPES)), str(rng.choice(TEXTURES))))
    return tuple(things)


def _dots(rng: Rng, background: Tint, main: tuple[Thing, ...], count: int) -> tuple[Thing, ...]:
    tint = _tint_against(rng, [background], 130, ("plain", "dark"))
    dots: list[Thing] = []
    for _ in range(count):
        radius = float(rng.uniform(0.012, 0.022))
        for _ in range(20):
            x, y = (float(v) for v in rng.uniform(0.04, 0.96, 2))
            if all(np.hypot(x - o.x, y - o.y) > 1.5 * o.radius + 0.04 for o in (*main, *dots)):
                dots.append(_thing(rng, x, y, radius, tint, "circle", "solid"))
                break
    return tuple(dots)
