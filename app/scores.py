"""How models did on the test, each computed once: a bootstrap takes a second."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leaml import stats
from leaml.records import ImageId, Interval, Prediction, RunId
from leaml.store import Store

Scores = tuple[Mapping[str, stats.TypeAccuracy], Interval]
"""Accuracy by question type, and the average over the types."""


@dataclass(frozen=True)
class Evaluations:
    """What the newest model of each method answered to the questions that all of them were asked.

    Attributes:
        answers: By method or `majority`, all in one order; empty where none was tested on today's test.
        questions: How many today's test has.
        behind: Methods whose model was not asked all of them.
    """

    answers: Mapping[str, Sequence[Prediction]]
    questions: int
    behind: tuple[str, ...]


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

    def evaluations(self, models: Mapping[str, RunId]) -> Evaluations:
        """Return the test answers of models by their methods, and those of the majority baseline (`majority`).

        Only those to questions of today's test that all were asked: it may have changed since some were trained. A
        model that was asked none of them is left out.
        """
        test, labels = self._store.held_out.questions(), [label.pair for label in self._store.labels("pool")]
        asked = {(pair.image_id, pair.question, pair.options, pair.answer) for pair in test}
        found = {
            method: [p for p in self.answers(run_id) if (p.image_id, p.question, p.options, p.reference) in asked]
            for method, run_id in models.items()
        }
        behind = tuple(method for method, answers in found.items() if len(answers) < len(test))
        tested = {method: answers for method, answers in found.items() if answers}
        if tested and labels:
            tested = {"majority": stats.majority_predictions(labels, test), **tested}
        return Evaluations(stats.in_common(tested), len(test), behind)

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
