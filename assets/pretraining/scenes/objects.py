"""Plans the objects of a scene: tints that stand out, crowds, odd ones, a few objects, dots, and cores."""

from dataclasses import replace

import numpy as np

from assets.pretraining.scenes.facts import COLORS, DARK, PALE, SHAPES, TEXTURES, Core, Rng, Thing, Tint


def make_tint(rng: Rng, name: str, tone: str = "plain") -> Tint:
    """Return a tint near the named color; the jitter stays well inside the name's range."""
    channels = 1 if name == "gray" else 3  # a tinged gray would have another name
    rgb = np.array(COLORS[name], dtype=float) + rng.normal(0, 7, channels)
    if tone == "pale":
        rgb = rgb + (255 - rgb) * rng.uniform(0.5, 0.68)
    elif tone == "dark":
        rgb = rgb * rng.uniform(0.42, 0.58)
    r, g, b = (int(v) for v in rgb.clip(0, 255))
    return Tint(name=name, tone=tone, rgb=(r, g, b))


def contrast(a: Tint, b: Tint) -> float:
    """Return the RGB distance of two tints."""
    return float(np.linalg.norm(np.array(a.rgb, dtype=float) - np.array(b.rgb)))


def plan_background(rng: Rng) -> Tint:
    """Return the tint of a plain field."""
    pick = rng.random()
    if pick < 0.5:
        return make_tint(rng, str(rng.choice(PALE)), "pale")
    if pick < 0.65:
        return make_tint(rng, "white")
    if pick < 0.8:
        return make_tint(rng, str(rng.choice(DARK)), "dark")
    return make_tint(rng, str(rng.choice([name for name in COLORS if name != "white"])))


def tint_against(rng: Rng, others: list[Tint], distance: float, tones: tuple[str, ...]) -> Tint:
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


def make_thing(rng: Rng, x: float, y: float, radius: float, tint: Tint, shape: str, texture: str) -> Thing:
    """Return an object of that shape with a random turn, aspect and outline."""
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


def place(
    rng: Rng, radius: float, others: list[Thing], cut: bool, *, tries: int = 40, apart: float = 1.1
) -> tuple[float, float] | None:
    """Return a centre inside the image or cut off by one border, clear of the other objects; None if there is none."""
    for _ in range(tries):
        low = min(radius * 1.25 + 0.015, 0.45)
        x, y = (float(v) for v in rng.uniform(low, 1 - low, 2))
        if cut:
            depth = float(rng.uniform(-0.3, 0.65)) * radius
            along = float(rng.uniform(0.02, 0.98))
            x, y = ((depth, along), (1 - depth, along), (along, depth), (along, 1 - depth))[rng.integers(4)]
        if all(np.hypot(x - o.x, y - o.y) > apart * (radius + o.radius) for o in others):
            return x, y
    return None


def plan_core(rng: Rng, around: list[Tint], lobes: int) -> Core:
    """Return an inner body whose color differs from all tints around it."""
    tint = tint_against(rng, around, 110, ("plain", "dark", "pale"))
    share = float(rng.uniform(0.5 if lobes > 1 else 0.35, 0.8))
    dx, dy = (float(v) for v in rng.uniform(-1, 1, 2) * (0.7 - 0.7 * share) * 0.5)
    return Core(tint, share, lobes, dx, dy, float(rng.uniform(0, 6.28)))


def can_hold_core(thing: Thing) -> bool:
    """Return whether an inner body fits into the object and would be seen."""
    return (
        thing.texture == "solid"
        and thing.shape in ("circle", "ellipse", "irregular", "hexagon", "square")
        and thing.aspect < 2.2
        and thing.radius > 0.065
    )


