"""Families of options in a new dress, so that an option is read and not recalled."""

from dataclasses import replace

from assets.pretraining.scenes.facts import Rng
from assets.pretraining.texts import wording as w
from assets.pretraining.texts.questions import Question
from assets.pretraining.texts.wording import pick

_PLAIN = {option for family in w.YES for option in family} | {"none", "zero", "0", "1", "2", "3"}
"""Options around which no words make sense."""

DRESSES = (
    "{o} side",
    "{o} part",
    "{o} area",
    "{o} region",
    "{o} portion",
    "{o} class",
    "{o} group",
    "the {o} one",
    "the {o} kind",
    "it is {o}",
    "rather {o}",
    "mostly {o}",
    "clearly {o}",
    "{o} of the picture",
    "{o} (in this image)",
    "grade {o}",
    "type {o}",
)


def dressed(rng: Rng, question: Question) -> Question:
    """Return the question with the same words around each option, or its options in another case."""
    style = rng.random()
    if style < 0.6 and not set(question.options) & _PLAIN:
        dress = pick(rng, DRESSES)
        return _with_options(question, [dress.format(o=option) for option in question.options])
    if style < 0.8:
        return _with_options(question, [option.upper() for option in question.options])
    return _with_options(question, [option.capitalize() for option in question.options])


def _with_options(question: Question, options: list[str]) -> Question:
    return replace(question, options=tuple(options), answer=options[question.options.index(question.answer)])
