"""A calibrated logistic model of "this pair would be accepted unchanged", from scores and reasons for rejections.

It orders the informative half of the review queue: what it is least sure of comes first; and it can weigh the pairs
that nobody has looked at when a model is trained on them. It learns from all decisions that people took pair by pair;
how good it is, is measured on the random audit alone, each audited pair by a model that learnt from no decision about
the pair's image. Reasons count by image: where people have rejected pairs for something else than their answers, such
as that there is nothing to see, the image's next pair is less likely to be accepted.
"""

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from leaml.errors import ConfigError
from leaml.records import Acceptance, Candidate, Interval
from leaml.stats import wilson
from leaml.store import Store
from leaml.store.audit import Decision

LEAST_DECISIONS = 100
LEAST_IMAGES = 20
SURE = 0.9
"""A pair that is accepted with at least this probability is one that the model would accept by itself."""

_FOLDS = 5
_SCORES = ("log_probability", "coalesce(agreement, 0.0)", "(agreement IS NULL)::INTEGER", "margin", "faults")
Floats = npt.NDArray[np.float64]


class Scored(Protocol):
    """What the model looks at: a decision, or a candidate."""

    @property
    def type_id(self) -> str | None: ...  # noqa: D102 - as `Candidate` has them
    @property
    def log_probability(self) -> float: ...  # noqa: D102
    @property
    def agreement(self) -> float | None: ...  # noqa: D102
    @property
    def margin(self) -> float: ...  # noqa: D102


@dataclass(frozen=True)
class AcceptanceModel:
    """The logit of acceptance is linear in the scores, with a constant for each question type.

    Attributes:
        weights: Of the scores, in the order of `_SCORES`.
        constants: By question type; None holds pairs without one.
        constant: Of a question type that nobody has decided about.
    """

    weights: tuple[float, ...]
    constants: dict[str | None, float]
    constant: float

    def probability(self, pairs: Sequence[Scored], faults: Sequence[float]) -> Floats:
        """Return the probability of acceptance: [len(pairs)] float64.

        Args:
            pairs: Decisions or candidates.
            faults: Of each pair's image, as `Decision.faults`.
        """
        from scipy.special import expit  # loaded by whoever needs it: see `leaml.stats`

        constants = np.array([self.constants.get(row.type_id, self.constant) for row in pairs])
        return np.asarray(expit(_scores(pairs, faults) @ np.array(self.weights) + constants))

    def as_sql(self) -> str:
        """Return the logit as an expression over the columns that `leaml.store.queue_order.reorder` has."""
        cases = "".join(
            f" WHEN type_id IS NOT DISTINCT FROM {_literal(kind)} THEN {value!r}"
            for kind, value in self.constants.items()
        )
        terms = (f"{weight!r} * {score}" for weight, score in zip(self.weights, _SCORES, strict=True))
        return f"({' + '.join(terms)} + CASE{cases} ELSE {self.constant!r} END)"


@dataclass(frozen=True)
class AcceptanceFigures:
    """How good the model is, on the random audit.

    Attributes:
        audited: How many audited pairs this rests on.
        coverage: Share of them of which the model is sure.
        precision: Share of those that people accepted unchanged; None where it is sure of none.
    """

    audited: int
    coverage: float
    precision: Interval | None


def fit_acceptance(decisions: Sequence[Decision]) -> AcceptanceModel:
    """Return the model that these decisions teach.

    Raises:
        ConfigError: If there are fewer than 100 decisions, about fewer than 20 images, or all of them are the same.
    """
    _require_enough(decisions)
    return _calibrated(decisions)


def measure_acceptance(decisions: Sequence[Decision]) -> AcceptanceFigures:
    """Return how good the model of these decisions is, on those of the random audit.

    Raises:
        ConfigError: If there are too few decisions, or none of them was audited.
    """
    _require_enough(decisions)
    audited = [row for row in decisions if row.audited]
    if not audited:
        raise ConfigError("No pair was audited. Review more.")
    sure, right = 0, 0
    for known, asked in _folds(decisions):
        chosen = [row for row in asked if row.audited]
        for row, probability in zip(chosen, _calibrated(known).probability(chosen, _faults(chosen)), strict=True):
            sure += bool(probability >= SURE)
            right += bool(probability >= SURE) and row.accepted
    return AcceptanceFigures(len(audited), sure / len(audited), wilson(right, sure) if sure else None)


def expected_acceptance(decisions: Sequence[Decision], pairs: Sequence[Candidate]) -> list[Acceptance]:
    """Return how probable each pair's acceptance is; nothing where there are too few decisions to tell."""
    try:
        model = fit_acceptance(decisions)
    except ConfigError:
        return []
    of_image = _faults_by_image(decisions)
    probabilities = model.probability(pairs, [of_image.get(pair.image_id, 0.0) for pair in pairs])
    return [Acceptance(pair.id, float(value)) for pair, value in zip(pairs, probabilities, strict=True)]


