"""The rounds of the loop: what each generator wrote, what people decided about it, and taking a round back."""

from dataclasses import dataclass
from datetime import datetime

from leaml.errors import StoreError
from leaml.records import RunId
from leaml.store.database import Database, record
from leaml.store.log import EventLog
from leaml.store.queue import Queue
from leaml.store.remembered import Remembered
from leaml.store.rollback import Rollback, TakenBack

_ROUNDS = """
    SELECT c.round AS number, count(*) AS pairs,
        count(*) FILTER (r.action = 'accept') AS accepted, count(*) FILTER (r.action = 'edit') AS edited,
        count(*) FILTER (r.action = 'reject') AS rejected,
        c.round IN (SELECT round FROM round_events) AS taken_back, max(i."at") AS at
    FROM candidates c LEFT JOIN current_reviews r ON r.candidate_id = c.id
        LEFT JOIN ingested_runs i ON i.run_id = c.run_id
    GROUP BY c.round ORDER BY c.round"""


@dataclass(frozen=True)
class Round:
    """One round.

    Attributes:
        number: From 1.
        pairs: That its generator wrote.
        accepted: Of them, unchanged.
        edited: Of them.
        rejected: Of them.
        taken_back: Whether its pairs are out of use, and the decisions about them undone.
        at: When its pairs came; None in a workspace of an older version.
    """

    number: int
    pairs: int
    accepted: int
    edited: int
    rejected: int
    taken_back: bool
    at: datetime | None

    @property
    def decided(self) -> int:
        """How many of its pairs people have decided about."""
        return self.accepted + self.edited + self.rejected


class Rounds:
    """The rounds of one workspace."""

    def __init__(self, database: Database, log: EventLog, queue: Queue, rollback: Rollback) -> None:
        """Take the store's parts."""
        self._database, self._log, self._queue, self._rollback = database, log, queue, rollback
        self._rounds = log.remembered("review_events", self._read)
        self._next = Remembered(database, self._read_next)

    def all(self) -> list[Round]:
        """Return the rounds, the first one first."""
        return list(self._rounds())

    def changed(self) -> None:
        """Note that there are other pairs now. Call it in the transaction that brings them."""
        self._rounds.changed()
        self._next.changed()

    def next_number(self) -> int:
        """Return the number of the next round, from 1. That of a round that was taken back is not given again."""
        return self._next()

    def of_run(self, run_id: RunId) -> int | None:
        """Return the round of a run's pairs; None where there are none of it."""
        (found,) = self._database.rows("SELECT max(round) AS round FROM candidates WHERE run_id = ?", run_id)
        return None if found["round"] is None else int(found["round"])

    def _read_next(self) -> int:
        return int(self._database.rows("SELECT coalesce(max(round), 0) + 1 AS round FROM candidates")[0]["round"])

    def _read(self) -> list[Round]:
        return [record(Round, row) for row in self._database.rows(_ROUNDS)]

    def taken_back(self) -> set[int]:
        """Return the numbers of the rounds that were taken back."""
        return {row["round"] for row in self._database.rows("SELECT round FROM round_events")}

    def latest(self) -> int:
        """Return the number of the latest round in use; 0 without any."""
        (found,) = self._database.rows("SELECT coalesce(round, 0) AS round FROM latest_round")
        return int(found["round"])

    def take_back(self, number: int, *, by: str) -> TakenBack:
        """Put a round's pairs out of use and undo the decisions about them; the round before it is reviewed on.

        An event in the chain says who did it. The pairs stay in the workspace, and so does each decision.

        Raises:
            StoreError: If it is not the latest round that is in use.
        """
        with self._database.transaction(f"take round {number} back"):
            latest = self.latest()
            if number > latest:
                raise StoreError(f"There is no round {number} in use. Nothing was changed; reload the page.")
            if number < latest:
                raise StoreError(
                    f"Round {number} is not the latest one in use: that is {latest}. Nothing was changed; take the "
                    "later ones back first."
                )
            undone = self._rollback.round(number, by=by)
            self._log.append("round_events", {"round": number, "action": "take_back", "author": by})
            self._queue.arrange()
            self.changed()
        return undone
