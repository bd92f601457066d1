"""Which models are in use, and what each has learnt from.

Of two models that learnt from different labels, or began as different models, neither shows which method is better.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.choosing import Choosing
from leaml.errors import LeamlError
from leaml.jobs import Jobs
from leaml.records import METHODS, AnsweredQuestion, Method, RunId
from leaml.store import Store
from leaml.store.results import ModelRow
from leaml.tables import read_rows


@dataclass(frozen=True)
class Basis:
    """What a model learnt from. What only its run's folder tells is None where that cannot be read.

    Attributes:
        labels: How many labels; None of the base model, which learns from none.
        answers: Tells these labels from others.
        reviewed: Tells the reviewed pairs that there were then from others, whether the model learnt from them or not.
        model: The pretrained model that it began as.
        flips: How the pictures were mirrored that it learnt from.
    """

    labels: int | None
    answers: str | None = None
    reviewed: str | None = None
    model: str | None = None
    flips: str | None = None

    def same_labels(self, other: "Basis") -> bool:
        """Return whether both learnt from the same labels, as far as is known; the base model fits any."""
        if self.labels is None or other.labels is None:
            return True
        return self.labels == other.labels and _agree(self.answers, other.answers)

    def same_model(self, other: "Basis") -> bool:
        """Return whether both began as the same model, as far as is known."""
        return _agree(self.model, other.model)

    def same_flips(self, other: "Basis") -> bool:
        """Return whether both learnt from pictures that were mirrored alike, as far as is known."""
        return self.labels is None or other.labels is None or _agree(self.flips, other.flips)


class Learnt:
    """What the models of one workspace learnt from, against what is there now."""

    def __init__(self, store: Store, jobs: Jobs, choosing: Choosing) -> None:
        """Look at this workspace's store, runs and settings."""
        self._store, self._jobs, self._choosing = store, jobs, choosing
        self._known: dict[RunId, Basis] = {}
        self._now: tuple[int, str, str] = (-1, "", "")

    def of(self, model: ModelRow) -> Basis:
        """Return what a model learnt from; a run's data never change, so they are read once."""
        if model.run_id not in self._known:
            self._known[model.run_id] = self._read(model)
        return self._known[model.run_id]

    def nothing_new(self, latest: Mapping[Method, ModelRow]) -> bool:
        """Return whether each method has a model that learnt from what is there now, by today's settings.

        Pairs that nobody reviewed are told by their round.
        """
        # Counts are cheap, and tell most changes; every answer is read only where they are as they were.
        return set(METHODS) <= set(latest) and self._counts_agree(latest) and self._answers_agree(latest)

    def _counts_agree(self, latest: Mapping[Method, ModelRow]) -> bool:
        labels, rounds = sum(self._store.label_counts().values()), self._store.rounds.latest()
        if any(row.labels != labels for method, row in latest.items() if method != "zero_shot"):
            return False
        if any(row.pairs and row.round != rounds for row in latest.values()):
            return False
        return latest["leaml_reviewed"].pairs == self._store.answered.count_reviewed()

    def _answers_agree(self, latest: Mapping[Method, ModelRow]) -> bool:
        choices, (answers, reviewed) = self._choosing.choices(), self._answers_now()
        for method, row in latest.items():
            basis = self.of(row)
            if not (_agree(basis.model, choices.model) and _agree(basis.flips, choices.flips)):
                return False
            if method != "zero_shot" and not _agree(basis.answers, answers):
                return False
            if method == "leaml_reviewed" and not _agree(basis.reviewed, reviewed):
                return False
        return True

    def _answers_now(self) -> tuple[str, str]:
        """Return what tells today's labels and reviewed pairs from others; read again only after a decision."""
        newest = self._store.newest_event()
        if self._now[0] != newest:
            labels = [label.pair for label in self._store.labels("pool")]
            self._now = newest, _mark(labels), _mark(self._store.answered.reviewed())
        return self._now[1:]

    def _read(self, model: ModelRow) -> Basis:
        labels = None if model.method == "zero_shot" else model.labels
        try:
            run = self._jobs.run(RunId(model.run_id))
            settings: dict[str, Any] = run.config()["finetune"]
        except (LeamlError, KeyError):  # its folder is gone or damaged: the Train screen says which
            return Basis(labels)
        return Basis(
            labels,
            answers=_mark_of(run.path / "data" / "labels.parquet"),
            reviewed=_mark_of(run.path / "data" / "reviewed.parquet"),
            model=settings.get("model"),
            flips=settings.get("train", {}).get("flips"),
        )


def models_in_use(store: Store) -> list[ModelRow]:
    """Return the models, oldest first, but for those that learnt from the pairs of a round that was taken back."""
    out = store.rounds.taken_back()
    return [row for row in store.results.models() if not (row.pairs and row.round in out)]


def _agree(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


def _mark(pairs: Iterable[AnsweredQuestion]) -> str:
    """Return a hash of questions with their answers, in whatever order they were given."""
    lines = sorted(repr((pair.image_id, pair.question, pair.options, pair.answer)) for pair in pairs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _mark_of(table: Path) -> str | None:
    try:
        return _mark(read_rows(table, AnsweredQuestion))
    except LeamlError:
        return None
