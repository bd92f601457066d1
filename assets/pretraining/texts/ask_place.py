"""Questions about where objects lie and how large they are.

A fact that a person could argue about (an object close to a line between two thirds, say) is not asked.
"""

from collections.abc import Sequence

from assets.pretraining.scenes.facts import Rng, Scene, Thing
from assets.pretraining.texts import wording as w
from assets.pretraining.texts.questions import Question, closed
from assets.pretraining.texts.wording import Family, fill, pick

MARGIN = 0.035
"""Objects closer than this to a dividing line are not asked about."""


def band(value: float, lines: Sequence[float], margin: float) -> int | None:
    """Return which band between the dividing lines a value falls in; None where it is too close to a line."""
    if any(abs(value - line) < margin for line in lines):
        return None
    return sum(value > line for line in lines)


def size_class(thing: Thing) -> int | None:
    """Return 0, 1 or 2: visible area under 3%, 3% to 10%, over 10% of the image; None if close to a line."""
    area = thing.visible().area
    return (
        None if any(0.85 < area / line < 1.18 for line in (0.03, 0.10)) else sum(area > line for line in (0.03, 0.10))
    )


def touches_border(thing: Thing) -> bool | None:
    """Return whether the border cuts the object; None where it just touches or nearly does."""
    gap = thing.visible().gap
    return None if -0.012 < gap < 0.012 else gap < 0


def _families(seen: tuple[Family, ...], unseen: tuple[Family, ...], held_out: bool) -> tuple[Family, ...]:
    return unseen if held_out else seen


def ask_across(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """Where, from left to right."""
    named = w.refer(rng, scene)
    index = band(named[1].visible().x, (1 / 3, 2 / 3), MARGIN) if named else None
    if named is None or index is None:
        return None
    text = fill(
        rng,
        (
            "Where is {o} horizontally?",
            "Is {o} on the left, in the middle or on the right?",
            "Where does {o} lie from left to right?",
            "Which part of the width holds {o}?",
            "Horizontal position of {o}?",
            "In which vertical third of the image is {o}?",
            "Across the image, where is {o}?",
            "Where is {o} located across the picture?",
        ),
        o=named[0],
    )
    return closed(rng, "across", text, _families(w.ACROSS, w.ACROSS_HELD_OUT, held_out), index)


def ask_down(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """Where, from top to bottom."""
    named = w.refer(rng, scene)
    index = band(named[1].visible().y, (1 / 3, 2 / 3), MARGIN) if named else None
    if named is None or index is None:
        return None
    text = fill(
        rng,
        (
            "Where is {o} vertically?",
            "Is {o} at the top, in the middle or at the bottom?",
            "Where does {o} lie from top to bottom?",
            "Which part of the height holds {o}?",
            "Vertical position of {o}?",
            "In which horizontal third of the image is {o}?",
            "How high up in the image is {o}?",
            "Where is {o} located up and down?",
        ),
        o=named[0],
    )
    return closed(rng, "down", text, _families(w.DOWN, w.DOWN_HELD_OUT, held_out), index)


def ask_quadrant(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """Which quarter of the image."""
    named = w.refer(rng, scene)
    if named is None:
        return None
    seen = named[1].visible()
    across, down = band(seen.x, (0.5,), 0.06), band(seen.y, (0.5,), 0.06)
    if across is None or down is None:
        return None
    text = fill(
        rng,
        (
            "Which quadrant contains {o}?",
            "In which corner region is {o}?",
            "Where is {o}?",
            "Where in the image does {o} lie?",
        ),
        o=named[0],
    )
    return closed(rng, "quadrant", text, w.QUADRANT, 2 * down + across)


def ask_size(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """How large, as a share of the image."""
    named = w.refer(rng, scene)
    index = size_class(named[1]) if named else None
    if named is None or index is None:
        return None
    text = fill(
        rng,
        (
            "How large is {o}?",
            "What is the size of {o}?",
            "How much of the image does {o} cover?",
            "How big is {o} compared with the image?",
            "Size of {o}?",
        ),
        o=named[0],
    )
    return closed(rng, "size", text, _families(w.SIZE, w.SIZE_HELD_OUT, held_out), index)


def ask_border(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """Whether the image's edge cuts the object."""
    named = w.refer(rng, scene)
    touching = touches_border(named[1]) if named else None
    if named is None or touching is None:
        return None
    text = fill(
        rng,
        (
            "Does {o} touch the border of the image?",
            "Is {o} cut off by the edge?",
            "Does {o} reach the image edge?",
            "Is {o} touching the edge of the picture?",
        ),
        o=named[0],
    )
    return closed(rng, "border", text, _families(w.BORDER, w.BORDER_HELD_OUT, held_out), int(touching))


def ask_compare(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """How two objects lie to each other."""
    if len(scene.main) < 2 or scene.crowd:
        return None
    a, b = (scene.main[int(i)] for i in rng.permutation(len(scene.main))[:2])
    names = [t.tint.name for t in scene.main]
    if any(n not in w.rivals(t.tint.name, [n]) for t in (a, b) for n in names if n != t.tint.name):
        return None
    if names.count(a.tint.name) > 1 or names.count(b.tint.name) > 1:
        return None
    one, two = (f"the {w.color_word(rng, t.tint, tone=False)} {pick(rng, w.NOUNS)}" for t in (a, b))
    va, vb = a.visible(), b.visible()
    checks = (
        ("left of", va.x < vb.x, abs(va.x - vb.x)),
        ("right of", va.x > vb.x, abs(va.x - vb.x)),
        ("above", va.y < vb.y, abs(va.y - vb.y)),
        ("below", va.y > vb.y, abs(va.y - vb.y)),
        ("larger than", va.area > vb.area, abs(va.area - vb.area) / max(va.area, vb.area) - 0.2),
    )
    relation, truth, gap = checks[int(rng.integers(len(checks)))]
    if gap < 0.1:
        return None
    return closed(rng, "compare", f"Is {one} {relation} {two}?", w.YES[:4], int(truth))
