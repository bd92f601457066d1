"""Families of options put together afresh for each question, so that an option is copied from its list.

A model that met "whole" and "cut by the border" a thousand times said "whole" where its list had other words for it:
of the held-out families 28% of free answers were none of the options. Nouns of these families do not occur here.
"""

from dataclasses import replace

from assets.pretraining.scenes.facts import Rng
from assets.pretraining.texts import wording as w
from assets.pretraining.texts.questions import Question
from assets.pretraining.texts.wording import Family, pick

PLACES = (
    "",
    "",
    "part",
    "side",
    "area",
    "strip",
    "sector",
    "section",
    "segment",
    "stretch",
    "portion",
    "share",
    "reach",
)
AMOUNTS = ("", "", "size", "area", "portion", "coverage", "share", "surface", "dimensions", "patch", "spread")
ACROSS: tuple[Family, ...] = (
    ("left", "left-hand", "leftmost", "far left", "westerly"),
    ("middle", "central", "center", "mid", "midmost", "inner"),
    ("right", "right-hand", "rightmost", "far right", "easterly"),
)
DOWN: tuple[Family, ...] = (
    ("top", "upper", "uppermost", "topmost", "highest", "higher"),
    ("middle", "central", "center", "mid", "midmost", "inner"),
    ("bottom", "lower", "lowermost", "bottommost", "lowest", "deeper"),
)
SIZE: tuple[Family, ...] = (
    ("small", "little", "minor", "slight", "modest", "low"),
    ("medium", "moderate", "intermediate", "average", "middling", "fair"),
    ("large", "big", "major", "considerable", "great", "wide"),
)
BORDER: tuple[Family, ...] = (
    (
        "entirely inside",
        "completely visible",
        "in full view",
        "fully shown",
        "all of it inside",
        "away from the edge",
        "inside the frame",
        "intact",
        "uncut",
        "seen whole",
        "clear of the border",
        "entirely within the image",
        "visible as a whole",
        "not clipped",
    ),
    (
        "cropped",
        "partly outside",
        "crossing the border",
        "at the edge",
        "incomplete",
        "partly visible",
        "leaves the frame",
        "clipped",
        "cut by the frame",
        "ends at the edge",
        "runs out of the image",
        "reaches the border",
        "severed by the edge",
        "partly hidden",
    ),
)
PARTS: dict[str, tuple[tuple[Family, ...], tuple[Family, ...], Family]] = {
    "across": (w.ACROSS, ACROSS, PLACES),
    "down": (w.DOWN, DOWN, PLACES),
    "size": (w.SIZE, SIZE, AMOUNTS),
    "border": (w.BORDER, BORDER, ("",)),
}
"""By skill: the families that its questions come with, words for each of their classes, and nouns after these words."""
INVENTED, MIXED = 0.3, 0.2
"""How often the noun is a word that means nothing, and how often each option has a noun of its own."""


def blended(rng: Rng, question: Question) -> Question:
    """Return the question with other words for its options; as it is where there are none for its skill."""
    if question.skill not in PARTS:
        return question
    families, classes, nouns = PARTS[question.skill]
    family = next(family for family in families if set(family) == set(question.options))
    after = _nouns(rng, nouns, len(family))
    words = {old: f"{pick(rng, new)} {noun}".strip() for old, new, noun in zip(family, classes, after, strict=True)}
    return replace(question, options=tuple(words[o] for o in question.options), answer=words[question.answer])


def _nouns(rng: Rng, nouns: Family, count: int) -> list[str]:
    style = rng.random()
    if style < MIXED:
        return [pick(rng, nouns) for _ in range(count)]
    return [w.invented_word(rng) if style < MIXED + INVENTED else pick(rng, nouns)] * count
