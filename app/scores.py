"""How models did on the test, each computed once: a bootstrap takes a second."""

from collections.abc import Mapping, Sequence

from leaml import stats
from leaml.records import ImageId, Interval, Prediction, RunId
from leaml.store import Store

Scores = tuple[Mapping[str, stats.TypeAccuracy], Interval]
"""Accuracy by question type, and the average over the types."""


class RunScores:
    """The test answers of runs, which never change, and what they are worth."""

    def __init__(self, store: Store) -> None:
        """Read them from this store."""
        self._store = store
        self._answers: dict[RunId, list[Prediction]] = {}
        self._scores: dict[tuple[Prediction, ...], Scores] = {}

    def groups(self) -> dict[ImageId, str]:
        """Return the group of each test image: images of one group are not independent."""
        return {image.id: image.group for image in self._store.images("test")}

    def answers(self, run_id: RunId) -> list[Prediction]:
        """Return a model's test answers; none of a run that left none."""
        if run_id not in self._answers:
            self._answers[run_id] = self._store.results.predictions(run_id)
        return self._answers[run_id]

    def of_run(self, run_id: RunId) -> Scores:
        """Return what a model's answers to all its test questions are worth."""
        return self.of(self.answers(run_id))

    def of(self, answers: Sequence[Prediction]) -> Scores:
        """Return what some answers are worth; groups of images are clusters."""
        key = tuple(answers)
        if key not in self._scores:
            groups = self.groups()
            self._scores[key] = dict(stats.accuracy_by_type(key, groups)), stats.macro_accuracy(key, groups)
        return self._scores[key]
