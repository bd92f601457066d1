"""The answers of a baseline that sees no image."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from leaml.records import AnsweredQuestion, Prediction


def majority_predictions(labels: Sequence[AnsweredQuestion], questions: Sequence[AnsweredQuestion]) -> list[Prediction]:
    """Return the answers of the simplest baseline: each question type's most frequent label.

    A type without labels gets the empty answer, which is wrong.
    """
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for label in labels:
        answers[label.type_id or "free"][label.answer] += 1
    rows = []
    for question in questions:
        type_id = question.type_id or "free"
        # Ties go to the alphabetically first answer, so that the baseline does not depend on the labels' order.
        ranked = sorted(answers[type_id].items(), key=lambda item: (-item[1], item[0]))
        answer = ranked[0][0] if ranked else ""
        row = Prediction(
            question.image_id, type_id, question.question, question.options, question.answer, answer, False, ()
        )
        rows.append(replace(row, correct=answer == question.answer))
    return rows