def order_by_acceptance(store: Store) -> bool:
    """Show those informative pairs first of which the model is least sure; return False where it has too little."""
    try:
        model = fit_acceptance(store.checks.decisions())
    except ConfigError:
        return False
    store.queue.reorder(model.as_sql())
    return True


def _require_enough(decisions: Sequence[Decision]) -> None:
    images = len({row.image_id for row in decisions})
    if len(decisions) < LEAST_DECISIONS or images < LEAST_IMAGES or len({row.accepted for row in decisions}) < 2:
        raise ConfigError(
            f"There are {len(decisions)} decisions about {images} images; the acceptance model needs at least "
            f"{LEAST_DECISIONS} about {LEAST_IMAGES}, accepted and not. Review more."
        )


def _calibrated(decisions: Sequence[Decision]) -> AcceptanceModel:
    """Return a model whose logits are rescaled by those of models that had not seen the decision (Platt 1999)."""
    logits, accepted = [], []
    for known, asked in _folds(decisions):
        probabilities = np.clip(_fitted(known).probability(asked, _faults(asked)), 1e-9, 1 - 1e-9)
        logits.append(np.log(probabilities / (1 - probabilities)))
        accepted.append(_accepted(asked))
    slope, shift = _logistic(np.concatenate(logits)[:, None], np.concatenate(accepted), penalty=0.01)
    model = _fitted(decisions)
    return AcceptanceModel(
        weights=tuple(slope * weight for weight in model.weights),
        constants={kind: slope * value + shift for kind, value in model.constants.items()},
        constant=slope * model.constant + shift,
    )


def _fitted(decisions: Sequence[Decision]) -> AcceptanceModel:
    """Return a logistic regression on standardised scores, with a small squared penalty on all but the constant."""
    kinds = sorted({row.type_id for row in decisions}, key=str)
    scores = _scores(decisions, _faults(decisions))
    mean, spread = scores.mean(axis=0), np.maximum(scores.std(axis=0), 1e-6)
    of_kind = np.array([[float(row.type_id == kind) for kind in kinds] for row in decisions])
    *weights, constant = _logistic(np.hstack([(scores - mean) / spread, of_kind]), _accepted(decisions), penalty=1.0)
    slopes = np.array(weights[: scores.shape[1]]) / spread
    base = constant - float(slopes @ mean)
    constants = {kind: base + weight for kind, weight in zip(kinds, weights[scores.shape[1] :], strict=True)}
    return AcceptanceModel(tuple(float(slope) for slope in slopes), constants, base)


def _logistic(scores: Floats, accepted: Floats, *, penalty: float) -> list[float]:
    """Return the weights of the scores [N, D], and last the constant, at the penalised maximum likelihood."""
    from scipy.optimize import minimize
    from scipy.special import expit

    ones = np.hstack([scores, np.ones((len(scores), 1))])
    shrink = np.append(np.full(scores.shape[1], penalty), 0.0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        logits = ones @ weights
        value = np.sum(np.logaddexp(0, logits) - accepted * logits) + 0.5 * np.sum(shrink * weights**2)
        return float(value), ones.T @ (expit(logits) - accepted) + shrink * weights

    found = minimize(loss, np.zeros(ones.shape[1]), jac=True, method="L-BFGS-B")
    return [float(weight) for weight in found.x]


def _folds(decisions: Sequence[Decision]) -> Iterator[tuple[list[Decision], list[Decision]]]:
    """Yield the decisions about four images of five, and those about the fifth, five times."""
    shuffled = sorted({row.image_id for row in decisions}, key=lambda image: (zlib.crc32(image.encode()), image))
    part_of = {image: place % _FOLDS for place, image in enumerate(shuffled)}
    for part in range(_FOLDS):
        known = [row for row in decisions if part_of[row.image_id] != part]
        yield known, [row for row in decisions if part_of[row.image_id] == part]


def _faults(decisions: Sequence[Decision]) -> list[float]:
    return [row.faults for row in decisions]


def _faults_by_image(decisions: Sequence[Decision]) -> dict[str, float]:
    """Return, of each image that was decided about, what `Decision.faults` of the next decision would be."""
    decided = Counter(row.image_id for row in decisions)
    faulted = Counter(row.image_id for row in decisions if row.faulted)
    return {image: faulted[image] / (count + 1) for image, count in decided.items()}


def _scores(pairs: Sequence[Scored], faults: Sequence[float]) -> Floats:
    rows = [
        (row.log_probability, row.agreement or 0.0, row.agreement is None, row.margin, fault)
        for row, fault in zip(pairs, faults, strict=True)
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(_SCORES))


def _accepted(decisions: Sequence[Decision]) -> Floats:
    return np.array([row.accepted for row in decisions], dtype=np.float64)


def _literal(text: str | None) -> str:
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"
