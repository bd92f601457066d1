"""Plans smooth, warm or pale grounds with relief: folds, vessels, an opening, shaded mounds, glints, a black frame."""

from dataclasses import replace

import numpy as np

from assets.pretraining.scenes.facts import Curve, Rgb, Rng, Scene, Thing, Tint, Tissue
from assets.pretraining.scenes.objects import make_thing, plan_dots

GROUNDS: dict[str, Rgb] = {
    "pink": (230, 152, 152),
    "red": (188, 62, 54),
    "orange": (224, 140, 84),
    "brown": (140, 90, 60),
    "gray": (126, 126, 126),
    "purple": (146, 92, 164),
}
SHARES = (0.28, 0.17, 0.18, 0.1, 0.15, 0.12)
MOUND_SHAPES = ("circle", "circle", "ellipse", "lobed", "irregular")
MOUND_TEXTURES = ("solid", "solid", "solid", "granular", "granular", "dotted", "striped")


def plan_tissue_scene(rng: Rng, seed: int) -> Scene:
    """Return a scene of the family "tissue"."""
    background = ground_tint(rng)
    frame = str(rng.choice(["", "", "", "circle", "octagon"]))
    lumen = _lumen(rng, frame) if rng.random() < 0.35 else None
    mounds = _mounds(rng, background, frame, lumen, int(rng.choice(5, p=[0.2, 0.42, 0.2, 0.11, 0.07])))
    dots = plan_dots(rng, background, mounds, (), int(rng.integers(1, 11))) if rng.random() < 0.12 else ()
    tissue = Tissue(
        light=float(rng.uniform(0, 6.28)),
        folds=plan_folds(rng, int(rng.choice(5, p=[0.4, 0.24, 0.18, 0.11, 0.07])), lumen),
        vessels=plan_vessels(rng, int(rng.choice(4, p=[0.55, 0.2, 0.15, 0.1]))),
        lumen=lumen,
        glints=() if dots or rng.random() < 0.35 else plan_glints(rng, mounds),  # a glint looks like a dot
        frame=frame,
    )
    return Scene(
        seed=seed,
        look=seed,
        family="tissue",
        background=background,
        gradient=float(rng.uniform(0, 0.4)),
        main=mounds,
        dots=dots,
        vignette=0.0 if frame else float(rng.choice([0.0, 0.0, rng.uniform(0.3, 0.8)])),
        blur=float(rng.choice([0.0, 0.0, rng.uniform(0.4, 0.9)])),
        noise=float(rng.choice([0.0, rng.uniform(2, 8)])),
        tissue=tissue,
    )


def shade(rng: Rng, base: Rgb, name: str, tone: str) -> Tint:
    """Return the color in that tone, slightly varied."""
    rgb = np.array(base, dtype=float)
    if tone == "pale":
        rgb = rgb + (np.array([250, 250, 250] if name == "gray" else [255, 246, 240]) - rgb) * rng.uniform(0.42, 0.55)
    elif tone == "dark":
        rgb = rgb * rng.uniform(0.5, 0.62)
    r, g, b = (int(v) for v in (rgb + rng.normal(0, 5, 1 if name == "gray" else 3)).clip(0, 255))
    return Tint(name, tone, (r, g, b))


def ground_tint(rng: Rng) -> Tint:
    """Return the tint of a tissue-like ground."""
    name = str(rng.choice(list(GROUNDS), p=SHARES))
    tones = {
        "brown": ["plain"],
        "pink": ["plain", "plain", "pale"],
        "red": ["plain"],
        "gray": ["plain", "dark"],
        "orange": ["plain", "plain", "pale"],
    }
    return shade(rng, GROUNDS[name], name, str(rng.choice(tones.get(name, ["plain", "pale"]))))


def mound_tint(rng: Rng, background: Tint) -> Tint:
    """Return a tint close to the background: the same, paler, darker, redder or whiter."""
    kind = str(rng.choice(["same", "same", "paler", "redder", "whiter", "darker"]))
    base = np.array(background.rgb, dtype=float)
    warm = background.name in ("pink", "orange", "brown", "purple")
    if kind == "redder" and warm:
        r, g, b = (int(v) for v in 0.25 * base + 0.75 * np.array(GROUNDS["red"]))
        return Tint("red", "plain", (r, g, b))
    if kind == "whiter":
        r, g, b = (int(v) for v in base + (np.array([250, 246, 238]) - base) * 0.85)
        return Tint("white", "plain", (r, g, b))
    if kind == "paler" and background.tone == "plain" and background.name != "brown":
        return shade(rng, background.rgb, background.name, "pale")
    if kind == "darker" and background.tone == "plain" and background.name != "orange":
        return shade(rng, background.rgb, background.name, "dark")
    r, g, b = (int(v) for v in (base * rng.uniform(0.97, 1.1)).clip(0, 255))
    return Tint(background.name, background.tone, (r, g, b))


def in_frame(x: float, y: float, radius: float, frame: str) -> bool:
    """Return whether a disc lies wholly within the frame's opening."""
    return not frame or float(np.hypot(x - 0.5, y - 0.5)) + radius * 1.15 < 0.49


