"""What people have decided about earlier pairs, as the next round sees it: nothing comes twice, no mistake returns."""

from collections import Counter
from collections.abc import Iterable

from leaml.prompts import normalise_answer
from leaml.records import AnsweredQuestion, ImageId, Rejection

QUESTION_FAULTS = ("unclear question", "wrong options", "not useful")
"""Reasons for a rejection that are about the question, whatever the image."""
ANSWERED, REJECTED, UNWANTED = "answered already", "rejected before", "question that was rejected often"
OBJECTIONS = (ANSWERED, REJECTED, UNWANTED)
"""What speaks against a pair, as a run's report names it."""
LEAST_FAULTS = 3
"""So many rejections for a question's own fault, and more than it was answered, take it out of the next round."""


class Decided:
    """What is settled about an image's questions.

    A rejected answer may not come back for its image and question; another answer may. For every other reason the
    question is not put to that image again. An answered one is not either, even if the words of its type were changed.
    """

    def __init__(self, answered: Iterable[AnsweredQuestion], rejected: Iterable[Rejection]) -> None:
        """Read labels, accepted and edited pairs, and rejections."""
        rejected, answered = list(rejected), list(answered)
        self._answered = {(pair.image_id, normalise_answer(pair.question)) for pair in answered}
        self._answered_types = {(pair.image_id, pair.type_id) for pair in answered if pair.type_id}
        self._closed: set[tuple[ImageId, str]] = set()
        self._wrong: set[tuple[ImageId, str, str]] = set()
        faults: Counter[str] = Counter()
        for row in rejected:
            question = normalise_answer(row.question)
            if row.reason in QUESTION_FAULTS:
                faults[question] += 1
            if row.reason == "wrong answer":
                self._wrong.add((row.image_id, question, normalise_answer(row.answer)))
            else:
                self._closed.add((row.image_id, question))
        kept = Counter(question for _, question in self._answered)
        self._unwanted = {
            question for question, count in faults.items() if count >= LEAST_FAULTS and count > kept[question]
        }

    def objection(self, image_id: ImageId, question: str, answer: str, type_id: str | None = None) -> str | None:
        """Return why a pair is not put to people; None where nothing speaks against it."""
        asked = normalise_answer(question)
        if (image_id, asked) in self._answered or (image_id, type_id) in self._answered_types:
            return ANSWERED
        if (image_id, asked) in self._closed or (image_id, asked, normalise_answer(answer)) in self._wrong:
            return REJECTED
        return UNWANTED if asked in self._unwanted else None
