"""Who is at the page, and what they may do: every change that a page makes goes through a `Person`, under their name.

Without users the one person at this computer may do everything. What people may look at is not divided.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from app import text
from app.services import Services
from leaml.errors import UserError
from leaml.records import METHODS, AnsweredQuestion, Candidate, Label, Method, QuestionType, Review, Role, RunId

Right = Literal["label", "review", "train", "import"]
RIGHTS: dict[Role, frozenset[Right]] = {
    "expert": frozenset(("label", "review")),
    "reviewer": frozenset(("review",)),
    "admin": frozenset(("label", "review", "train", "import")),
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
            raise UserError(text.not_allowed(self.name, right))

    # Labels and review

    def add_label(self, pair: AnsweredQuestion, *, seconds: float) -> None:
        """Record an answer of theirs."""
        self.require("label")
        self.services.store.add_label(pair, author=self.name, seconds=seconds)

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

    def add_review(self, review: Review) -> None:
        """Record a decision of theirs."""
        self.require("review")
        self.services.store.add_review(replace(review, author=self.name))

    def undo_review(self) -> Candidate | None:
        """Take back their latest decision that stands; return its pair, open again, or None."""
        self.require("review")
        return self.services.store.undo_review(self.name)

    # Runs

    def obstacles(self) -> dict[str, str]:
        """Return what they cannot train now, and why: by method, or `generator`."""
        if not self.may("train"):
            return dict.fromkeys(("generator", *METHODS), text.NEEDS_ADMIN)
        return self.services.obstacles()

    def start_generator(self) -> None:
        """Queue a run that trains the generator and writes pairs."""
        self.require("train")
        self.services.start_generator()

    def start_methods(self, methods: tuple[Method, ...]) -> int:
        """Queue a training and test of each method that can run now; return how many."""
        self.require("train")
        return self.services.start_methods(methods)

    def cancel(self, run_id: RunId) -> None:
        """Stop a run after its current step."""
        self.require("train")
        self.services.jobs.cancel(run_id)

    def resume(self, run_id: RunId) -> None:
        """Let a stopped run go on."""
        self.require("train")
        self.services.jobs.resume(run_id)

    # Project

    def load_sample(self) -> None:
        """Bring in the sample project."""
        self.require("import")
        self.services.load_sample()

    def import_images(self, folder: Path, *, name: str, types: tuple[QuestionType, ...]) -> tuple[int, Path]:
        """Bring in a folder of images; return how many, and the workspace they are in."""
        self.require("import")
        return self.services.import_images(folder, name=name, types=types)


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
        raise UserError(text.SIGN_IN_FIRST)
    user = services.store.users.get(username)
    return Person(services, user.name, RIGHTS[user.role], signed_in=True)
