"""Questions about the list of options itself: their words are new each time, so that the list has to be read."""

from collections.abc import Sequence

from assets.pretraining.scenes.facts import Rng
from assets.pretraining.texts.questions import Question
from assets.pretraining.texts.wording import fill, invented_word, pick

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
MOST = 8
"""Options of the longest list."""


def list_question(rng: Rng, glosses: Sequence[tuple[str, str]]) -> Question:
    """Return a question that needs no picture: an option by its place, its first letter, or its meaning."""
    style = rng.random()
    if glosses and style < 0.3:
        return _by_meaning(rng, glosses)
    words = _fresh_words(rng, glosses, int(rng.integers(2, MOST + 1)))
    if style < 0.65:
        return _by_place(rng, words)
    return _by_letter(rng, words)


def repeat_request(rng: Rng, glosses: Sequence[tuple[str, str]]) -> Question:
    """Return a request to say fresh words again: who cannot copy cannot choose from a list of new words."""
    words = ", ".join(_fresh_words(rng, glosses, int(rng.integers(1, 7))))
    text = fill(rng, ("Repeat: {w}", "Say again: {w}", "Copy these words: {w}", "Write once more: {w}"), w=words)
    return Question("repeat", text, (), words)


def _fresh_words(rng: Rng, glosses: Sequence[tuple[str, str]], count: int) -> list[str]:
    """Return different words, invented or rare, no two with the same first letter where that can be had."""
    words: list[str] = []
    letters: set[str] = set()
    for attempt in range(8 * count):
        invented = not glosses or rng.random() < 0.4
        word = invented_word(rng) if invented else glosses[int(rng.integers(len(glosses)))][0]
        fresh = word not in words and (word[0].lower() not in letters or attempt > 6 * count)
        if fresh and len(word) < 24 and "|" not in word:
            words.append(word)
            letters.add(word[0].lower())
        if len(words) == count:
            break
    return words


def _by_place(rng: Rng, words: list[str]) -> Question:
    place = int(rng.integers(len(words)))
    name = "last" if place == len(words) - 1 and rng.random() < 0.5 else ORDINALS[place]
    text = fill(rng, ("Which option comes {n}?", "Name the {n} option.", "What is the {n} of the options?"), n=name)
    return Question("list", text, tuple(words), words[place])


def _by_letter(rng: Rng, words: list[str]) -> Question:
    alone = [w for w in words if sum(o[0].lower() == w[0].lower() for o in words) == 1]
    if not alone:
        return _by_place(rng, words)
    answer = pick(rng, alone)
    text = fill(
        rng,
        (
            "Which option begins with {a}?",
            "Which word has the first letter {a}?",
            "Name the option that starts with {a}.",
        ),
        a=answer[0].lower(),
    )
    return Question("list", text, tuple(words), answer)


def _by_meaning(rng: Rng, glosses: Sequence[tuple[str, str]]) -> Question:
    word, gloss = glosses[int(rng.integers(len(glosses)))]
    wrong = int(rng.integers(1, 5))
    words = [w for w in _fresh_words(rng, glosses, wrong + 1) if w != word][:wrong]
    words.insert(int(rng.integers(len(words) + 1)), word)
    text = fill(rng, ("Which word means: {g}?", "Which of these is: {g}?", "What is called: {g}?"), g=gloss)
    return Question("list", text, tuple(words), word)
