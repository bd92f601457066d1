"""Questions about relief: folds, vessels, an opening, glints; and about cores and pale centres."""

from assets.pretraining.scenes.facts import COLORS, Rng, Scene, Thing
from assets.pretraining.scenes.objects import contrast
from assets.pretraining.texts import wording as w
from assets.pretraining.texts.ask_place import MARGIN, band
from assets.pretraining.texts.questions import Question, among, closed
from assets.pretraining.texts.wording import fill, pick


def presence(rng: Rng, skill: str, kinds: tuple[str, ...], truth: bool) -> Question:
    """Return a yes-no question about one of the names of a kind of structure, given in the plural."""
    text = fill(
        rng,
        (
            "Are there any {k}?",
            "Are {k} visible?",
            "Can {k} be seen?",
            "Does the image show {k}?",
            "Are {k} present in the image?",
        ),
        k=pick(rng, kinds),
    )
    return closed(rng, skill, text, w.YES, int(truth))


def ask_relief(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """Whether folds, vessels or highlights are there."""
    tissue = scene.tissue
    if tissue is None:
        return None
    kinds = ((w.FOLDS, tissue.folds), (w.VESSELS, tissue.vessels), (w.GLINTS, tissue.glints))
    names, found = kinds[int(rng.integers(3))]
    return presence(rng, "relief", names, bool(found))


def ask_folds(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """How many folds."""
    if scene.tissue is None:
        return None
    text = fill(
        rng,
        ("How many {k} are there?", "How many {k} cross the image?", "Number of {k}?", "Count the {k}."),
        k=pick(rng, w.FOLDS),
    )
    return closed(rng, "folds", text, w.FOLD_COUNTS, min(len(scene.tissue.folds), 3))


def ask_lumen(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """Where the dark opening is, or whether there is one."""
    if scene.tissue is None:
        return None
    lumen = scene.tissue.lumen
    if lumen is None or rng.random() < 0.4:
        text = fill(
            rng,
            ("Is there a {k}?", "Can a {k} be seen?", "Does the image show a {k}?", "Is a {k} visible?"),
            k=pick(rng, w.LUMEN),
        )
        return closed(rng, "lumen", text, w.YES, int(lumen is not None))
    text = fill(rng, ("Where is the {k}?", "In which part is the {k}?", "The {k} lies where?"), k=pick(rng, w.LUMEN))
    style = int(rng.integers(3))
    across, down = band(lumen[0], (0.5,), 0.06), band(lumen[1], (0.5,), 0.06)
    if style == 0 and across is not None and down is not None:
        return closed(rng, "lumen", text, w.QUADRANT, 2 * down + across)
    index = band(lumen[style % 2], (1 / 3, 2 / 3), MARGIN)
    return None if index is None else closed(rng, "lumen", text, w.DOWN if style % 2 else w.ACROSS, index)


def plain_core(scene: Scene) -> Thing | None:
    """Return the largest object if it lies alone or is clearly the largest, is whole and sharp; else None."""
    ranked = sorted(scene.main, key=lambda thing: -thing.visible().area)
    if not ranked or ranked[0].soft or ranked[0].texture != "solid" or ranked[0].radius < 0.065:
        return None
    if len(ranked) > 1 and ranked[0].visible().area < 1.35 * ranked[1].visible().area:
        return None
    core, tint = ranked[0].core, ranked[0].tint
    seen = core is None or contrast(core.tint, tint) > 80
    return ranked[0] if seen and ranked[0].visible().gap > 0.01 else None


def ask_core(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """Whether the largest object has a core, of which color, of how many lobes."""
    thing = plain_core(scene)
    if thing is None:
        return None
    name = f"the {pick(rng, w.LARGEST)} {pick(rng, ('cell', 'body', 'object', 'particle', 'structure'))}"
    core, noun = thing.core, pick(rng, w.CORES)
    style = int(rng.integers(3))
    if core is None or style == 0:
        text = fill(rng, ("Does {o} have a {c}?", "Is there a {c} in {o}?", "Does {o} contain a {c}?"), o=name, c=noun)
        return closed(rng, "core", text, w.YES, int(core is not None))
    if style == 1:
        text = fill(rng, ("What color is the {c} of {o}?", "Which color has the {c} inside {o}?"), o=name, c=noun)
        return among(rng, "core", text, core.tint.name, w.rivals(core.tint.name, list(COLORS)), w.COLOR_WORDS)
    if core.share * thing.radius < 0.045 or scene.blur > 1:
        return None
    text = fill(
        rng,
        ("How many lobes does the {c} of {o} have?", "Into how many lobes is the {c} of {o} split?"),
        o=name,
        c=noun,
    )
    return closed(rng, "core", text, w.LOBES, core.lobes - 1)


def ask_pale_center(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """Whether the crowd's discs have a pale middle."""
    body = scene.crowd[0] if scene.crowd else None
    bright = body is not None and min(body.tint.rgb) > 150  # a pale middle would not show
    if body is None or bright or body.texture == "hollow" or body.radius < 0.03 or scene.blur > 1.2:
        return None
    many = pick(rng, ("small bodies", "many small bodies", "discs", "numerous cells"))
    text = fill(
        rng,
        ("Do the {k} have a pale center?", "Are the {k} paler in the middle?", "Is the middle of the {k} lighter?"),
        k=many,
    )
    return closed(rng, "pale center", text, w.YES[:4], int(body.pale_center))
