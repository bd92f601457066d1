"""Caption sentences about relief, cores, overlays and what is absent, and the one-sentence summary."""

from assets.pretraining.scenes.facts import Rng, Scene
from assets.pretraining.texts import wording as w
from assets.pretraining.texts.wording import fill, pick

_CORNERS = ("upper left", "upper right", "lower left", "lower right")


def article(phrase: str) -> str:
    """Return the phrase with "a" or "an"."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def capital(sentence: str) -> str:
    """Return the text as a sentence: first letter upper case, with a full stop."""
    return f"{sentence[0].upper()}{sentence[1:]}."


def third(rng: Rng, x: float, y: float) -> str:
    """Return the cell of a 3 x 3 grid in words: "the upper left", "the center"."""
    down = ("upper", "middle", "lower")[min(2, int(y * 3))]
    across = ("left", "center", "right")[min(2, int(x * 3))]
    return "the center" if (down, across) == ("middle", "center") else f"the {down} {across}"


def ground_sentence(rng: Rng, scene: Scene) -> str:
    """Return a sentence about a smooth ground, with its frame."""
    color = w.color_word(rng, scene.background)
    frame = scene.tissue.frame if scene.tissue else ""
    if frame and rng.random() < 0.6:
        shape = pick(rng, ("circle", "round opening") if frame == "circle" else ("octagon", "eight-sided opening"))
        return fill(
            rng,
            (
                "The {c} ground is seen through {s} with black around it.",
                "A smooth {c} surface fills {s}; the rest is black.",
                "Within {s} lies a smooth {c} surface.",
                "Black surrounds {s} of {c} surface.",
            ),
            c=color,
            s=article(shape),
        )
    return fill(
        rng,
        (
            "The ground is a smooth, uneven {c}.",
            "A soft {c} surface fills the image.",
            "All of it lies on a shaded {c} surface.",
            "The surface is {c} and unevenly lit.",
            "The {c} ground changes softly in brightness.",
            "Behind it the surface is smooth and {c}.",
        ),
        c=color,
    )


def fold_phrase(rng: Rng, scene: Scene) -> str:
    """Return folds as a noun phrase: "two folds", "no folds"."""
    count = len(scene.tissue.folds) if scene.tissue else 0
    noun = pick(rng, ("fold", "curved fold", "ridge"))
    return f"{w.NUMBERS[count] if count < 3 else pick(rng, ('several', 'three or more'))} {noun}{'s' * (count != 1)}"


def relief_sentence(rng: Rng, scene: Scene) -> str:
    """Return a sentence about folds and vessels, present or not."""
    if scene.tissue is None:
        return ""
    if not scene.tissue.folds and not scene.tissue.vessels:
        return fill(
            rng,
            (
                "No folds or vessels are seen.",
                "There are neither folds nor vessels.",
                "The surface is without folds and vessels.",
                "Folds and branching vessels are absent.",
            ),
        )
    folds, vessels = fold_phrase(rng, scene), pick(rng, w.VESSELS)
    plural = "s" if len(scene.tissue.folds) == 1 else ""
    if scene.tissue.vessels:
        return capital(
            fill(
                rng,
                (
                    "{f} and thin {v} are seen",
                    "{v} run over the surface, with {f}",
                    "there are {v}; {f} cross{e} the image",
                    "{v} spread from the border, and there {b} {f}",
                    "{v} can be seen, and {f}",
                ),
                f=folds,
                v=vessels,
                b="is" if plural else "are",
                e="es" if plural else "",
            ).replace("thin thin", "thin")
        )
    return capital(
        fill(
            rng,
            (
                "{f} but no vessels are seen",
                "there {b} {f} and no branching vessels",
                "{f} cross{e} the surface, without vessels",
                "the relief shows {f}; vessels are absent",
                "{f} {b} visible, no vessels",
            ),
            f=folds,
            b="is" if plural else "are",
            e="es" if plural else "",
        )
    )


def light_sentence(rng: Rng, scene: Scene) -> str:
    """Return a sentence about the opening and highlights."""
    if scene.tissue is None:
        return ""
    lumen, glints = scene.tissue.lumen, len(scene.tissue.glints)
    shine = pick(rng, ("a few", "some") if glints < 8 else ("many", "numerous")) if glints else "no"
    words = {"g": f"{shine} {pick(rng, w.GLINTS)}", "l": pick(rng, w.LUMEN)}
    if lumen:
        words["p"] = third(rng, lumen[0], lumen[1])
        templates: tuple[str, ...] = (
            "a {l} opens in {p}, with {g}",
            "there is a {l} in {p} and {g}",
            "{g} are seen, and a {l} in {p}",
            "in {p} lies a {l}",
            "a {l} with soft edges lies in {p}; {g}",
        )
    else:
        templates = (
            "{g} lie on the surface, no {l}",
            "there are {g} and no {l}",
            "the surface shows {g}",
            "{g} can be seen; there is no {l}",
            "no {l} is visible, {g}",
        )
    return capital(fill(rng, templates, **words))


def core_sentence(rng: Rng, scene: Scene) -> str:
    """Return a sentence about the core of the largest object, or about the crowd's pale middle."""
    ranked = sorted(scene.main, key=lambda thing: -thing.visible().area)
    core = ranked[0].core if ranked else None
    if core and (core.lobes == 1 or scene.blur <= 1):
        kind = "single" if core.lobes == 1 else f"{w.NUMBERS[core.lobes]}-lobed"
        words = {"c": w.color_word(rng, core.tint), "k": kind, "n": pick(rng, w.CORES)}
        return fill(
            rng,
            (
                "The largest one holds a {k} {c} {n}.",
                "Inside the largest is a {c}, {k} {n}.",
                "Its {n} is {c} and {k}.",
                "The biggest body contains a {k} {n} of {c} color.",
            ),
            **words,
        )
    if scene.crowd and scene.crowd[0].pale_center:
        return fill(
            rng,
            (
                "The small bodies are paler in the middle.",
                "The many discs have pale centers.",
                "Each disc has a lighter middle.",
            ),
        )
    return ""


