"""The workspace's store: the sole owner of the DuckDB file.

What people decide (labels, reviews) is appended as events and never changed; the current state is a view over them,
and an undo is an event of its own; all of them form one hash chain (`leaml.events`). A method that returns has
committed. One process holds the store; its threads share it: every access has a cursor of its own, and writes take
turns. Who may sign in is in `Store.users`, who has which card in `Store.leases`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from leaml.database import Database, now, record
from leaml.errors import StoreError
from leaml.events import Event, event_content, event_hash, head, verify, walk
from leaml.leases import Leases
from leaml.records import (
    AnsweredQuestion,
    Candidate,
    Caption,
    ImageId,
    ImageRow,
    Label,
    Prediction,
    Project,
    QuestionType,
    Review,
    ReviewCounts,
    RunId,
    Split,
)
from leaml.users import Users

STORE_FILE = "leaml.duckdb"

_PAIR = "image_id, question, options, answer, type_id"
_LATEST_ROUND = "(SELECT max(round) FROM candidates)"
_DECIDED = "SELECT candidate_id FROM current_reviews WHERE action <> 'skip'"
_QUEUE = f"""
    WITH ranked AS (
        -- Ranked before the decided pairs are left out, so that the turn of the types goes on as decisions come in.
        SELECT *, row_number() OVER (PARTITION BY type_id ORDER BY
            -- Distance of the judge's probability from chance: small where it does not know.
            coalesce(abs(agreement - 1.0 / greatest(len(options), 1)), 0.5), id) AS place
        FROM candidates WHERE round = {_LATEST_ROUND})
    SELECT c.* FROM ranked c LEFT JOIN current_reviews r ON r.candidate_id = c.id
    WHERE r.action IS NULL OR r.action = 'skip'
    ORDER BY r.event_id NULLS FIRST, c.place, c.type_id, c.id LIMIT ?
