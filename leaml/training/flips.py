"""Mirrored pictures: each label says something about the mirrored picture too, once its sides are exchanged.

Only where no side has a meaning of its own: mirrored blood smears are blood smears, a mirrored chest has its heart on
the right. Text follows the picture by its words: `left` and `right`, `top` and `bottom`, and their like.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from PIL import Image

from leaml.config import Flips
from leaml.prompts import match_answer, question_prompt, split_options, takes_several
from leaml.records import AnsweredQuestion, ImageId

MARK = "@"
"""Between an image's id and how it is flipped; no id has it."""
WAYS: Mapping[Flips, tuple[str, ...]] = {"none": ("",), "horizontal": ("", "h"), "both": ("", "h", "v", "hv")}
"""How a picture is shown: as it is, or with its left and right (`h`), its top and bottom (`v`) exchanged."""
TURNS = {"h": Image.Transpose.FLIP_LEFT_RIGHT, "v": Image.Transpose.FLIP_TOP_BOTTOM, "hv": Image.Transpose.ROTATE_180}
OPPOSITES = {
    "h": (("left", "right"), ("leftmost", "rightmost"), ("leftward", "rightward")),
    "v": (
        ("top", "bottom"),
        ("upper", "lower"),
        ("above", "below"),
        ("uppermost", "lowermost"),
        ("topmost", "bottommost"),
        ("upward", "downward"),
    ),
}
CLOCKWISE = "clockwise"
COUNTERCLOCKWISE = (
    "counterclockwise",
    "counter-clockwise",
    "counter clockwise",
    "anticlockwise",
    "anti-clockwise",
    "anti clockwise",
)
"""How the other way round is spelt; as the first where no text says otherwise."""

WORD = re.compile(r"(?:counter|anti)[- ]clockwise(?![^\W\d_])|[^\W\d_]+", re.IGNORECASE)


def flip_question(prompt: str, answer: str, way: str) -> tuple[str, str]:
    """Return a prompt and its answer about the flipped picture.

    Options stay in their order where the flipped ones are the same ones: models meet the question as it will be asked.
    """
    question, options = split_options(prompt)
    asked = flip_text(question, way)
    if not options:
        return asked, flip_text(answer, way, beside=question)
    shown, told = flip_options(options, way), flip_text(answer, way, beside=_together(options))
    return question_prompt(asked, shown), match_answer(told, shown, several=takes_several(question)) or told


def flip_options(options: tuple[str, ...], way: str) -> tuple[str, ...]:
    """Return the options about the flipped picture, in the order in which they are shown."""
    flipped = tuple(flip_text(option, way, beside=_together(options)) for option in options)
    return options if set(flipped) == set(options) else flipped


def ask_flipped(question: AnsweredQuestion, way: str) -> AnsweredQuestion:
    """Return a question about the flipped picture; what counts as its answer is not carried over."""
    return replace(
        question,
        image_id=flip_id(question.image_id, way),
        question=flip_text(question.question, way),
        options=flip_options(question.options, way),
        answer="",
    )


def unflip_probabilities(options: tuple[str, ...], found: tuple[float, ...], way: str) -> tuple[float, ...]:
    """Return the probabilities of a question's options, from those about its flipped picture.

    Args:
        options: As they are asked about the picture as it is.
        found: Of the options in `flip_options`' order.
        way: How the picture was flipped.
    """
    by_option = dict(zip(flip_options(options, way), found, strict=True))
    return tuple(by_option[flip_text(option, way, beside=_together(options))] for option in options)


def flip_text(text: str, way: str, *, beside: str = "") -> str:
    """Return a text about the flipped picture, its capitals as they were.

    `counterclockwise` has several spellings: it gets that of a text that it stands beside, or else the text's own.
    """
    words = map(str.lower, WORD.findall(f"{beside} | {text}"))
    spelt = next((word for word in words if word in COUNTERCLOCKWISE), COUNTERCLOCKWISE[0])
    for side in way:
        pairs = (*OPPOSITES[side], (CLOCKWISE, spelt))
        opposites = {one: other for pair in pairs for one, other in (pair, pair[::-1])}
        text = WORD.sub(partial(_opposite, dict.fromkeys(COUNTERCLOCKWISE, CLOCKWISE) | opposites), text)
    return text


def flip_id(image_id: ImageId, way: str) -> ImageId:
    """Return the id of an image's flipped picture; its own where it is shown as it is."""
    return ImageId(f"{image_id}{MARK}{way}") if way else image_id


def unflipped(image_id: ImageId) -> ImageId:
    """Return the image whose flipped picture this is."""
    return ImageId(image_id.partition(MARK)[0])


def flip_picture(picture: Image.Image, image_id: ImageId) -> Image.Image:
    """Return an image's picture as its id wants it shown."""
    way = image_id.partition(MARK)[2]
    return picture.transpose(TURNS[way]) if way else picture


def _together(options: tuple[str, ...]) -> str:
    return "|".join(options)


def _opposite(opposites: Mapping[str, str], found: re.Match[str]) -> str:
    word = found[0]
    other = opposites.get(word.lower())
    if other is None:
        return word
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other
