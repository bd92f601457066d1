"""The accuracy of one model: the average over question types, and each type's."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from leaml.records import Interval, Prediction
from leaml.stats.clusters import Floats, Groups, count_right, draw_clusters, macro, standard_error
from leaml.stats.proportions import clustered_wilson, wilson

SMALL_CELL = 30
"""Below as many clusters a type's variance between them is too uncertain to build its interval on."""


@dataclass(frozen=True)
class TypeAccuracy(Interval):
    """The accuracy of one question type.

    Attributes:
        questions: How many were asked.
        interval: `clustered`: Wilson's at the effective size that the bootstrap over clusters gives.
            `small`: Wilson's with each cluster as one answer, where there are fewer than `SMALL_CELL` clusters.
    """

    questions: int
    interval: Literal["clustered", "small"]


def macro_accuracy(predictions: Sequence[Prediction], groups: Groups | None = None) -> Interval:
    """Return the mean over question types of the accuracy, with its 95% interval.

    Args:
        predictions: The answers of one model.
        groups: The group of each image, where images are not independent.

    Raises:
        ConfigError: If there are no predictions, or the groups lack an image.
    """
    return _interval(*count_right(predictions, groups))


def accuracy_by_type(predictions: Sequence[Prediction], groups: Groups | None = None) -> dict[str, TypeAccuracy]:
    """Return the accuracy of each question type with its 95% interval, in the order of first appearance.

    Raises:
        ConfigError: If the groups lack an image.
    """
    of_type: dict[str, list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        of_type[prediction.type_id].append(prediction)
    return {type_id: _type_accuracy(rows, groups) for type_id, rows in of_type.items()}


def _type_accuracy(predictions: Sequence[Prediction], groups: Groups | None) -> TypeAccuracy:
    right, asked = count_right(predictions, groups)
    clusters, questions = len(right), len(predictions)
    if clusters >= SMALL_CELL:
        found = _interval(right, asked)
        return TypeAccuracy(found.value, found.low, found.high, questions, "clustered")
    share = float(right.sum()) / questions
    found = wilson(share * clusters, clusters)
    return TypeAccuracy(share, min(share, found.low), max(share, found.high), questions, "small")


def _interval(right: Floats, asked: Floats) -> Interval:
    clusters = len(right)
    share = float(macro(right.sum(0), asked.sum(0)))
    drawn = draw_clusters(clusters)
    return clustered_wilson(share, standard_error(macro(drawn @ right, drawn @ asked), clusters), clusters)
