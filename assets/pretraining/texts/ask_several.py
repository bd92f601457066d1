"""Questions with several answers, joined with "; " in the order of the options, or in a fixed order when open.

They are kept apart from the other skills: their answer need not be one of the options.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from assets.pretraining.scenes.facts import COLORS, Rng, Scene, Thing
from assets.pretraining.texts import wording as w
from assets.pretraining.texts.questions import Question
from assets.pretraining.texts.wording import fill, pick

JOIN = "; "
_SIDE = 60


def several(rng: Rng, skill: str, text: str, ordered: Sequence[str], truths: set[str], pool: int) -> Question:
    """Return the question, open or with `pool` options at most; `ordered` gives all names in the fixed order."""
    if rng.random() < 0.5:
        return Question(skill, text, (), JOIN.join(name for name in ordered if name in truths))
    wrong = [name for name in ordered if name not in truths]
    spare = max(1, pool - len(truths))
    kept = [*truths, *(wrong[int(i)] for i in rng.permutation(len(wrong))[: int(rng.integers(1, spare + 1))])]
    options = tuple(name for name in ordered if name in kept)
    if rng.random() < 0.6:
        options = tuple(options[int(i)] for i in rng.permutation(len(options)))
    return Question(skill, text, options, JOIN.join(name for name in options if name in truths))


def ask_colors(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """Which colors the objects have."""
    names = {thing.tint.name for thing in scene.main}
    cored = any(thing.core for thing in scene.main)
    if not names or scene.crowd or cored or len(names) > 5:
        return None
    if any(b not in w.rivals(a, [b]) for a in names for b in names if a != b):
        return None
    ordered = [c for c in COLORS if c in names or all(c in w.rivals(n, [c]) for n in names)]
    text = fill(
        rng,
        (
            "Which colors do the objects have? If more than one, separate with ;",
            "What are the colors of the objects? Separate several with ;",
            "Name all colors of the objects, separated by ;",
        ),
    )
    return several(rng, "colors", text, ordered, names, 7)


def cell_coverage(thing: Thing) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return, for the 3 x 3 cells row by row, the share of the cell covered and of the visible object in it."""
    image = Image.new("L", (_SIDE, _SIDE))
    ImageDraw.Draw(image).polygon([(x, y) for x, y in (thing.outline() * _SIDE).tolist()], fill=1)
    third = _SIDE // 3
    inside = np.asarray(image, dtype=float).reshape(3, third, 3, third).sum((1, 3)).ravel()
    return inside / third**2, inside / max(inside.sum(), 1.0)


def regions(thing: Thing) -> list[int] | None:
    """Return the cells in which the object lies; None where a person could argue about one."""
    covered, held = cell_coverage(thing)
    sure = (covered > 0.2) | (held > 0.22)
    absent = (covered < 0.09) & (held < 0.11)
    return [int(n) for n in np.flatnonzero(sure)] if bool((sure | absent).all()) else None


def ask_regions(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """In which parts of a 3 x 3 grid the largest object lies."""
    ranked = sorted(scene.main, key=lambda thing: -thing.visible().area)
    if not ranked or (len(ranked) > 1 and ranked[0].visible().area < 1.35 * ranked[1].visible().area):
        return None
    found = regions(ranked[0])
    if not found:
        return None
    family = w.REGIONS[int(rng.integers(len(w.REGIONS)))]
    text = fill(
        rng,
        (
            "In which regions does the {o} object lie? Name all.",
            "Which parts of the image does the {o} object cover? Separate several with ;",
            "Name all regions that hold the {o} object.",
        ),
        o=pick(rng, w.LARGEST),
    )
    return several(rng, "regions", text, family, {family[n] for n in found}, 9)


def findings(scene: Scene) -> dict[str, bool]:
    """Return what is present or not, in the fixed order; kinds that are in doubt are left out."""
    tissue = scene.tissue
    known: dict[str, bool] = {}
    if tissue:
        known |= {"folds": bool(tissue.folds), "vessels": bool(tissue.vessels), "highlights": bool(tissue.glints)}
        known |= {"dark opening": tissue.lumen is not None, "black frame": bool(tissue.frame)}
        known |= {"mounds": bool(scene.main)}
    else:
        known |= {"folds": False, "vessels": False, "crowd of small bodies": bool(scene.crowd)}
    known["text"] = scene.writing is not None
    if scene.dots or not (scene.highlights or (tissue and tissue.glints)):  # glints could be taken for dots
        known["dots"] = bool(scene.dots)
    if scene.box or not (scene.vignette or scene.family in ("few", "single")):
        known["corner box"] = scene.box is not None
    return known


def ask_findings(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """Which of some structures are present; "none" where none of those asked about is."""
    known = findings(scene)
    names = [name for name in known if known[name] or rng.random() < 0.7][:7]
    truths = [name for name in names if known[name]]
    if len(names) < 3:
        return None
    order = [names[int(i)] for i in rng.permutation(len(names))]
    answer = JOIN.join(name for name in order if known[name]) or "none"
    ask = fill(rng, ("Which of these are present", "Which of these can be seen", "What is present in the image"))
    if rng.random() < 0.5:
        return Question("findings", f"{ask}: {', '.join(order)}?", (), answer)
    none = ("none",) if not truths or rng.random() < 0.5 else ()
    return Question("findings", f"{ask}? Name all.", (*order, *none), answer)