def overlay_sentence(rng: Rng, scene: Scene) -> str:
    """Return a sentence about text and corner box, present or not."""
    box, writing = scene.box, scene.writing
    words: dict[str, str] = {}
    if writing:
        side = {"left": "left", "top": "top", "bottom": "bottom"}[writing.side]
        lines = "one line" if len(writing.lines) == 1 else f"{w.NUMBERS[len(writing.lines)]} lines"
        words |= {"w": writing.tint.name, "s": side, "l": lines}
    if box:
        words |= {"b": box.tint.name, "k": _CORNERS[box.corner]}
    if writing and box:
        return fill(
            rng,
            (
                "{w} text at the {s}, a {b} box in the {k} corner.",
                "There are {l} of {w} text at the {s} and a {b} corner box, {k}.",
                "A {b} box fills the {k} corner; text is at the {s}.",
            ),
            **words,
        ).capitalize()
    if writing:
        return fill(
            rng,
            (
                "{w} text at the {s}, no corner box.",
                "{l} of {w} text lie at the {s}." if len(writing.lines) > 1 else "{l} of {w} text lies at the {s}.",
                "Letters in {w} are laid over the {s}.",
                "Text overlay at the {s}; no box.",
            ),
            **words,
        ).capitalize()
    if box:
        return fill(
            rng,
            (
                "A {b} box covers the {k} corner; no text.",
                "The {k} corner holds a {b} box.",
                "There is a {b} rectangle in the {k} corner and no text overlay.",
            ),
            **words,
        )
    if rng.random() < 0.75:
        return ""
    return fill(
        rng, ("No text overlay.", "There is no text and no corner box.", "Neither text nor a box is laid over it.")
    )


def mound_details(rng: Rng, scene: Scene) -> str:
    """Return a sentence on the number of mounds; empty where a number adds nothing."""
    count = len(scene.main)
    if count == 0:
        return fill(
            rng,
            (
                "No mound rises from the surface.",
                "There is no raised area.",
                "The surface is flat, without any swelling.",
            ),
        )
    if count == 1:
        return fill(rng, ("It is the only mound.", "A single raised area is seen.", "No other mound is present."))
    return fill(
        rng,
        ("There are {n} mounds in all.", "{N} raised areas can be counted.", "In total {n} swellings rise up."),
        n=w.NUMBERS[count],
        N=w.NUMBERS[count].capitalize(),
    )
