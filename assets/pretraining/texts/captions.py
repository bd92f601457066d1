"""Captions of a drawn scene: one to four sentences that can only be written by looking.

Each sentence states facts (place, color, count, texture, crowding); wording varies so that captions of one scene
differ and captions of different scenes are not interchangeable.
"""

from assets.pretraining.scenes.facts import Rng, Scene, Thing
from assets.pretraining.texts import wording as w
from assets.pretraining.texts.captions_extra import article as _article
from assets.pretraining.texts.captions_extra import (
    core_sentence,
    ground_sentence,
    light_sentence,
    mound_details,
    overlay_sentence,
    relief_sentence,
)
from assets.pretraining.texts.wording import fill, pick

_ISH = {"pink": "pinkish", "red": "reddish", "white": "whitish", "brown": "brownish", "gray": "grayish"}
WORDS = 47
"""Captions get no further sentence once they would grow longer than this."""


def place_phrase(rng: Rng, thing: Thing) -> str:
    """Return where an object lies: "near the lower left edge", "just right of center in the upper field"."""
    seen = thing.visible()
    if seen.gap < -0.012:
        raw = thing.outline()
        over = {
            "left": -raw[:, 0].min(),
            "right": raw[:, 0].max() - 1,
            pick(rng, ("top", "upper")): -raw[:, 1].min(),
            pick(rng, ("bottom", "lower")): raw[:, 1].max() - 1,
        }
        side = max(over, key=lambda name: over[name])
        return fill(rng, ("cut off by the {s} edge", "partly outside the {s} border", "against the {s} edge"), s=side)
    down = pick(
        rng, ("upper", "top") if seen.y < 1 / 3 else ("lower", "bottom") if seen.y > 2 / 3 else ("middle", "central")
    )
    across = "left" if seen.x < 1 / 3 else "right" if seen.x > 2 / 3 else "center"
    if across == "center" and down in ("middle", "central"):
        side = "left" if seen.x < 0.5 else "right"
        if abs(seen.x - 0.5) > 0.06:
            return fill(rng, ("just {s} of center", "slightly {s} of the middle"), s=side)
        return pick(rng, ("in the center", "in the middle of the image", "at the center of the field"))
    if across == "center":
        return fill(
            rng, ("in the {d} center", "near the {d} edge, halfway across", "in the {d} part of the middle"), d=down
        )
    if down in ("middle", "central"):
        return fill(rng, ("on the {a} side at mid-height", "at the middle {a}", "on the {a}, halfway down"), a=across)
    return fill(
        rng,
        ("in the {d} {a}", "near the {d} {a} corner", "in the {d} {a} part", "toward the {d} {a}"),
        d=down,
        a=across,
    )


def size_adjective(rng: Rng, thing: Thing) -> str:
    """Return a word for the visible area."""
    area = thing.visible().area
    return pick(
        rng, ("small", "little") if area < 0.03 else ("medium-sized", "mid-sized") if area < 0.1 else ("large", "big")
    )


def thing_phrase(rng: Rng, thing: Thing) -> str:
    """Return a full noun phrase with article: "a large violet lobed blob with a granular texture"."""
    color, shape = w.color_word(rng, thing.tint), w.shape_noun(rng, thing)
    if thing.soft and thing.tint.tone == "plain" and thing.tint.name in _ISH and rng.random() < 0.4:
        color = _ISH[thing.tint.name]
    words = f"{size_adjective(rng, thing)} {color}"
    if thing.texture == "solid":
        return _article(f"{words} {shape}")
    texture = pick(rng, w.TEXTURE_WORDS[thing.texture][:2])
    if thing.texture in ("granular", "striped", "dotted") and rng.random() < 0.4:
        return _article(f"{words} {shape} with a {texture} texture")
    return _article(f"{words} {texture} {shape}" if " " not in texture else f"{words} {shape}, {texture}")


def _field(rng: Rng, scene: Scene) -> str:
    back = w.color_word(rng, scene.background)
    if not scene.crowd:
        if not scene.main:
            return fill(
                rng,
                (
                    "An empty {b} field.",
                    "The image shows only a {b} background.",
                    "Nothing large lies on the {b} ground.",
                ),
                b=back,
            )
        return fill(
            rng,
            (
                "The background is {b}.",
                "The field is {b}.",
                "All of this lies on a {b} ground.",
                "The image has a {b} background.",
            ),
            b=back,
        )
    color = w.color_word(rng, scene.crowd[0].tint)
    noun = {"circle": "discs", "ellipse": "ovals", "hexagon": "hexagons"}.get(scene.crowd[0].shape, "irregular bodies")
    if scene.crowd[0].texture == "hollow":
        noun = f"hollow {noun}"
    many = len(scene.crowd) > 25
    amount = pick(
        rng,
        ("many", "numerous", "a great many", "densely packed") if many else ("a few", "some", "sparse", "scattered"),
    )
    clump = pick(
        rng,
        ("in clumps", "clustered together", "in tight groups")
        if scene.clumped
        else ("spread evenly", "spread out", "all over the field"),
    )
    return fill(
        rng,
        (
            "There are {m} {c} {n} {k} on a {b} background.",
            "The {b} field holds {m} {c} {n}, {k}.",
            "On {b} ground lie {m} {c} {n}, {k}.",
        ),
        m=amount,
        c=color,
        n=noun,
        k=clump,
        b=back,
    )