"""


@dataclass(frozen=True)
class ModelRow:
    """A trained and evaluated model.

    Attributes:
        run_id: The run that made it.
        method: One of `leaml.records.METHODS`.
        path: Its delta, relative to the workspace; empty for the base model.
        round: The loop's round.
        labels: How many labels it saw.
        pairs: How many pseudo pairs it saw.
        created_at: When it was taken over.
    """

    run_id: RunId
    method: str
    path: str
    round: int
    labels: int
    pairs: int
    created_at: datetime


class Store:
    """All that a workspace knows. Open it with `Store.open`; close it, or use it as a context manager."""

    def __init__(self, workspace: Path, database: Database) -> None:
        """Take an open database; use `Store.open`."""
        self.workspace = workspace
        self._database = database
        self.users = Users(database)
        self.leases = Leases(database)

    @classmethod
    def open(cls, workspace: Path) -> Self:
        """Open a workspace, made where there is none, and bring its schema up to date.

        Raises:
            StoreLockedError: If another process has it open.
            StoreError: If it cannot be opened or made.
        """
        try:
            for name in ("images", "runs", "tmp"):
                (workspace / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"Cannot make the workspace {workspace}: {error}. Choose another folder.") from error
        return cls(workspace, Database(workspace / STORE_FILE))

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Project and images

    def project(self) -> Project | None:
        """Return what the workspace is about, or None while it is empty."""
        found = self._database.rows('SELECT name, description FROM project ORDER BY "at" DESC LIMIT 1')
        if not found:
            return None
        types = self._database.rows("SELECT id, question, options FROM question_types ORDER BY position")
        return Project(found[0]["name"], found[0]["description"], tuple(record(QuestionType, row) for row in types))

    def save_project(self, project: Project) -> None:
        """Set what the workspace is about, its question types included."""
        with self._database.transaction("save the project") as cursor:
            cursor.execute("DELETE FROM project")
            cursor.execute("INSERT INTO project VALUES (?, ?, ?)", [project.name, project.description, now()])
            cursor.execute("DELETE FROM question_types")
            for position, kind in enumerate(project.question_types):
                values = [position, kind.id, kind.question, list(kind.options)]
                cursor.execute("INSERT INTO question_types VALUES (?, ?, ?, ?)", values)

    def import_project(
        self,
        project: Project,
        images: Sequence[ImageRow],
        *,
        references: Sequence[AnsweredQuestion] = (),
        captions: Sequence[Caption] = (),
    ) -> None:
        """Add a project with its images, reference answers and captions: all of it, or nothing.

        What is there already stays: an image keeps its split, a caption its text.
        """
        with self._database.transaction("import the project") as cursor:
            self.save_project(project)
            self._database.insert("images", images, ImageRow, cursor)
            self._database.insert("reference_answers", references, AnsweredQuestion, cursor)
            self._database.insert("captions", captions, Caption, cursor)

    def images(self, split: Split | None = None) -> list[ImageRow]:
        """Return the images of a split, or all, by name."""
        rows = self._database.rows("SELECT * FROM images WHERE ? IS NULL OR split = ? ORDER BY name, id", split, split)
        return [record(ImageRow, row) for row in rows]

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
            f"SELECT {_PAIR} FROM reference_answers "
            "WHERE ? IS NULL OR image_id IN (SELECT id FROM images WHERE split = ?) ORDER BY image_id, question",
            split,
            split,
        )
        return [record(AnsweredQuestion, row) for row in rows]

    def captions(self) -> list[Caption]:
        """Return the teachers' captions by image, the newest last; an image has one of each teacher and prompt."""
        query = 'SELECT * FROM captions ORDER BY image_id, "at" NULLS FIRST, teacher, prompt'
        return [record(Caption, row) for row in self._database.rows(query)]

    def caption(self, image_id: ImageId) -> Caption | None:
        """Return the newest caption of one image, or None."""
        query = 'SELECT * FROM captions WHERE image_id = ? ORDER BY "at" DESC NULLS LAST, teacher DESC, prompt DESC'
        rows = self._database.rows(query, image_id)
        return record(Caption, rows[0]) if rows else None

    # Labels

    def add_label(self, pair: AnsweredQuestion, *, author: str, seconds: float) -> int:
        """Record an expert's answer; answering the same question again is an edit. Returns the event's number.

        Raises:
            StoreError: If there is no such image, or the label cannot be saved; nothing was changed.
        """
        self.image(pair.image_id)
        values = {**_pair_values(pair), "author": author, "seconds": seconds}
        return self._append("label_events", values)

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
            self._append("label_events", values)
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

    # Pseudo pairs and their review

    def candidates(self, *, run_id: RunId | None = None) -> list[Candidate]:
        """Return the pseudo pairs of one run, or all."""
        query = "SELECT * FROM candidates WHERE ? IS NULL OR run_id = ? ORDER BY id"
        return [record(Candidate, row) for row in self._database.rows(query, run_id, run_id)]

    def review_queue(self, limit: int = 4) -> list[Candidate]:
        """Return the next open pairs of the latest round: question types in turn, the least sure first, skipped last.

        Those that somebody has on the screen are among them.
        """
        return [record(Candidate, row) for row in self._database.rows(_QUEUE, limit)]

    def add_review(self, review: Review) -> int:
        """Record a decision; a later one about the same pair replaces it. Returns the event's number.

        Raises:
            StoreError: If the pair does not exist.
        """
        if not self._database.rows("SELECT id FROM candidates WHERE id = ?", review.candidate_id):
            raise StoreError(f"There is no pseudo pair {review.candidate_id!r}. Nothing was changed; reload the page.")
        values = {name: getattr(review, name) for name in ("candidate_id", "action", "reason", "author", "seconds")}
        return self._append("review_events", {**_pair_values(review.pair), **values})

    def undo_review(self, author: str) -> Candidate | None:
        """Take back the author's latest decision that stands; return its pair, open again, or None."""
        with self._database.transaction("undo the decision"):
            rows = self._database.rows(
                "SELECT * FROM current_reviews WHERE author = ? ORDER BY event_id DESC LIMIT 1", author
            )
            if not rows:
                return None
            undone = rows[0]
            kept = ("candidate_id", "image_id", "question", "options", "answer", "type_id", "author")
            values = {name: undone[name] for name in kept}
            event = {**values, "action": "undo", "seconds": 0.0, "undoes": undone["event_id"]}
            self._append("review_events", event)
            found = self._database.rows("SELECT * FROM candidates WHERE id = ?", undone["candidate_id"])
            return record(Candidate, found[0])

    def reviewed_pairs(self) -> list[AnsweredQuestion]:
        """Return the accepted and edited pairs as they stand, each image and question once, the latest."""
        rows = self._database.rows(
            f"SELECT {_PAIR} FROM current_reviews WHERE action IN ('accept', 'edit') "
            "QUALIFY row_number() OVER (PARTITION BY image_id, question ORDER BY event_id DESC) = 1 ORDER BY event_id"
        )
        return [record(AnsweredQuestion, row) for row in rows]

    def pseudo_pairs(self) -> list[Candidate]:
        """Return the latest round's pairs that nobody has decided about."""
        query = f"SELECT * FROM candidates WHERE round = {_LATEST_ROUND} AND id NOT IN ({_DECIDED}) ORDER BY id"
        return [record(Candidate, row) for row in self._database.rows(query)]

    def review_counts(self) -> ReviewCounts:
        """Return how far the review of the latest round is; skipped pairs are open. Times are seconds a decision."""
        row = self._database.rows(
            f"""SELECT count(*) FILTER (r.action IS NULL OR r.action = 'skip') AS open,
                count(*) FILTER (r.action = 'accept') AS accepted, count(*) FILTER (r.action = 'edit') AS edited,
                count(*) FILTER (r.action = 'reject') AS rejected, count(*) FILTER (r.action = 'skip') AS skipped,
                median(r.seconds) FILTER (r.seconds > 0) AS median_seconds
            FROM candidates c LEFT JOIN current_reviews r ON r.candidate_id = c.id WHERE c.round = {_LATEST_ROUND}"""
        )[0]
        return ReviewCounts(**row)

    # The chain of events

    def verify_events(self) -> tuple[int, str]:
        """Compute the hash chain over all decisions anew; return how many there are, and the last one's hash.

        Raises:
            AuditError: At the first event that does not fit.
        """
        return verify(self._database.rows)

    def events(self) -> Iterator[Event]:
        """Yield all decisions with their hashes, in the order in which they were made."""
        return walk(self._database.rows)

    def _append(self, table: str, values: Mapping[str, Any]) -> int:
        """Append a decision and its hash; return its number."""
        with self._database.transaction("save the decision") as cursor:
            # The hash is of the row as the store returns it, which is what a later check reads.
            row = self._database.append(table, values)
            digest = event_hash(head(self._database.rows), event_content(table, row))
            cursor.execute("INSERT INTO event_hashes VALUES (?, ?)", [row["event_id"], digest])
            return int(row["event_id"])

    # Runs and models

    def round(self) -> int:
        """Return the round that a new generator would belong to, from 1."""
        rows = self._database.rows("SELECT count(*) AS runs FROM ingested_runs WHERE kind = 'generator'")
        return int(rows[0]["runs"]) + 1

    def ingested(self) -> set[RunId]:
        """Return the runs whose outputs are in the store."""
        return {RunId(row["run_id"]) for row in self._database.rows("SELECT run_id FROM ingested_runs")}

    def add_caption_run(self, run_id: RunId, captions: Sequence[Caption]) -> None:
        """Take over a run that ended with its captions; doing it twice changes nothing."""
        with self._database.transaction(f"take over the run {run_id}") as cursor:
            self.add_captions(captions)
            cursor.execute("INSERT OR IGNORE INTO ingested_runs VALUES (?, 'captions', ?)", [run_id, now()])

    def add_captions(self, captions: Sequence[Caption]) -> None:
        """Keep captions; one that is there already, of the same teacher and prompt, keeps its text."""
        with self._database.transaction("save the captions") as cursor:
            self._database.insert("captions", captions, Caption, cursor)

    def add_generator_run(self, run_id: RunId, candidates: Sequence[Candidate]) -> None:
        """Take over what a generator's run wrote; doing it twice changes nothing."""
        with self._database.transaction(f"take over the run {run_id}") as cursor:
            self._database.insert("candidates", candidates, Candidate, cursor)
            cursor.execute("INSERT OR IGNORE INTO ingested_runs VALUES (?, 'generator', ?)", [run_id, now()])

    def add_model(self, model: ModelRow, predictions: Sequence[Prediction]) -> None:
        """Take over a model and its answers to the test questions; doing it twice changes nothing."""
        with self._database.transaction(f"take over the run {model.run_id}") as cursor:
            if cursor.execute("SELECT 1 FROM ingested_runs WHERE run_id = ?", [model.run_id]).fetchone():
                return
            self._database.insert("models", [model], ModelRow, cursor)
            self._database.insert("predictions", predictions, Prediction, cursor, numbered_by=model.run_id)
            cursor.execute("INSERT INTO ingested_runs VALUES (?, 'model', ?)", [model.run_id, now()])

    def models(self) -> list[ModelRow]:
        """Return the models, oldest first."""
        rows = self._database.rows("SELECT * FROM models ORDER BY created_at, run_id")
        return [record(ModelRow, row) for row in rows]

    def predictions(self, run_id: RunId) -> list[Prediction]:
        """Return a model's answers to the test questions."""
        rows = self._database.rows("SELECT * FROM predictions WHERE run_id = ? ORDER BY position", run_id)
        return [record(Prediction, row) for row in rows]


def _pair_values(pair: AnsweredQuestion) -> dict[str, Any]:
    values = {field.name: getattr(pair, field.name) for field in fields(pair)}
    return {**values, "options": list(pair.options)}


def _label(row: Mapping[str, Any]) -> Label:
    return Label(row["event_id"], record(AnsweredQuestion, row), row["author"], row["seconds"], row["at"])
