"""Near twins: a scene with exactly one fact changed, so that only looking tells the two apart."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from assets.pretraining.scenes.facts import COLORS, SHAPES, TEXTURES, Rng, Scene, Thing, Tint
from assets.pretraining.scenes.objects import contrast, make_thing, make_tint, place, plan_dots, tint_against
from assets.pretraining.scenes.overlays import clear_of_overlays, plan_box, plan_writing
from assets.pretraining.scenes.tissue import in_frame, mound_tint, plan_folds, plan_glints, plan_vessels

DENSE = 25
"""More bodies than this make a crowd dense."""
Change = Callable[[Scene, Rng], Scene | None]


def twin(scene: Scene, rng: Rng) -> Scene:
    """Return the scene with exactly one fact changed; it shares the `look` of what is drawn beyond the facts."""
    for number in [*rng.permutation(len(_CHANGES)), *rng.permutation(len(_CHANGES))]:
        changed = _CHANGES[int(number)](scene, rng)
        if changed is not None and changed != scene:
            return changed
    changed = _other_background(scene, rng)
    return changed or scene


def _with_largest(scene: Scene, thing: Thing) -> Scene:
    at = scene.main.index(largest(scene))
    return replace(scene, main=(*scene.main[:at], thing, *scene.main[at + 1 :]))


def largest(scene: Scene) -> Thing:
    """Return the object of which most is visible."""
    return max(scene.main, key=lambda thing: thing.visible().area)


def _fits(scene: Scene, thing: Thing, instead_of: Thing | None) -> bool:
    """Return whether the object is clear of all others, of overlays, the lumen and the frame."""
    others = [o for o in (*scene.main, *scene.dots) if o is not instead_of]
    frame, lumen = (scene.tissue.frame, scene.tissue.lumen) if scene.tissue else ("", None)
    taken = [(o.x, o.y, o.radius) for o in others] + ([lumen] if lumen else [])
    clear = all(np.hypot(thing.x - x, thing.y - y) > 1.08 * (thing.radius + r) for x, y, r in taken)
    return clear and in_frame(thing.x, thing.y, thing.radius, frame) and clear_of_overlays(thing, scene)


def _recolor(scene: Scene, rng: Rng) -> Scene | None:
    if not scene.main:
        return None
    thing = largest(scene)
    for _ in range(10):
        others = [scene.background, thing.tint, *(t.tint for t in scene.crowd[:1])]
        others += [thing.core.tint] if thing.core else []
        tint = mound_tint(rng, scene.background) if thing.soft else tint_against(rng, others, 100, ("plain", "dark"))
        if tint.name != thing.tint.name and contrast(tint, thing.tint) > 45:
            return _with_largest(scene, replace(thing, tint=tint))
    return None


def _mirror(scene: Scene, rng: Rng) -> Scene | None:
    if not scene.main:
        return None
    thing = largest(scene)
    flipped = replace(thing, x=1 - thing.x) if rng.random() < 0.5 else replace(thing, y=1 - thing.y)
    far = abs(flipped.x - thing.x) + abs(flipped.y - thing.y) > 0.25
    return _with_largest(scene, flipped) if far and _fits(scene, flipped, thing) else None


def _resize(scene: Scene, rng: Rng) -> Scene | None:
    if not scene.main:
        return None
    thing = largest(scene)
    for factor in rng.permutation([0.45, 0.55, 1.8, 2.2]):
        other = replace(thing, radius=thing.radius * float(factor))
        if 0.06 < other.radius < 0.36 and _fits(scene, other, thing):
            return _with_largest(scene, other)
    return None


def _retexture(scene: Scene, rng: Rng) -> Scene | None:
    if not scene.main or largest(scene).core or largest(scene).radius < 0.07 or scene.blur > 1:
        return None
    thing = largest(scene)
    kinds = [t for t in (TEXTURES[:4] if thing.soft else TEXTURES) if t != thing.texture]
    return _with_largest(scene, replace(thing, texture=str(rng.choice(kinds))))


def _reshape(scene: Scene, rng: Rng) -> Scene | None:
    if not scene.main or largest(scene).soft:
        return None
    thing = largest(scene)
    shape = str(rng.choice([s for s in SHAPES if s != thing.shape and s != "irregular"]))
    other = make_thing(rng, thing.x, thing.y, thing.radius, thing.tint, shape, thing.texture)
    return _with_largest(scene, replace(other, core=thing.core if shape in ("circle", "square", "hexagon") else None))


def _one_more(scene: Scene, rng: Rng) -> Scene | None:
    if not scene.main or len(scene.main) > 8:
        return None
    model = scene.main[int(rng.integers(len(scene.main)))]
    radius = min(model.radius, 0.12)
    at = place(rng, radius, list(scene.main), False)
    if at is None:
        return None
    added = replace(model, x=at[0], y=at[1], radius=radius)
    return replace(scene, main=(*scene.main, added)) if _fits(scene, added, None) else None


def _one_fewer(scene: Scene, rng: Rng) -> Scene | None:
    return replace(scene, main=scene.main[:-1]) if scene.main else None


def _other_dots(scene: Scene, rng: Rng) -> Scene | None:
    if scene.highlights or (scene.tissue and scene.tissue.glints):
        return None
    if len(scene.dots) > 1 and rng.random() < 0.6:
        return replace(scene, dots=scene.dots[: int(rng.integers(0, len(scene.dots)))])
    if scene.dots or scene.blur > 1 or scene.family == "empty":
        return None
    dots = plan_dots(rng, scene.background, scene.main, scene.crowd, int(rng.integers(1, 9)))
    return replace(scene, dots=tuple(dot for dot in dots if clear_of_overlays(dot, scene)))


def _other_crowding(scene: Scene, rng: Rng) -> Scene | None:
    if not scene.crowd:
        return None
    if len(scene.crowd) > DENSE:
        return replace(scene, crowd=scene.crowd[: int(rng.integers(8, 15))])
    spread = 0.06 if scene.clumped else 0.4
    added = []
    for _ in range(int(rng.integers(32, 50))):
        model = scene.crowd[int(rng.integers(len(scene.crowd)))]
        dx, dy = (float(v) for v in rng.normal(0, spread, 2))
        added.append(replace(model, x=(model.x + dx) % 1.0, y=(model.y + dy) % 1.0))
    return replace(scene, crowd=(*scene.crowd, *added))


def _other_background(scene: Scene, rng: Rng) -> Scene | None:
    if scene.tissue:
        return None
    seen = [t.tint for t in (*scene.main, *scene.crowd[:1], *scene.dots[:1])]
    seen += [t.core.tint for t in scene.main if t.core] + [o.tint for o in (scene.writing, scene.box) if o]
    for _ in range(20):
        tint = make_tint(rng, str(rng.choice(list(COLORS))), str(rng.choice(["plain", "pale"])))
        if tint.tone == "pale" and tint.name in ("black", "white", "red", "brown"):
            continue
        if tint.name != scene.background.name and all(_stands_out(tint, other) for other in seen):
            return replace(scene, background=tint)
    return None


def _stands_out(tint: Tint, other: Tint) -> bool:
    return tint.name != other.name and contrast(tint, other) > 90


def _other_relief(scene: Scene, rng: Rng) -> Scene | None:
    """Folds, vessels or highlights that are there or not."""
    tissue = scene.tissue
    if tissue is None:
        return None
    kind = int(rng.integers(3))
    if kind == 0:
        folds = () if tissue.folds else plan_folds(rng, int(rng.integers(1, 4)), tissue.lumen)
        return replace(scene, tissue=replace(tissue, folds=folds))
    if kind == 1:
        return replace(scene, tissue=replace(tissue, vessels=() if tissue.vessels else plan_vessels(rng, 2)))
    if scene.dots:
        return None
    return replace(scene, tissue=replace(tissue, glints=() if tissue.glints else plan_glints(rng, scene.main)))


def _other_writing(scene: Scene, rng: Rng) -> Scene | None:
    return replace(scene, writing=None if scene.writing else plan_writing(rng, scene))


def _other_box(scene: Scene, rng: Rng) -> Scene | None:
    return replace(scene, box=None if scene.box else plan_box(rng, scene))


_CHANGES: tuple[Change, ...] = (
    _recolor,
    _mirror,
    _resize,
    _retexture,
    _reshape,
    _one_more,
    _one_fewer,
    _other_dots,
    _other_crowding,
    _other_background,
    _other_relief,
    _other_relief,
    _other_writing,
    _other_box,
)
