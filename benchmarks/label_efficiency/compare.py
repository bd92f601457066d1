"""Accuracies and differences over draws, seeds and test images together.

A method was run on several draws of labels, with several seeds, and always tested on the same questions. An estimate
is the mean over its draws, and a draw's the mean over its seeds. The interval resamples draws and clusters of test
images at once; a difference between two methods does so for both together, over the draws and seeds that both have.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.label_efficiency.collection import Collection
from benchmarks.label_efficiency.log import Run, unpack
from leaml.records import Prediction
from leaml.stats.clusters import RESAMPLES, SEED, Floats, count_right, draw_clusters, macro


@dataclass(frozen=True)
class Estimate:
    """A mean over draws with its 95% interval; the interval of one draw is over test images alone."""

    value: float
    low: float
    high: float
    runs: int


class Exam:
    """The test questions of a collection, counted by cluster and type for each run."""

    def __init__(self, collection: Collection) -> None:
        """Keep what is the same for all runs."""
        self._collection = collection

    def counts(self, run: Run) -> tuple[Floats, Floats]:
        """Return counts `[clusters, types]` of right answers and of questions."""
        questions = self._collection.test
        right = unpack(run.right, len(questions))
        rows = [
            Prediction(q.image_id, q.type_id or "free", q.question, q.options, q.answer, "", bool(correct), ())
            for q, correct in zip(questions, right, strict=True)
        ]
        return count_right(rows, self._collection.groups)


def accuracy(runs: Sequence[Run], exam: Exam) -> Estimate:
    """Return the mean macro accuracy of a method's runs."""
    value, drawn = _resampled(runs, exam)
    return _estimate(value, drawn, len(runs))


def difference(runs: Sequence[Run], others: Sequence[Run], exam: Exam) -> Estimate | None:
    """Return the mean macro accuracy of a method less another's, over the draws and seeds of both; None without any."""
    ours, theirs = _paired(runs, others)
    if not ours:
        return None
    (value, drawn), (other, other_drawn) = _resampled(ours, exam), _resampled(theirs, exam)
    return _estimate(value - other, drawn - other_drawn, len(ours))


def recovered(runs: Sequence[Run], low: Sequence[Run], high: Sequence[Run], exam: Exam) -> Estimate | None:
    """Return the share of the way from one method to another that a third one goes; None where there is no way."""
    keys = {_cell(run) for run in runs} & {_cell(run) for run in low} & {_cell(run) for run in high}
    if not keys:
        return None
    parts = [_resampled(_of(side, keys), exam) for side in (runs, low, high)]
    (value, drawn), (bottom, bottoms), (top, tops) = parts
    widths = tops - bottoms
    if np.quantile(widths, 0.025) <= 0:
        return None
    shares = (drawn - bottoms)[widths > 0] / widths[widths > 0]
    return _estimate((value - bottom) / (top - bottom), shares, len(keys))


def _resampled(runs: Sequence[Run], exam: Exam) -> tuple[float, Floats]:
    """Return the mean macro accuracy, and that of each resample; the same resamples for the same draws."""
    counted = [exam.counts(run) for run in runs]
    asked = counted[0][1]
    right = np.stack([row for row, _ in counted])
    draws = sorted({run.draw for run in runs})
    by_draw = np.stack([right[[n for n, run in enumerate(runs) if run.draw == draw]].mean(0) for draw in draws])
    # Draws count the same, however many seeds each has: so they do in the resamples.
    value = float(np.mean([macro(row.sum(0), asked.sum(0)) for row in by_draw]))
    picks = np.random.default_rng(SEED).integers(len(draws), size=(RESAMPLES, len(draws)))
    weights = np.stack([(picks == n).mean(1) for n in range(len(draws))], axis=1)
    clusters = draw_clusters(len(asked))
    drawn_right = np.einsum("bd,bc,dct->bt", weights, clusters, by_draw, optimize=True)
    return value, macro(drawn_right, clusters @ asked)


def _estimate(value: float, drawn: Floats, runs: int) -> Estimate:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value, float(low), float(high), runs)


def _paired(runs: Sequence[Run], others: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    keys = {_cell(run) for run in runs} & {_cell(run) for run in others}
    return _of(runs, keys), _of(others, keys)


def _of(runs: Sequence[Run], keys: set[tuple[int, int]]) -> list[Run]:
    return sorted((run for run in runs if _cell(run) in keys), key=_cell)


def _cell(run: Run) -> tuple[int, int]:
    return run.draw, run.seed
