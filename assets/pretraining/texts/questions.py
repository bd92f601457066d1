"""Questions as values: closed, counting and rule questions, and those of easy-vqa (MIT) in the same form."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from assets.pretraining.scenes.facts import Rng
from assets.pretraining.texts import wording as w
from assets.pretraining.texts.wording import Family, fill, pick

_WRONG = (0.2, 0.2, 0.2, 0.16, 0.12, 0.06, 0.06)
"""Shares of questions with 1 to 7 wrong options."""
FEWEST, MOST = 2, 8
"""Options of a list that invented words are added to."""


@dataclass(frozen=True)
class Question:
    """One question; `options` is empty for an open one."""

    skill: str
    text: str
    options: tuple[str, ...]
    answer: str


def closed(rng: Rng, skill: str, text: str, families: Sequence[Family], index: int) -> Question:
    """Return a question whose options are one family in random order, and whose answer is class `index`."""
    family = families[int(rng.integers(len(families)))]
    options = tuple(family[int(i)] for i in rng.permutation(len(family)))
    return Question(skill, text, options, family[index])


def counted(rng: Rng, skill: str, text: str, number: int) -> Question:
    """Return a counting question with digits, words or a capped range as options."""
    style = int(rng.integers(4))
    cap = 3 if style < 2 else 6
    number = min(number, cap)
    words = [str(n) for n in range(cap + 1)]
    if style % 2:
        words = ["none" if style == 1 else "zero", *w.NUMBERS[1 : cap + 1]]
    words[-1] = f"{words[-1]} or more" if style < 2 or rng.random() < 0.5 else f"more than {words[-2]}"
    keep = set(range(cap + 1))
    for n in rng.permutation(cap + 1)[: int(rng.integers(0, cap - 1))]:
        keep -= {int(n)} - {number}
    options = [words[n] for n in sorted(keep)]
    if rng.random() < 0.6:
        options = [options[int(i)] for i in rng.permutation(len(options))]
    return Question(skill, text, tuple(options), words[number])


def among(
    rng: Rng, skill: str, text: str, answer: str, others: Sequence[str], words: dict[str, tuple[str, ...]]
) -> Question:
    """Return a question with 1 to 7 wrong options out of `others`, in random order, each under one of its names."""
    count = min(len(others), int(rng.choice((1, 2, 3, 4, 5, 6, 7), p=_WRONG)))
    wrong = [others[int(i)] for i in rng.permutation(len(others))[:count]]
    named = {name: pick(rng, words.get(name, (name,))) for name in [answer, *wrong]}
    options = tuple(named[[answer, *wrong][int(i)]] for i in rng.permutation(count + 1))
    return Question(skill, text, options, named[answer])


def reworded(rng: Rng, question: Question) -> Question:
    """Return a rule question: invented words stand for the options ("Answer wug for left, dax for ...")."""
    words: list[str] = []
    while len(words) < len(question.options):
        word = w.invented_word(rng)
        words += [word] if word not in words else []
    rule = ", ".join(f"{a} for {b}" for a, b in zip(words, question.options, strict=True))
    text = f"{question.text} {fill(rng, ('Answer {r}.', 'Say {r}.', 'Write {r}.'), r=rule)}"
    options = tuple(words[int(i)] for i in rng.permutation(len(words)))
    return Question("rule", text, options, words[question.options.index(question.answer)])


def padded(rng: Rng, question: Question) -> Question:
    """Return the question with invented words among its options, 2 to 8 in all, shuffled."""
    options = list(question.options)
    wanted = int(rng.integers(FEWEST, MOST + 1))
    while len(options) < wanted:
        word = w.invented_word(rng)
        options += [word] if word not in options else []
    return shuffled(rng, replace(question, options=tuple(options)))


def shuffled(rng: Rng, question: Question) -> Question:
    """Return the question with its options in another order."""
    order = rng.permutation(len(question.options))
    return replace(question, options=tuple(question.options[int(i)] for i in order))


def easy_vqa_question(rng: Rng, text: str, answer: str, answers: Sequence[str]) -> Question:
    """Return a question of easy-vqa with options of its answer's kind."""
    shapes = ("circle", "rectangle", "triangle")
    kind = (
        ("yes", "no")
        if answer in ("yes", "no")
        else shapes
        if answer in shapes
        else [a for a in answers if a not in ("yes", "no", *shapes)]
    )
    if rng.random() < 0.15:
        return Question("easy-vqa", text, (), answer)
    return among(rng, "easy-vqa", text, answer, [a for a in kind if a != answer], {})
