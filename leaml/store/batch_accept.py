"""Accepts all open pairs of a slice at once, after the random audit of it has passed. Reversible as one batch.

`leaml.store.audit` says when an audit has passed, `leaml.store.rollback` takes a batch back.
"""

from dataclasses import dataclass
from datetime import datetime

from leaml.errors import StoreError
from leaml.records import Slice
from leaml.store.audit import BAR, LEAST_AUDITED, Checks
from leaml.store.database import Database, record
from leaml.store.log import EventLog
from leaml.store.queue import Queue
from leaml.store.queue_order import conditions

_COLUMNS = (
    "candidate_id", "action", "image_id", "question", "options", "answer", "type_id", "author", "seconds", "drawn",
    "filter_from", "batch",
)  # fmt: skip
_PAIR = "c.id, 'accept', c.image_id, c.question, c.options, c.answer, c.type_id"


@dataclass(frozen=True)
class Batch:
    """Pairs that were accepted together.

    Attributes:
        number: Its name.
        author: Who accepted it.
        at: When.
        type_id: Their question type.
        at_least: Their least agreement.
        accepted: How many there were.
        standing: How many of these decisions still stand.
    """

    number: int
    author: str
    at: datetime
    type_id: str
    at_least: float
    accepted: int
    standing: int


class Batches:
    """Batches of one workspace."""

    def __init__(self, database: Database, log: EventLog, queue: Queue, checks: Checks) -> None:
        """Take the store's parts."""
        self._database, self._log, self._queue, self._checks = database, log, queue, checks

    def accept(self, type_id: str, *, at_least: float, by: str) -> Batch:
        """Accept the open pairs of a question type whose agreement is at least so high; skipped ones stay open.

        Raises:
            StoreError: If the audit of these pairs has not passed, or none is open.
        """
        within = Slice(type_id, at_least=at_least)
        with self._database.transaction("accept the batch"):
            audit = self._checks.audit(within)
            if not audit.passed:
                low = f"{audit.precision.low:.2f}" if audit.precision else "unknown"
                raise StoreError(
                    f"Pairs of the type {type_id!r} with an agreement of at least {at_least} cannot be accepted as a "
                    f"batch: {audit.audited} of them were audited (at least {LEAST_AUDITED} are needed), and the lower "
                    f"end of their precision is {low} (at least {BAR} is needed). Review more."
                )
            if not audit.open:
                raise StoreError(f"No pair of the type {type_id!r} is open there. Nothing was changed.")
            where, values = conditions(within)
            chosen = f"SELECT candidate_id FROM review_queue WHERE action IS NULL AND {where}"
            ids = [row["candidate_id"] for row in self._database.rows(chosen, *values)]
            number = self._log.next_number()
            self._log.append_selected(
                "review_events", _COLUMNS,
                f"{_PAIR}, ?, 0.0, 'batch', ?, ? FROM candidates c WHERE c.id IN (SELECT unnest(?::VARCHAR[]))",
                by, at_least, number, ids,
            )  # fmt: skip
            self._queue.settle(ids)
            return next(batch for batch in self.all() if batch.number == number)

    def all(self) -> list[Batch]:
        """Return all batches, the newest first."""
        rows = self._database.rows(
            """SELECT e.batch AS number, any_value(e.author) AS author, min(e."at") AS "at",
                any_value(e.type_id) AS type_id, any_value(e.filter_from) AS at_least, count(*) AS accepted,
                count(s.event_id) AS standing
            FROM review_events e LEFT JOIN standing_reviews s ON s.event_id = e.event_id
            WHERE e.batch IS NOT NULL GROUP BY e.batch ORDER BY number DESC"""
        )
        return [record(Batch, row) for row in rows]
