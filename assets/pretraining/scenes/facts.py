"""What a drawn scene consists of, as values: tints, objects, tissue, overlays. Nothing is planned or drawn here."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

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


Point = tuple[float, float]
Curve = tuple[Point, ...]
"""A line through points, in shares of the image's side."""


@dataclass(frozen=True)
class Tint:
    """A named color: `name` is the hue, `tone` one of pale, plain and dark."""

    name: str
    tone: str
    rgb: Rgb


@dataclass(frozen=True)
class Core:
    """An inner body: lengths are shares of the radius of the object around it."""

    tint: Tint
    share: float
    lobes: int
    dx: float = 0.0
    dy: float = 0.0
    angle: float = 0.0


@dataclass(frozen=True)
class Thing:
    """One drawn object. Lengths and places are shares of the image's side; `radius` is that of its equal-area disc.

    `core` is an inner body, `pale_center` a lighter middle, `soft` a shaded mound without a sharp edge.
    """

    x: float
    y: float
    radius: float
    shape: str
    texture: str
    tint: Tint
    aspect: float = 1.0
    angle: float = 0.0
    wobble: tuple[tuple[int, float, float], ...] = ()
    core: "Core | None" = None
    pale_center: bool = False
    soft: bool = False

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
        return self._visible

    @cached_property
    def _visible(self) -> "Visible":  # each question about a scene asks for it
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
class Tissue:
    """A smooth ground with relief: folds, vessels (each a tree of curves), an opening, glints, a black frame.

    `light` is the direction the light comes from; `lumen` is (x, y, radius); glints are (x, y, radius).
    """

    light: float
    folds: tuple[Curve, ...] = ()
    vessels: tuple[tuple[Curve, ...], ...] = ()
    lumen: tuple[float, float, float] | None = None
    glints: tuple[tuple[float, float, float], ...] = ()
    frame: str = ""


@dataclass(frozen=True)
class Writing:
    """Lines of text laid over an image; `area` is (left, top, right, bottom) in shares of the side."""

    lines: tuple[str, ...]
    side: str
    tint: Tint
    area: tuple[float, float, float, float]


@dataclass(frozen=True)
class Box:
    """A filled rectangle flush with a corner (0 to 3: row by row); `content` is a line drawing inside."""

    corner: int
    tint: Tint
    content: bool
    area: tuple[float, float, float, float]


@dataclass(frozen=True)
class Scene:
    """All facts of one drawn image; `look` seeds what is drawn beyond the facts (twins share it)."""

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
    tissue: Tissue | None = None
    writing: Writing | None = None
    box: Box | None = None
    look: int = -1


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
    scaled: NDArray[np.float64] = rho / np.sqrt(np.mean(rho**2))
    return scaled
