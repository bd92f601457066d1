"""The workspace's store: the sole owner of the DuckDB file.

What people decide (labels, reviews) is appended as events and never changed; the current state is a view over them,
and an undo is an event of its own; all of them form one hash chain (`leaml.store.events`). A method that returns has
committed. One process holds the store; its threads share it: every access has a cursor of its own, and writes take
turns. Who may sign in is in `Store.users`, who has which card in `Store.leases`, which pair is reviewed next in
`Store.queue`; `Store.captions` has the teacher's words, `Store.held_out` what models are tested against,
`Store.answered` what is answered and what is not, and `Store.results` what runs made; `Store.checks` says what the
reviews are worth, `Store.batches` accepts and `Store.rollback` takes back many at once, `Store.rounds` a whole round.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Self

from leaml.errors import StoreError
from leaml.groups import Groups
from leaml.records import (
    AnsweredQuestion,
    Candidate,
    Caption,
    ImageId,
    ImageRow,
    Label,
    Project,
    QuestionType,
    Review,
    Split,
    Suggestion,
)
from leaml.store.answered import PAIR, Answered
from leaml.store.audit import Checks
from leaml.store.batch_accept import Batches
from leaml.store.captions import Captions
from leaml.store.database import Database, now, record
from leaml.store.events import Event, verify, walk
from leaml.store.held_out import HeldOut
from leaml.store.leases import Leases
from leaml.store.log import EventLog
from leaml.store.queue import Queue
from leaml.store.remembered import Remembered
from leaml.store.results import Results
from leaml.store.rollback import Rollback
from leaml.store.rounds import Rounds
from leaml.store.users import Users
from leaml.store.workspace import STORE_FILE, prepare_workspace, require_workspace

_REVIEW_COLUMNS = ("candidate_id", "action", "reason", "author", "seconds", "drawn", "shown")
# A skipped second read or dispute is no decision about a pair, but is taken back like one while it still waits.
_UNDOABLE = """
    SELECT * FROM (
        FROM current_reviews UNION ALL FROM second_reads UNION ALL
        FROM standing_reviews WHERE action = 'skip' AND CASE drawn
            WHEN 'second' THEN candidate_id NOT IN (SELECT candidate_id FROM second_reads)
            WHEN 'adjudication' THEN candidate_id IN (SELECT candidate_id FROM conflicts) END)
    WHERE author = ? AND coalesce(drawn, '') <> 'batch' ORDER BY event_id DESC LIMIT 1
