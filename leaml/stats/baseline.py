"""The answers of a baseline that sees no image."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from leaml.prompts import marked, normalise_answer
from leaml.records import AnsweredQuestion, Prediction


def majority_predictions(labels: Sequence[AnsweredQuestion], questions: Sequence[AnsweredQuestion]) -> list[Prediction]:
    """Return the answers of the simplest baseline: each question type's most frequent label.

    Labels are alike, and answers right, as for models. A type without labels gets the empty answer, which is wrong.
    """
    given: dict[str, Counter[str]] = defaultdict(Counter)
    for label in labels:
        given[label.type_id or "free"][label.answer] += 1
    answers = {type_id: _most_frequent(counts) for type_id, counts in given.items()}
    return [marked(question, answers.get(question.type_id or "free", "")) for question in questions]


def _most_frequent(counts: Counter[str]) -> str:
    """Return the most frequent answer, as it is written most often.

    Ties go to the alphabetically first, so that the baseline does not depend on the labels' order.
    """
    alike = Counter[str]()
    for answer, count in counts.items():
        alike[normalise_answer(answer)] += count
    chosen = min(alike, key=lambda words: (-alike[words], words))
    return min((a for a in counts if normalise_answer(a) == chosen), key=lambda answer: (-counts[answer], answer))