def _mounds(
    rng: Rng, background: Tint, frame: str, lumen: tuple[float, float, float] | None, count: int
) -> tuple[Thing, ...]:
    mounds: list[Thing] = []
    taken = [lumen] if lumen else []
    high = 0.3 if count == 1 else 0.36 / max(count, 1) ** 0.5
    for _ in range(count):
        radius = float(np.exp(rng.uniform(np.log(0.075), np.log(high))))
        for _ in range(40):
            low = 0.0 if rng.random() < 0.2 else min(0.45, radius * 1.1)
            x, y = (float(v) for v in rng.uniform(low, 1 - low, 2))
            clear = all(np.hypot(x - a, y - b) > 1.2 * (radius + c) for a, b, c in taken)
            if clear and in_frame(x, y, radius, frame):
                mounds.append(_mound(rng, x, y, radius, mound_tint(rng, background)))
                taken.append((x, y, radius))
                break
    return tuple(mounds)


def _mound(rng: Rng, x: float, y: float, radius: float, tint: Tint) -> Thing:
    thing = make_thing(rng, x, y, radius, tint, str(rng.choice(MOUND_SHAPES)), str(rng.choice(MOUND_TEXTURES)))
    if thing.shape == "ellipse":
        thing = replace(thing, aspect=float(rng.uniform(1.7, 2.1)))
    return replace(thing, soft=True)


def _lumen(rng: Rng, frame: str) -> tuple[float, float, float]:
    radius = float(rng.uniform(0.08, 0.18))
    while True:  # ends soon: the middle of the image always fits
        x, y = (float(v) for v in rng.uniform(0.15, 0.85, 2))
        if in_frame(x, y, radius, frame):  # else it would merge with the black frame
            return x, y, radius


def plan_folds(rng: Rng, count: int, lumen: tuple[float, float, float] | None = None) -> tuple[Curve, ...]:
    """Return curved lines across the image that run side by side, clear of each other."""
    turn, first = rng.uniform(0, 2 * np.pi), rng.uniform(-0.3, 0.05)
    gap, bend = rng.uniform(0.14, 0.22), rng.uniform(0.06, 0.25) * rng.choice([-1, 1])
    at = np.linspace(-0.8, 0.8, 24)
    c, s = np.cos(turn), np.sin(turn)
    folds = []
    for number in range(count):
        reach = rng.uniform(0.35, 0.8)
        along = at[np.abs(at) < reach]
        across = first + number * gap + bend * along**2 + 0.012 * np.sin(along * 9 + rng.uniform(0, 6))
        x, y = 0.5 + along * c - across * s, 0.5 + along * s + across * c
        folds.append(tuple(zip(x.tolist(), y.tolist(), strict=True)))
    return tuple(folds)


def plan_vessels(rng: Rng, count: int) -> tuple[tuple[Curve, ...], ...]:
    """Return thin trees: a wandering trunk from the border with one to three branches each."""
    return tuple(_vessel(rng) for _ in range(count))


def _vessel(rng: Rng) -> tuple[Curve, ...]:
    side, along = int(rng.integers(4)), float(rng.uniform(0.15, 0.85))
    start = ((0.0, along), (along, 0.0), (1.0, along), (along, 1.0))[side]
    trunk = _walk(rng, start, side * np.pi / 2 + float(rng.normal(0, 0.4)), int(rng.integers(12, 20)))
    twigs = []
    for _ in range(int(rng.integers(1, 4))):
        k = int(rng.integers(3, len(trunk) - 3))
        ahead = np.arctan2(trunk[k + 1][1] - trunk[k][1], trunk[k + 1][0] - trunk[k][0])
        twigs.append(_walk(rng, trunk[k], float(ahead) + float(rng.choice([-0.8, 0.8])), int(rng.integers(5, 10))))
    return (trunk, *twigs)


def _walk(rng: Rng, start: tuple[float, float], turn: float, steps: int) -> Curve:
    turns = turn + np.cumsum(rng.normal(0, 0.22, steps))
    x, y = start[0] + np.cumsum(0.04 * np.cos(turns)), start[1] + np.cumsum(0.04 * np.sin(turns))
    return (start, *zip(x.tolist(), y.tolist(), strict=True))


def plan_glints(rng: Rng, mounds: tuple[Thing, ...]) -> tuple[tuple[float, float, float], ...]:
    """Return 2 to 25 bright reflections, mostly on the mounds."""
    glints = []
    for _ in range(int(np.exp(rng.uniform(np.log(3), np.log(25))))):
        x, y = (float(v) for v in rng.uniform(0.15, 0.85, 2))
        if mounds and rng.random() < 0.7:
            mound = mounds[int(rng.integers(len(mounds)))]
            x, y = (float(np.clip(c + rng.normal(0, 0.5) * mound.radius, 0.06, 0.94)) for c in (mound.x, mound.y))
        glints.append((x, y, float(rng.uniform(0.008, 0.02))))
    return tuple(glints)