"""


class Store:
    """All that a workspace knows. Open it with `Store.open`; close it, or use it as a context manager."""

    def __init__(self, workspace: Path, database: Database) -> None:
        """Take an open database; use `Store.open`."""
        self.workspace = workspace
        self._database = database
        self.users = Users(database)
        self.leases = Leases(database)
        self.queue = Queue(database)
        self.captions = Captions(database, self.queue)
        self.held_out = HeldOut(database)
        self.answered = Answered(database)
        self._log = EventLog(database)
        self._project = Remembered(database, self._read_project)
        self._label_counts = self._log.remembered("label_events", self._count_labels)
        self._labelled = self._log.remembered("label_events", self._count_labelled)
        self.rollback = Rollback(database, self._log, self.queue)
        self.rounds = Rounds(database, self._log, self.queue, self.rollback)
        self.results = Results(database, self.queue, self.captions, self.rounds, self.answered)
        self.checks = Checks(database)
        self.batches = Batches(database, self._log, self.queue, self.checks)

    @classmethod
    def open(cls, workspace: Path, *, make: bool = True) -> Self:
        """Open a workspace, made where there is none unless `make` is off, and bring its schema up to date.

        Raises:
            StoreLockedError: If another process has it open.
            StoreError: If it is not there, or cannot be opened or made.
        """
        return cls(workspace, Database(prepare_workspace(workspace, make=make)))

    @classmethod
    def open_to_read(cls, workspace: Path) -> Self:
        """Open a workspace of which nothing is to be changed, such as a backup.

        Raises:
            StoreLockedError: If another process has it open.
            StoreError: If it is not there, cannot be opened, or an older version wrote it.
        """
        require_workspace(workspace)
        return cls(workspace, Database(workspace / STORE_FILE, read_only=True))

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def one_moment(self) -> AbstractContextManager[None]:
        """Have this thread's reads in a block see one state of the workspace; others go on writing meanwhile."""
        return self._database.one_moment()

    # Project and images

    def project(self) -> Project | None:
        """Return what the workspace is about, or None while it is empty."""
        return self._project()

    def _read_project(self) -> Project | None:
        found = self._database.rows('SELECT name, description FROM project ORDER BY "at" DESC LIMIT 1')
        if not found:
            return None
        types = self._database.rows("SELECT * FROM question_types ORDER BY position")
        return Project(found[0]["name"], found[0]["description"], tuple(record(QuestionType, row) for row in types))

    def save_project(self, project: Project, *, author: str = "import") -> None:
        """Set what the workspace is about. Changed question types are a new version of the list; former ones are kept.

        Labels keep the question and the options that they were given with.
        """
        with self._database.transaction("save the project") as cursor:
            self._project.changed()
            cursor.execute("DELETE FROM project")
            cursor.execute("INSERT INTO project VALUES (?, ?, ?)", [project.name, project.description, now()])
            before = self._database.rows("SELECT * FROM question_types ORDER BY position")
            if tuple(record(QuestionType, row) for row in before) == project.question_types:
                return
            cursor.execute("DELETE FROM question_types")
            last = "SELECT coalesce(max(version), 0) AS last FROM question_type_versions"
            version = self._database.rows(last)[0]["last"] + 1
            for position, kind in enumerate(project.question_types):
                row = [position, kind.id, kind.question, list(kind.options)]
                cursor.execute("INSERT INTO question_types VALUES (?, ?, ?, ?, ?)", [*row, kind.definition])
                kept = [version, *row, author, now(), kind.definition]
                cursor.execute("INSERT INTO question_type_versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", kept)

    def import_project(
        self,
        project: Project,
        images: Sequence[ImageRow],
        *,
        references: Sequence[AnsweredQuestion] = (),
        captions: Sequence[Caption] = (),
    ) -> None:
        """Add a project with its images, reference answers and captions: all of it, or nothing.

        What is there already stays: an image keeps its group, a group its split, a caption its text.

        Raises:
            ImportDataError: If an image comes in another group, or a group on another side than before.
            StoreError: If it cannot be saved.
        """
        with self._database.transaction("import the project") as cursor:
            Groups(self.images()).check(images)
            self.save_project(project)
            self._database.insert("images", images, ImageRow, cursor)
            self._database.insert("reference_answers", references, AnsweredQuestion, cursor)
            self.captions.add(captions)

    def images(self, split: Split | None = None) -> list[ImageRow]:
        """Return the images of a split, or all, by name."""
        rows = self._database.rows("SELECT * FROM images WHERE ? IS NULL OR split = ? ORDER BY name, id", split, split)
        return [record(ImageRow, row) for row in rows]

    def image_ratio(self) -> float | None:
        """Return width to height of the pool's middle image, or None where there is no image."""
        found = self._database.rows("SELECT median(width / height) AS ratio FROM images WHERE split = 'pool'")
        ratio: float | None = found[0]["ratio"]
        return ratio

    def image_count(self, split: Split) -> int:
        """Return how many images a split has."""
        return int(self._database.rows("SELECT count(*) AS images FROM images WHERE split = ?", split)[0]["images"])

    def image(self, image_id: ImageId) -> ImageRow:
        """Return one image.

        Raises:
            StoreError: If there is none of this id.
        """
        rows = self._database.rows("SELECT * FROM images WHERE id = ?", image_id)
        if not rows:
            raise StoreError(f"There is no image {image_id!r} in this workspace. Reload the page.")
        return record(ImageRow, rows[0])

    def references(self, split: Split | None = None) -> list[AnsweredQuestion]:
        """Return the answers that came with the data, of images of a split or of all."""
        rows = self._database.rows(
            f"SELECT {PAIR} FROM reference_answers "
            "WHERE ? IS NULL OR image_id IN (SELECT id FROM images WHERE split = ?) ORDER BY image_id, question",
            split,
            split,
        )
        return [record(AnsweredQuestion, row) for row in rows]

    # Labels

    def add_label(
        self, pair: AnsweredQuestion, *, author: str, seconds: float, suggestion: Suggestion | None = None
    ) -> int:
        """Record an expert's answer; answering the same question again is an edit. Returns the event's number.

        Args:
            pair: The question with its answer.
            author: Whose answer it is.
            seconds: How long the question was on the screen.
            suggestion: What a model had been asked for before, shown or not.

        Raises:
            StoreError: If there is no such image, or the label cannot be saved; nothing was changed.
        """
        with self._database.transaction("save the decision"):
            event_id = self._append_label(pair, author, seconds, suggestion)
            self.queue.follow_labels([pair.image_id])
            return event_id

    def _append_label(
        self, pair: AnsweredQuestion, author: str, seconds: float, suggestion: Suggestion | None = None
    ) -> int:
        self.image(pair.image_id)
        values = {**_pair_values(pair), "author": author, "seconds": seconds}
        if suggestion is not None:
            values["suggestion"] = json.dumps(asdict(suggestion), sort_keys=True)
        return self._log.append("label_events", values)

    def add_labels(self, labels: Sequence[tuple[AnsweredQuestion, str]]) -> None:
        """Record answers with their authors: all of them, or none.

        Raises:
            StoreError: If there is no such image, or they cannot be saved; nothing was changed.
        """
        with self._database.transaction("save the labels"):
            for pair, author in labels:
                self._append_label(pair, author, 0.0)
            self.queue.follow_labels({pair.image_id for pair, _ in labels})

    def undo_label(self, author: str) -> Label | None:
        """Take back the author's latest label that stands, and return it; None if there is none."""
        with self._database.transaction("undo the label"):
            rows = self._database.rows(
                "SELECT * FROM current_labels WHERE author = ? ORDER BY event_id DESC LIMIT 1", author
            )
            if not rows:
                return None
            label = _label(rows[0])
            values = {**_pair_values(label.pair), "author": author, "seconds": 0.0, "undoes": label.event_id}
            self._log.append("label_events", values)
            self.queue.follow_labels([label.pair.image_id])
            return label

    def labels(self, split: Split | None = None) -> list[Label]:
        """Return the labels as they stand, in the order in which they were given."""
        rows = self._database.rows(
            "SELECT l.* FROM current_labels l JOIN images i ON i.id = l.image_id "
            "WHERE ? IS NULL OR i.split = ? ORDER BY event_id",
            split,
            split,
        )
        return [_label(row) for row in rows]

    def label_counts(self, split: Split = "pool") -> dict[str | None, int]:
        """Return how many labels of a split's images stand, by question type; None counts questions outside them."""
        return {type_id: labels for (side, type_id), labels in self._label_counts().items() if side == split}

    def _count_labels(self) -> dict[tuple[Split, str | None], int]:
        rows = self._database.rows(
            "SELECT i.split, l.type_id, count(*) AS labels FROM current_labels l JOIN images i ON i.id = l.image_id "
            "GROUP BY ALL"
        )
        return {(row["split"], row["type_id"]): row["labels"] for row in rows}

    def unlabelled_count(self) -> int:
        """Return how many of the pool's images no label is about: those that a generator writes pairs about."""
        return self.image_count("pool") - self._labelled()

    def _count_labelled(self) -> int:
        query = (
            "SELECT count(*) AS images FROM images WHERE split = 'pool' AND id IN (SELECT image_id FROM current_labels)"
        )
        return int(self._database.rows(query)[0]["images"])

    def suggested_labels(self) -> list[tuple[str, Suggestion]]:
        """Return the answers before which a model was asked, with what it suggested."""
        query = "SELECT answer, suggestion FROM current_labels WHERE suggestion IS NOT NULL ORDER BY event_id"
        return [
            (row["answer"], record(Suggestion, json.loads(row["suggestion"]))) for row in self._database.rows(query)
        ]

    def recent_labels(self, author: str, *, limit: int) -> list[Label]:
        """Return somebody's last labels as they stand, the newest first."""
        query = "SELECT * FROM current_labels WHERE author = ? ORDER BY event_id DESC LIMIT ?"
        return [_label(row) for row in self._database.rows(query, author, limit)]

    def earlier_answers(self, labels: Sequence[Label]) -> dict[int, list[str]]:
        """Return, by a label's event, the answers that its question had before, taken back or not, the first first."""
        query = """SELECT c.event_id, list(e.answer ORDER BY e.event_id) AS answers
            FROM label_events c JOIN label_events e ON e.image_id = c.image_id AND e.undoes IS NULL
                AND e.event_id < c.event_id AND (e.question = c.question OR e.type_id = c.type_id)
            WHERE c.event_id IN (SELECT unnest(?::BIGINT[])) GROUP BY c.event_id"""
        rows = self._database.rows(query, [label.event_id for label in labels])
        return {row["event_id"]: row["answers"] for row in rows}

    # Pseudo pairs and their review

    def add_review(self, review: Review) -> int:
        """Record a decision; a later one about the same pair replaces it. Returns the event's number.

        Raises:
            StoreError: If the pair does not exist.
        """
        with self._database.transaction("save the decision"):
            before = self.queue.standing(review.candidate_id)
            if before is None and not self._database.rows("SELECT 1 FROM candidates WHERE id = ?", review.candidate_id):
                raise StoreError(
                    f"There is no pseudo pair {review.candidate_id!r}. Nothing was changed; reload the page."
                )
            if before is not None:
                review = replace(review, drawn=review.drawn or before.half)
            event_id = self._log.append("review_events", _review_values(review))
            self.queue.follow(event_id, review, before)
            return event_id

    def undo_review(self, author: str) -> Candidate | None:
        """Take back the author's latest decision that stands; return its pair, or None.

        A batch is no decision about one pair: it is taken back as a whole. Nor is one about an earlier round's pair
        taken back, which nobody would be asked again, unless it is about a dispute.
        """
        with self._database.transaction("undo the decision"):
            rows = self._database.rows(_UNDOABLE, author)
            if not rows or (rows[0]["drawn"] != "adjudication" and not self.queue.standing(rows[0]["candidate_id"])):
                return None
            undone = rows[0]
            kept = ("candidate_id", "image_id", "question", "options", "answer", "type_id", "author")
            values = {name: undone[name] for name in kept}
            event = {**values, "action": "undo", "seconds": 0.0, "undoes": undone["event_id"]}
            self._log.append("review_events", event)
            self.queue.settle([undone["candidate_id"]])
            found = self._database.rows("SELECT * FROM candidates WHERE id = ?", undone["candidate_id"])
            return record(Candidate, found[0])

    # The chain of events

    def newest_event(self) -> int:
        """Return the number of the latest decision; 0 before the first. Until there is another, none has changed."""
        return int(self._database.rows("SELECT coalesce(max(event_id), 0) AS newest FROM event_hashes")[0]["newest"])

    def verify_events(self) -> tuple[int, str]:
        """Compute the hash chain over all decisions anew; return how many there are, and the last one's hash.

        Raises:
            AuditError: At the first event that does not fit.
        """
        return verify(self._database.rows)

    def events(self) -> Iterator[Event]:
        """Yield all decisions with their hashes, in the order in which they were made."""
        return walk(self._database.rows)


def _pair_values(pair: AnsweredQuestion) -> dict[str, Any]:
    values = {field.name: getattr(pair, field.name) for field in fields(pair)}
    return {**values, "options": list(pair.options)}


def _review_values(review: Review) -> dict[str, Any]:
    within = review.within
    return {
        **_pair_values(review.pair),
        **{name: getattr(review, name) for name in _REVIEW_COLUMNS},
        "filter_from": within.at_least if within.at_least > 0 else None,
        "filter_to": within.at_most if within.at_most < 1 else None,
        "filter_captioned": within.captioned,
    }


def _label(row: Mapping[str, Any]) -> Label:
    return Label(row["event_id"], record(AnsweredQuestion, row), row["author"], row["seconds"], row["at"])