def _thing_sentence(rng: Rng, thing: Thing) -> str:
    phrase, place = thing_phrase(rng, thing), place_phrase(rng, thing)
    templates: tuple[str, ...] = (
        "{p} lies {q}",
        "{p} is seen {q}",
        "{p} sits {q}",
        "there is {p} {q}",
        "{q} is {p}",
        "{p}, {q}",
        "{p} is found {q}",
        "{q} lies {p}",
    )
    if thing.soft:
        templates = (*templates, "{p} rises {q}", "{p} protrudes {q}", "softly shaded, {p} lies {q}")
    sentence = fill(rng, templates, p=phrase, q=place)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _number_sentence(rng: Rng, scene: Scene) -> str:
    count = len(scene.main)
    if count < 2:
        return ""
    number = w.NUMBERS[count]
    one_color = len({thing.tint.name for thing in scene.main}) == 1
    color = f"{w.color_word(rng, scene.main[0].tint)} " if one_color else ""
    return fill(
        rng,
        ("{N} large {c}objects are present.", "There are {n} large {c}bodies.", "In all, {n} {c}objects stand out."),
        n=number,
        N=number.capitalize(),
        c=color,
    )


def _dots_sentence(rng: Rng, scene: Scene) -> str:
    number = w.NUMBERS[len(scene.dots)]
    if not scene.dots:
        return pick(rng, ("No small dots are seen.", "There are no tiny specks.")) if rng.random() < 0.3 else ""
    color, plural = w.color_word(rng, scene.dots[0].tint), "s" if len(scene.dots) > 1 else ""
    verb = "are" if plural else "is"
    return fill(
        rng,
        ("{N} tiny {c} dot{s} {v} visible.", "There {v} {n} small {c} speck{s}.", "Also {n} minute {c} dot{s}."),
        n=number,
        N=number.capitalize(),
        c=color,
        s=plural,
        v=verb,
    )


def _optics_sentence(rng: Rng, scene: Scene) -> str:
    facts = []
    if scene.vignette:
        facts.append(pick(rng, ("dark corners", "a dark rim")))
    if scene.blur > 1.0:
        facts.append(pick(rng, ("slight blur", "soft focus")))
    return f"{pick(rng, ('The picture has', 'The image shows'))} {' and '.join(facts)}." if facts else ""


def write_caption(rng: Rng, scene: Scene) -> str:
    """Return a caption of the scene."""
    ranked = sorted(scene.main, key=lambda thing: -thing.visible().area)
    parts = [_thing_sentence(rng, thing) for thing in ranked[: int(rng.integers(1, 3))]]
    parts += _tissue_parts(rng, scene) if scene.tissue else _field_parts(rng, scene, bool(parts))
    if rng.random() < 0.6:
        parts.append(core_sentence(rng, scene))
    if scene.dots or rng.random() < 0.3:
        parts.append(_dots_sentence(rng, scene) if not _has_glints(scene) else "")
    if rng.random() < 0.75:
        overlay = overlay_sentence(rng, scene)
        parts.insert(1 if scene.box or scene.writing else len(parts), overlay)  # rare facts must not be cut off
    if rng.random() < 0.3:
        parts.append(_optics_sentence(rng, scene))
    return _shortened([part for part in parts if part])


def _has_glints(scene: Scene) -> bool:
    return bool(scene.highlights or (scene.tissue and scene.tissue.glints))


def _tissue_parts(rng: Rng, scene: Scene) -> list[str]:
    parts = [relief_sentence(rng, scene), light_sentence(rng, scene), ground_sentence(rng, scene)]
    parts += [mound_details(rng, scene)] if not scene.main or rng.random() < 0.5 else []
    chosen = [parts[int(i)] for i in rng.permutation(len(parts))]
    return chosen[: int(rng.integers(2, 5))]


def _field_parts(rng: Rng, scene: Scene, has_things: bool) -> list[str]:
    parts = [_field(rng, scene)] if rng.random() < 0.8 or not has_things else []
    number = _number_sentence(rng, scene) if rng.random() < 0.5 else ""
    return [number, *parts] if rng.random() < 0.4 else [*parts, number]


def _shortened(parts: list[str]) -> str:
    """Return the sentences joined, without those that would make the caption too long."""
    kept: list[str] = []
    for part in parts:
        if not kept or len(" ".join([*kept, part]).split()) <= WORDS:
            kept.append(part)
    return " ".join(kept)
