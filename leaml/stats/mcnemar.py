"""Tests of two models by question type, and the correction for testing several.

Secondary to the paired difference: McNemar's test takes the questions of one type as independent of one another.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leaml.records import Prediction
from leaml.stats.paired import align


@dataclass(frozen=True)
class McNemar:
    """Two models on the questions of one type.

    Attributes:
        only_one: Questions that only the first model answered right.
        only_other: Questions that only the second model answered right.
        p_value: Two-sided, exact.
        adjusted: p after Holm's correction over all types.
    """

    only_one: int
    only_other: int
    p_value: float
    adjusted: float


def mcnemar_by_type(one: Sequence[Prediction], other: Sequence[Prediction]) -> dict[str, McNemar]:
    """Return McNemar's exact test (1947) of each question type, in the order of first appearance.

    Raises:
        ConfigError: If the two did not answer the same questions.
    """
    from statsmodels.stats.contingency_tables import mcnemar

    tables: dict[str, list[list[int]]] = defaultdict(lambda: [[0, 0], [0, 0]])
    for first, second in zip(one, align(other, one), strict=True):
        tables[first.type_id][not first.correct][not second.correct] += 1
    raw = {type_id: float(mcnemar(table, exact=True).pvalue) for type_id, table in tables.items()}
    adjusted = holm(raw)
    return {name: McNemar(row[0][1], row[1][0], raw[name], adjusted[name]) for name, row in tables.items()}


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return the p-values of one family of tests, adjusted for the chance of any false finding (Holm 1979)."""
    if not p_values:
        return {}
    from statsmodels.stats.multitest import multipletests

    adjusted = multipletests(list(p_values.values()), method="holm")[1]
    return dict(zip(p_values, (float(p) for p in adjusted), strict=True))
