"""Takes back many decisions at once: a batch, a session, a round, or what a person decided since a time.

Nothing is deleted: every decision that still stands gets an event of its own that undoes it, in the same chain, under
the name of who took it back. What stood before it stands again. A session is not stored: it is a person's decisions
without a pause of half an hour, named by the number of its first event.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leaml.errors import StoreError
from leaml.store.database import Database, record
from leaml.store.log import EventLog
from leaml.store.queue import Queue

PAUSE = "INTERVAL 30 MINUTE"
"""A longer pause between two decisions of a person begins a new session."""

_PAIR = ("image_id", "question", "options", "answer", "type_id")
_STANDING = "undoes IS NULL AND event_id NOT IN (SELECT undoes FROM {table} WHERE undoes IS NOT NULL)"
_EVENTS = f"""
    SELECT event_id, author, "at", undoes, {_STANDING.format(table="label_events")} AS label, false AS review
        FROM label_events
    UNION ALL SELECT event_id, author, "at", undoes, false, {_STANDING.format(table="review_events")}
        FROM review_events WHERE batch IS NULL"""
_SESSIONS = f"""
    WITH paused AS (
        SELECT *, coalesce("at" - lag("at") OVER sitting > {PAUSE}, true) AS begins FROM ({_EVENTS})
        WINDOW sitting AS (PARTITION BY author ORDER BY event_id)),
    numbered AS (
        SELECT *, sum(begins::INTEGER) OVER (PARTITION BY author ORDER BY event_id) AS sitting FROM paused)
    SELECT min(event_id) AS number, max(event_id) AS last, author, min("at") AS began, max("at") AS ended,
        count(*) FILTER (undoes IS NULL) AS decisions, count(*) FILTER (label) AS labels,
        count(*) FILTER (review) AS reviews
    FROM numbered GROUP BY author, sitting"""


@dataclass(frozen=True)
class Session:
    """A person's decisions without a long pause.

    Attributes:
        number: Of its first event; its name.
        last: Number of its last event.
        author: Whose.
        began: When the first decision was saved.
        ended: When the last was.
        decisions: How many there are, those that were taken back later included.
        labels: How many answers of them stand, those that a later one has changed included.
        reviews: How many reviews of them stand, likewise.
    """

    number: int
    last: int
    author: str
    began: datetime
    ended: datetime
    decisions: int
    labels: int
    reviews: int


@dataclass(frozen=True)
class TakenBack:
    """How many decisions a roll-back took back."""

    labels: int
    reviews: int


class Rollback:
    """Takes back decisions of one workspace."""

    def __init__(self, database: Database, log: EventLog, queue: Queue) -> None:
        """Take the store's parts."""
        self._database, self._log, self._queue = database, log, queue

    def sessions(self) -> list[Session]:
        """Return all sessions, the newest first. A batch belongs to none."""
        rows = self._database.rows(f"{_SESSIONS} HAVING count(*) FILTER (undoes IS NULL) > 0 ORDER BY number DESC")
        return [record(Session, row) for row in rows]

    def batch(self, number: int, *, by: str) -> TakenBack:
        """Take back what a batch accepted and still stands.

        Raises:
            StoreError: If there is no such batch, or none of it stands.
        """
        return self._take_back(by, f"batch {number}", reviews="batch = ?", values=[number])

    def session(self, number: int, *, by: str) -> TakenBack:
        """Take back what was decided in a session and still stands.

        Raises:
            StoreError: If there is no such session, or none of it stands.
        """
        rows = self._database.rows(f"SELECT * FROM ({_SESSIONS}) WHERE number = ?", number)
        if not rows:
            raise StoreError(f"There is no session {number}. Nothing was changed; see them with: leaml audit sessions")
        within = "author = ? AND event_id BETWEEN ? AND ?"
        values = [rows[0]["author"], number, rows[0]["last"]]
        return self._take_back(
            by, f"session {number}", labels=within, reviews=f"{within} AND batch IS NULL", values=values
        )

    def round(self, number: int, *, by: str) -> TakenBack:
        """Take back what was decided about a round's pairs and still stands, if anything."""
        of_round = "candidate_id IN (SELECT id FROM candidates WHERE round = ?)"
        return self._undone(by, reviews=of_round, values=[number])

    def person(self, author: str, since: datetime, *, by: str) -> TakenBack:
        """Take back what a person decided at or after a time and still stands, batches included.

        Raises:
            StoreError: If there is no such decision.
        """
        what = f"decision of {author!r} since {since.isoformat(timespec='minutes')}"
        within = 'author = ? AND "at" >= ?'
        return self._take_back(by, what, labels=within, reviews=within, values=[author, since])

    def _take_back(
        self, by: str, what: str, *, reviews: str, values: list[Any], labels: str | None = None
    ) -> TakenBack:
        taken = self._undone(by, reviews=reviews, values=values, labels=labels)
        if not taken.labels + taken.reviews:
            raise StoreError(f"There is no {what} that still stands. Nothing was changed.")
        return taken

    def _undone(self, by: str, *, reviews: str, values: list[Any], labels: str | None = None) -> TakenBack:
        with self._database.transaction("take back decisions"):
            undone = self._undo_labels(labels, values, by) if labels else 0
            standing = f"{reviews} AND {_STANDING.format(table='review_events')}"
            touched = self._database.rows(f"SELECT DISTINCT candidate_id FROM review_events WHERE {standing}", *values)
            columns = ("candidate_id", *_PAIR)
            taken = self._undo("review_events", columns, ", 'undo'", reviews, values, by)
            self._queue.settle([row["candidate_id"] for row in touched])
        return TakenBack(undone, taken)

    def _undo_labels(self, condition: str, values: list[Any], by: str) -> int:
        standing = f"{condition} AND {_STANDING.format(table='label_events')}"
        rows = self._database.rows(f"SELECT DISTINCT image_id FROM label_events WHERE {standing}", *values)
        undone = self._undo("label_events", _PAIR, "", condition, values, by)
        self._queue.follow_labels([row["image_id"] for row in rows])
        return undone

    def _undo(
        self, table: str, columns: tuple[str, ...], action: str, condition: str, values: list[Any], by: str
    ) -> int:
        """Append an event for each standing one that meets the condition; return how many."""
        names = ("undoes", *columns, *(("action",) if action else ()), "author", "seconds")
        select = (
            f"event_id, {', '.join(columns)}{action}, ?, 0.0 FROM {table} "
            f"WHERE {condition} AND {_STANDING.format(table=table)} ORDER BY event_id"
        )
        return self._log.append_selected(table, names, select, by, *values)
