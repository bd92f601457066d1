"""The difference between two models that answered the same questions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leaml.errors import ConfigError
from leaml.records import Prediction
from leaml.stats.clusters import Groups, count_right, draw_clusters, macro, standard_error
from leaml.stats.proportions import wilson

POWER = 0.80


@dataclass(frozen=True)
class PairedDifference:
    """Macro accuracy of one model minus another's on the same questions.

    Attributes:
        value: In [-1, 1].
        low: Lower end of the 95% interval.
        high: Upper end.
        p_value: Two-sided, of no difference.
        smallest_detectable: The true difference that such a test finds in 80 of 100 cases; infinite for one cluster.
    """

    value: float
    low: float
    high: float
    p_value: float
    smallest_detectable: float


def paired_difference(
    one: Sequence[Prediction], other: Sequence[Prediction], groups: Groups | None = None
) -> PairedDifference:
    """Return the macro accuracy of `one` minus that of `other`, resampling clusters of both together.

    The interval and p are Student's t of the difference over its bootstrap standard error, with clusters - 1 degrees
    of freedom. The smallest detectable difference is (z_.975 + z_.80) standard errors.

    Args:
        one: The answers of one model.
        other: The answers of the other, in any order.
        groups: The group of each image, where images are not independent.

    Raises:
        ConfigError: If there are no predictions, the two did not answer the same questions, or the groups lack an
            image.
    """
    from scipy.stats import norm

    (right, asked), (other_right, _) = count_right(one, groups), count_right(align(other, one), groups)
    clusters, drawn = len(right), draw_clusters(len(right))
    value = float(macro(right.sum(0), asked.sum(0)) - macro(other_right.sum(0), asked.sum(0)))
    drawn_asked = drawn @ asked
    error = standard_error(macro(drawn @ right, drawn_asked) - macro(drawn @ other_right, drawn_asked), clusters)
    low, high = _interval(value, error, clusters)
    detectable = float(norm.ppf(0.975) + norm.ppf(POWER)) * error
    return PairedDifference(value, low, high, _p_value(value, error, clusters), detectable)


def align(predictions: Sequence[Prediction], to: Sequence[Prediction]) -> list[Prediction]:
    """Return predictions in the order of another model's.

    Raises:
        ConfigError: If the two did not answer the same questions.
    """
    by_question = {(p.image_id, p.question): p for p in predictions}
    if not len(by_question) == len(predictions) == len(to) or {(p.image_id, p.question) for p in to} != set(
        by_question
    ):
        raise ConfigError("The two models answered different questions. Evaluate both on the same test set first.")
    return [by_question[p.image_id, p.question] for p in to]


def in_common(answers: Mapping[str, Sequence[Prediction]]) -> dict[str, list[Prediction]]:
    """Return each model's answers to the questions that all were asked, in one order.

    A question whose reference answer or options have changed between two tests is another question.
    """
    found = {
        name: {(p.image_id, p.question, p.options, p.reference): p for p in given} for name, given in answers.items()
    }
    shared = [asked for asked in next(iter(found.values()), {}) if all(asked in given for given in found.values())]
    return {name: [given[asked] for asked in shared] for name, given in found.items()}


def _interval(value: float, error: float, clusters: int) -> tuple[float, float]:
    if not math.isfinite(error):
        return -1.0, 1.0
    if _is_constant(value, error):
        # Every cluster shows this very difference. By Wilson at least this share of all clusters does; the others
        # may show its opposite.
        ends = value, value * (2 * wilson(clusters, clusters).low - 1)
        return min(ends), max(ends)
    from scipy.stats import t

    half = float(t.ppf(0.975, clusters - 1)) * error
    return max(-1.0, value - half), min(1.0, value + half)


def _p_value(value: float, error: float, clusters: int) -> float:
    if value == 0 or not math.isfinite(error):
        return 1.0
    from scipy.stats import t

    p = 0.0 if _is_constant(value, error) else 2 * float(t.sf(abs(value) / error, clusters - 1))
    # Fewer clusters than 6 never give p < .05 in an exact sign test, and a small variance by chance shall not either.
    return min(1.0, max(p, 2.0 ** (1 - clusters)))


def _is_constant(value: float, error: float) -> bool:
    """Tell whether the resampled differences vary by rounding only; a difference of 0 may do so truly."""
    return value != 0 and error < 1e-9