def plan_crowd(rng: Rng, background: Tint) -> tuple[tuple[Thing, ...], bool]:
    """Return many similar bodies, and whether they lie in clumps."""
    tint = tint_against(rng, [background], 55, ("pale", "pale", "plain"))
    shape = str(rng.choice(["circle", "circle", "circle", "ellipse", "irregular", "hexagon"]))
    texture = str(rng.choice(["solid", "solid", "solid", "hollow"]))
    pale_center = texture == "solid" and shape in ("circle", "ellipse") and bool(rng.random() < 0.45)
    radius = float(rng.uniform(0.032 if pale_center else 0.026, 0.06))
    count = int(rng.choice([rng.integers(8, 19), rng.integers(36, 80)]))
    clumped = bool(rng.random() < 0.4)
    centres = rng.uniform(-0.02, 1.02, (count, 2))
    if clumped:
        heart = rng.uniform(0.1, 0.9, (max(2, count // 9), 2))
        centres = heart[rng.integers(len(heart), size=count)] + rng.normal(0, radius * 1.5, (count, 2))
    return tuple(
        replace(
            make_thing(rng, float(x), float(y), radius * float(rng.uniform(0.85, 1.15)), tint, shape, texture),
            pale_center=pale_center,
        )
        for x, y in centres
    ), clumped


def plan_odd_ones(rng: Rng, background: Tint, crowd: Tint) -> tuple[Thing, ...]:
    """Return 0 to 6 large objects that differ from a crowd and usually look alike."""
    things: list[Thing] = []
    tint = tint_against(rng, [background, crowd], 105, ("plain", "dark"))
    shape, texture = str(rng.choice(SHAPES)), str(rng.choice(TEXTURES[:4]))
    if rng.random() < 0.5:
        shape = str(rng.choice(["circle", "lobed", "irregular", "ellipse"]))
        texture = str(rng.choice(["solid", texture]))
    core = plan_core(rng, [background, crowd, tint], int(rng.integers(1, 5))) if rng.random() < 0.6 else None
    count = int(rng.choice(7, p=[0.07, 0.43, 0.2, 0.12, 0.08, 0.06, 0.04]))
    for _ in range(count):
        radius = float(np.exp(rng.uniform(np.log(0.07), np.log(0.24 if count < 4 else 0.13))))
        at = place(rng, radius, things, bool(rng.random() < 0.3))
        if at:
            thing = make_thing(rng, *at, radius, tint, shape, texture)
            things.append(replace(thing, core=core) if core and can_hold_core(thing) else thing)
    return tuple(things)


def plan_few(rng: Rng, background: Tint, count: int) -> tuple[Thing, ...]:
    """Return up to `count` objects, each with its own shape, color, texture and size; none hides another."""
    things: list[Thing] = []
    apart = 0.85 if rng.random() < 0.2 else 1.1
    for _ in range(count):
        low, high = (0.06, 0.36) if count == 1 else (0.05, 0.4 / count**0.5)
        radius = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        at = place(rng, radius, things, bool(rng.random() < (0.4 if count == 1 else 0.15)), tries=80, apart=apart)
        if at:
            tint = tint_against(rng, [background], 95, ("plain", "plain", "dark", "pale"))
            things.append(make_thing(rng, *at, radius, tint, str(rng.choice(SHAPES)), str(rng.choice(TEXTURES))))
    if rng.random() < 0.4:
        core = plan_core(rng, [background, *(t.tint for t in things)], int(rng.choice([1, 1, 2, 3, 4])))
        things = [replace(t, core=core) if can_hold_core(t) else t for t in things]
    return tuple(things)


def plan_dots(
    rng: Rng, background: Tint, main: tuple[Thing, ...], crowd: tuple[Thing, ...], count: int
) -> tuple[Thing, ...]:
    """Return up to `count` tiny dots of one color; half of the time they lie in or beside the crowd's discs."""
    ground = [background, *(t.tint for t in crowd[:1])]
    tint = tint_against(rng, ground, 130, ("plain", "dark"))
    near = crowd if rng.random() < 0.5 else ()
    dots: list[Thing] = []
    for _ in range(count):
        radius = float(rng.uniform(0.008, 0.02))
        at = _dot_place(rng, radius, (*main, *dots), near)
        if at:
            dots.append(make_thing(rng, *at, radius, tint, "circle", "solid"))
    return tuple(dots)


def _dot_place(
    rng: Rng, radius: float, others: tuple[Thing, ...], near: tuple[Thing, ...]
) -> tuple[float, float] | None:
    for _ in range(20):
        x, y = (float(v) for v in rng.uniform(0.04, 0.96, 2))
        if near:
            host = near[int(rng.integers(len(near)))]
            turn, away = rng.uniform(0, 6.28), float(rng.choice([0.0, 0.3, host.radius / radius])) * radius
            x, y = host.x + float(np.cos(turn)) * away, host.y + float(np.sin(turn)) * away
        inside = 0.03 < x < 0.97 and 0.03 < y < 0.97
        if inside and all(np.hypot(x - o.x, y - o.y) > 1.5 * o.radius + radius + 0.015 for o in others):
            return x, y
    return None
