"""Who is at the page, and what they may do: every change that a page makes goes through a `Person`, under their name.

Without users the one person at this computer may do everything. What people may look at is not divided.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from app import people_text, rounds_text
from app.errors import InputError
from app.services import Services
from leaml.choices import Choices
from leaml.data.labels import Imported
from leaml.errors import StoreError, UserError
from leaml.labelling.experts import REFERENCE_EXPERT
from leaml.records import (
    METHODS,
    AnsweredQuestion,
    Candidate,
    Label,
    Method,
    QuestionType,
    Reader,
    Review,
    Role,
    RunId,
    Suggestion,
)
from leaml.store.acceptance import order_by_acceptance
from leaml.store.batch_accept import Batch
from leaml.store.rollback import TakenBack
from leaml.teacher.config import TeacherConfig
from leaml.teacher.probe import Probe

Right = Literal["label", "review", "train", "import", "oversee"]
RIGHTS: dict[Role, frozenset[Right]] = {
    "expert": frozenset(("label", "review")),
    "reviewer": frozenset(("review",)),
    "admin": frozenset(("label", "review", "train", "import", "oversee")),
}


@dataclass(frozen=True)
class Person:
    """Somebody at a page.

    Attributes:
        services: What they look at and change.
        name: What their decisions are recorded under.
        rights: What they may do.
        signed_in: Whether they have signed in, and so can sign out.
    """

    services: Services
    name: str
    rights: frozenset[Right]
    signed_in: bool = False

    def may(self, right: Right) -> bool:
        """Return whether they have this right."""
        return right in self.rights

    def require(self, right: Right) -> None:
        """Check that they have this right.

        Raises:
            UserError: If they have not.
        """
        if not self.may(right):
            raise UserError(people_text.not_allowed(self.name, right))

    @property
    def reader(self) -> Reader:
        """Who they are to the review queue. Second reads need a second person."""
        share = self.services.settings.second_reads if self.signed_in else 0.0
        return Reader(self.name, adjudicates=self.may("oversee"), second_share=share)

    # Labels and review

    def add_label(self, pair: AnsweredQuestion, *, seconds: float, suggestion: Suggestion | None = None) -> None:
        """Record an answer of theirs, and what a model suggested before."""
        self.require("label")
        self.services.store.add_label(pair, author=self.name, seconds=seconds, suggestion=suggestion)

    def undo_label(self) -> Label | None:
        """Take back their latest label that stands, and return it; None if there is none."""
        self.require("label")
        return self.services.store.undo_label(self.name)

    def labels_on_offer(self) -> int:
        """Return how many questions they could let the reference answers label."""
        return self.services.labels_on_offer() if self.may("label") else 0

    def label_for_me(self) -> int:
        """Let the reference answers label up to the budget; return how many they labelled."""
        self.require("label")
        return self.services.label_for_me()

    def unlabel_for_me(self, since: datetime) -> int:
        """Take back what the reference answers have labelled since; return how many of these labels stood."""
        self.require("label")
        try:
            return self.services.store.rollback.person(REFERENCE_EXPERT, since, by=self.name).labels
        except StoreError:  # somebody else took them back already
            return 0

    def add_review(self, review: Review) -> None:
        """Record a decision of theirs."""
        self.require("review")
        self.services.store.add_review(replace(review, author=self.name))
        self.services.queue_learning.decided()

    def undo_review(self) -> Candidate | None:
        """Take back their latest decision that stands; return its pair, open again, or None."""
        self.require("review")
        return self.services.store.undo_review(self.name)

    def accept_batch(self, type_id: str, *, at_least: float) -> Batch:
        """Accept the open pairs of a question type with at least this agreement, if their audit has passed."""
        self.require("oversee")
        return self.services.store.batches.accept(type_id, at_least=at_least, by=self.name)

    def take_round_back(self, number: int) -> TakenBack:
        """Put the latest round's pairs out of use, and undo the decisions about them.

        Raises:
            InputError: If a generator is at work, which learns from these decisions: its pairs would outlive them.
            StoreError: If it is not the latest round that is in use.
        """
        self.require("oversee")
        self.services.note_finished()
        if self.services.writes_pairs():
            raise InputError(rounds_text.STOP_FIRST)
        taken = self.services.store.rounds.take_back(number, by=self.name)
        order_by_acceptance(self.services.store)
        return taken

    def set_quotas(self, cards: Mapping[str, int]) -> None:
        """Set how often each question type comes in the review queue, next to the others."""
        self.require("oversee")
        self.services.store.queue.set_quotas(cards)
        order_by_acceptance(self.services.store)

    def roll_back(self, kind: Literal["batch", "session"], number: int) -> TakenBack:
        """Take back the decisions of a batch or of somebody's session."""
        self.require("oversee")
        rollback = self.services.store.rollback
        return (rollback.batch if kind == "batch" else rollback.session)(number, by=self.name)

    def save_questions(self, types: tuple[QuestionType, ...]) -> None:
        """Set the project's question types; labels keep those that they were given with."""
        self.require("label")
        self.services.save_questions(types, author=self.name)

    # Runs

    def obstacles(self) -> dict[str, str]:
        """Return what they cannot train now, and why: by method, or `generator`."""
        if not self.may("train"):
            return dict.fromkeys(("generator", *METHODS), people_text.NEEDS_ADMIN)
        return self.services.obstacles()

    def start_generator(self) -> None:
        """Queue a run that trains the generator and writes pairs."""
        self.require("train")
        self.services.start_generator()

    def start_methods(self, methods: tuple[Method, ...]) -> int:
        """Queue a training and test of each method that can run now; return how many."""
        self.require("train")
        return self.services.start_methods(methods)

    def test_again(self) -> int:
        """Queue a test of each model that was not asked all of today's test; return how many."""
        self.require("train")
        return self.services.test_again()

    def cancel(self, run_id: RunId) -> None:
        """Stop a run after its current step."""
        self.require("train")
        self.services.jobs.cancel(run_id)

    def resume(self, run_id: RunId) -> None:
        """Let a stopped run go on."""
        self.require("train")
        self.services.resume(run_id)

    # Project

    def save_choices(self, choices: Choices) -> None:
        """Set the project's model and teacher."""
        self.require("train")
        self.services.choosing.save(choices)

    def test_teacher(self, teacher: TeacherConfig) -> Probe:
        """Have a teacher describe one image."""
        self.require("train")
        return self.services.choosing.test(teacher)

    def load_sample(self) -> None:
        """Bring in the sample project."""
        self.require("import")
        self.services.load_sample()

    def import_images(self, folder: Path, *, name: str, types: tuple[QuestionType, ...]) -> tuple[int, Path]:
        """Bring in a folder of images; return how many, and the workspace they are in."""
        self.require("import")
        return self.services.import_images(folder, name=name, types=types)

    def export(self, ending: str) -> tuple[int, Path]:
        """Write labels and accepted pairs, or people's answers, into the workspace; return how many, and the file."""
        self.require("import")
        return self.services.export(ending)

    def open_project(self, workspace: Path) -> None:
        """Have the app go on in another project's workspace."""
        self.require("import")
        self.services.open_next(workspace)

    def import_labels(self, content: str) -> Imported:
        """Bring in the answers of a CSV file's content, which may name other people as their authors."""
        self.require("import")
        return self.services.import_labels(content, author=self.name)


def who(services: Services, username: str | None) -> Person:
    """Return the person behind a request; their role is read anew each time.

    Args:
        services: What they look at and change.
        username: Who signed in, as the server says; None where nobody has to.

    Raises:
        UserError: If somebody has to sign in and has not, or is no user any more.
    """
    if not services.needs_sign_in:
        return Person(services, services.settings.author, RIGHTS["admin"])
    if username is None:
        raise UserError(people_text.SIGNED_OUT)
    user = services.store.users.get(username)
    return Person(services, user.name, RIGHTS[user.role], signed_in=True)
