"""Accuracies with intervals, and paired differences. Questions of one image are not independent: images are resampled.

Macro accuracy is the mean over question types. Intervals are percentile bootstraps over images (2,000 resamples,
fixed seed). Not covered yet: McNemar, Wilson, Holm, and the smallest detectable difference.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from leaml.errors import ConfigError
from leaml.records import AnsweredQuestion, Interval, Prediction

RESAMPLES = 2000
SEED = 20250
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairedDifference:
    """Macro accuracy of one model minus another's on the same questions; p is two-sided, from the bootstrap."""

    value: float
    low: float
    high: float
    p_value: float


def macro_accuracy(predictions: Sequence[Prediction]) -> Interval:
    """Return the mean over question types of the accuracy, with its 95% interval.

    Raises:
        ConfigError: If there are no predictions.
    """
    right, asked = _tables(predictions)
    estimate = _macro(right.sum(0), asked.sum(0))
    low, high = np.nanpercentile(_resampled_macro(right, asked), [2.5, 97.5])
    return Interval(float(estimate), float(low), float(high))


def accuracy_by_type(predictions: Sequence[Prediction]) -> dict[str, Interval]:
    """Return the accuracy of each question type with its 95% interval, in the order of first appearance."""
    groups: dict[str, list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        groups[prediction.type_id].append(prediction)
    return {type_id: macro_accuracy(group) for type_id, group in groups.items()}


def paired_difference(one: Sequence[Prediction], other: Sequence[Prediction]) -> PairedDifference:
    """Return the macro accuracy of `one` minus that of `other`, resampling images of both together.

    Raises:
        ConfigError: If the two did not answer the same questions.
    """
    by_question = {(p.image_id, p.question): p for p in other}
    if len(by_question) != len(other) or {(p.image_id, p.question) for p in one} != set(by_question):
        raise ConfigError("The two models answered different questions. Evaluate both on the same test set first.")
    aligned = [by_question[p.image_id, p.question] for p in one]
    (right, asked), (other_right, _) = _tables(one), _tables(aligned)
    estimate = _macro(right.sum(0), asked.sum(0)) - _macro(other_right.sum(0), asked.sum(0))
    differences = _resampled_macro(right, asked) - _resampled_macro(other_right, asked)
    low, high = np.nanpercentile(differences, [2.5, 97.5])
    tail = min(float(np.mean(differences <= 0)), float(np.mean(differences >= 0)))
    return PairedDifference(float(estimate), float(low), float(high), min(1.0, 2 * tail + 1 / RESAMPLES))


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


def _tables(predictions: Sequence[Prediction]) -> tuple[Floats, Floats]:
    """Return counts `[images, types]` of right answers and of questions."""
    if not predictions:
        raise ConfigError("There are no test answers to average. Evaluate the model on some test questions first.")
    images = {image: row for row, image in enumerate(dict.fromkeys(p.image_id for p in predictions))}
    types = {kind: column for column, kind in enumerate(dict.fromkeys(p.type_id for p in predictions))}
    right, asked = np.zeros((2, len(images), len(types)))
    for prediction in predictions:
        cell = images[prediction.image_id], types[prediction.type_id]
        asked[cell] += 1
        right[cell] += prediction.correct
    return right, asked


def _resampled_macro(right: Floats, asked: Floats) -> Floats:
    """Return the macro accuracy `[RESAMPLES]` of as many draws of the images, with replacement."""
    generator = np.random.default_rng(SEED)
    weights = generator.multinomial(len(right), np.full(len(right), 1 / len(right)), size=RESAMPLES)
    return _macro(weights @ right, weights @ asked)


def _macro(right: Floats, asked: Floats) -> Floats:
    """Return the mean over the last axis (types) of right / asked; a type that was not drawn is left out."""
    with np.errstate(invalid="ignore"):
        result: Floats = np.nanmean(np.where(asked > 0, right / np.maximum(asked, 1), np.nan), axis=-1)
    return result
