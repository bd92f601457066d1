"""Accuracies and differences over draws, seeds and test images together.

A method was run on several draws of labels, with several seeds, and always tested on the same questions. An estimate
is the mean over its draws, and a draw's the mean over its seeds. Its interval has the spread of the draws and of the
test's clusters in it; a difference between two methods is taken draw by draw and image by image, over the draws and
seeds that both have.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.label_efficiency.collection import Collection
from benchmarks.label_efficiency.log import Run, unpack
from leaml.records import Prediction
from leaml.stats.clusters import Floats, count_right, draw_clusters, macro, standard_error


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
    found = _estimate(_replicated(runs, exam), _models(runs))
    return replace(found, low=max(0.0, found.low), high=min(1.0, found.high))


def difference(runs: Sequence[Run], others: Sequence[Run], exam: Exam) -> Estimate | None:
    """Return the mean macro accuracy of a method less another's, over the draws and seeds of both; None without any."""
    ours, theirs = _paired(runs, others)
    if not ours:
        return None
    return _estimate(_replicated(ours, exam) - _replicated(theirs, exam), len(ours))


def recovered(runs: Sequence[Run], low: Sequence[Run], high: Sequence[Run], exam: Exam) -> Estimate | None:
    """Return the share of the way from one method to another that a third one goes; None where there may be no way.

    Its interval is that of the share's linear part (the delta method): the difference less the share of the way, over
    the way.
    """
    keys = {_cell(run) for run in runs} & {_cell(run) for run in low} & {_cell(run) for run in high}
    if not keys:
        return None
    ours, bottom, top = (_replicated(_of(side, keys), exam) for side in (runs, low, high))
    way = top - bottom
    if _estimate(way, len(keys)).low <= 0:
        return None
    share = float((ours - bottom).by_draw.mean() / way.by_draw.mean())
    spread = _estimate(((ours - bottom) - way * share) * (1 / float(way.by_draw.mean())), len(keys))
    return Estimate(share, share + spread.low - spread.value, share + spread.high - spread.value, len(keys))


@dataclass(frozen=True)
class _Replicated:
    """A figure of each draw of labels (the mean over its seeds), and of each resample of the test's clusters.

    Attributes:
        by_draw: `[draws]`.
        resampled: `[resamples]`, the mean over the same draws.
        clusters: Of test images.
    """

    by_draw: Floats
    resampled: Floats
    clusters: int

    def __sub__(self, other: "_Replicated") -> "_Replicated":
        return _Replicated(self.by_draw - other.by_draw, self.resampled - other.resampled, self.clusters)

    def __mul__(self, factor: float) -> "_Replicated":
        return _Replicated(self.by_draw * factor, self.resampled * factor, self.clusters)


def _replicated(runs: Sequence[Run], exam: Exam) -> _Replicated:
    """Return the macro accuracies of runs; the same resamples for all methods, so that differences are paired."""
    counted = [exam.counts(run) for run in runs]
    asked = counted[0][1]
    right = np.stack([row for row, _ in counted])
    draws = sorted({run.draw for run in runs})
    # Draws count the same, however many seeds each has.
    by_draw = np.stack([right[[n for n, run in enumerate(runs) if run.draw == draw]].mean(0) for draw in draws])
    clusters = draw_clusters(len(asked))
    resampled = macro(clusters @ by_draw.mean(0), clusters @ asked)
    return _Replicated(macro(by_draw.sum(1), asked.sum(0)), resampled, len(asked))


def _estimate(found: _Replicated, runs: int) -> Estimate:
    """Return the mean and its interval: Student's t over the standard errors of draws and of test images together.

    Both vary by themselves, so their variances add up; the degrees of freedom are Satterthwaite's. With one draw, and
    where all draws have the same model, the interval is over test images alone.
    """
    from scipy.stats import t

    draws, value = len(found.by_draw), float(found.by_draw.mean())
    of_images = standard_error(found.resampled, found.clusters) ** 2
    of_draws = float(found.by_draw.var(ddof=1)) / draws if draws > 1 else 0.0
    if not of_images + of_draws:
        return Estimate(value, value, value, runs)
    freedom = of_images**2 / (found.clusters - 1) + (of_draws**2 / (draws - 1) if draws > 1 else 0.0)
    half = float(t.ppf(0.975, (of_images + of_draws) ** 2 / freedom)) * math.sqrt(of_images + of_draws)
    return Estimate(value, value - half, value + half, runs)


def _models(runs: Sequence[Run]) -> int:
    """Return how many models were asked: what reads no drawn label is one model, written down for each draw."""
    return len({run.right for run in runs})


def _paired(runs: Sequence[Run], others: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    keys = {_cell(run) for run in runs} & {_cell(run) for run in others}
    return _of(runs, keys), _of(others, keys)


def _of(runs: Sequence[Run], keys: set[tuple[int, int]]) -> list[Run]:
    return sorted((run for run in runs if _cell(run) in keys), key=_cell)


def _cell(run: Run) -> tuple[int, int]:
    return run.draw, run.seed
