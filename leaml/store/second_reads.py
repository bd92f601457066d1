"""Which decided pairs wait for a second independent read: a random share of those that people decided one by one.

Chosen by the hash of the pair's id, so that nobody can tell beforehand which they are. They are remembered, the oldest
decision first: finding them among a million pairs for each card would make fifty people wait for each other.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from leaml.records import EVERYTHING, Reader, Slice
from leaml.store.database import Database
from leaml.store.queue_order import conditions
from leaml.store.remembered import Remembered

_WAITS = """action IN ('accept', 'edit', 'reject') AND second_author IS NULL AND chance < ?
    AND coalesce(drawn, '') NOT IN ('batch', 'adjudication')"""


class SecondReads:
    """The pairs that a second person should read."""

    def __init__(self, database: Database) -> None:
        """Take the store's database."""
        self._database = database
        # By the share of pairs that are read twice: who decided each of them that waits.
        self._waiting = Remembered(database, dict[float, dict[str, str]])

    def of_others(self, reader: Reader, within: Slice, limit: int) -> list[str]:
        """Return the first pairs that this person should read: somebody else has decided them."""
        share = reader.second_share
        if share == 0:
            return []
        waiting = self._of_all(share) if within == EVERYTHING else self._read(share, within)
        return list(islice((found for found, author in waiting.items() if author != reader.name), limit))

    def follow(self, row: Mapping[str, Any], *, newest: bool) -> None:
        """Note, in the transaction, how a pair stands now.

        Args:
            row: Of `review_queue`.
            newest: Whether it stands so by a decision that was made just now.
        """
        if (known := self._waiting.kept()) is None:
            self._waiting.changed()
            return
        for share, waiting in known.items():
            waiting.pop(row["candidate_id"], None)
            if waits(row, share) and newest:
                waiting[row["candidate_id"]] = row["author"]
            elif waits(row, share):
                self._waiting.changed()  # it comes between others
                return
        self._waiting.update(known)

    def changed(self) -> None:
        """Say, in an open transaction, that other pairs wait now."""
        self._waiting.changed()

    def _of_all(self, share: float) -> dict[str, str]:
        with self._database.transaction("choose a pair"):  # so that no decision falls between reading and remembering
            known = self._waiting()
            if share not in known:
                known[share] = self._read(share, EVERYTHING)
            return known[share]

    def _read(self, share: float, within: Slice) -> dict[str, str]:
        where, values = conditions(within)
        query = f"SELECT candidate_id, author FROM review_queue WHERE {_WAITS} AND {where} ORDER BY event_id"
        return {row["candidate_id"]: row["author"] for row in self._database.rows(query, share, *values)}


def waits(row: Mapping[str, Any], share: float) -> bool:
    """Return whether a pair, a row of `review_queue`, waits for a second read where so large a share is read twice."""
    decided = row["action"] in ("accept", "edit", "reject") and row["drawn"] not in ("batch", "adjudication")
    return bool(decided and row["second_author"] is None and row["chance"] < share)
