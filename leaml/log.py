"""Appends decisions: each with the time, the next number, and its hash in the one chain over all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from leaml.database import Database, now
from leaml.events import event_content, event_hash, head


class EventLog:
    """The only way in for events; what was appended is never changed."""

    def __init__(self, database: Database) -> None:
        """Take the store's database."""
        self._database = database

    def append(self, table: str, values: Mapping[str, Any]) -> int:
        """Append a decision and its hash; return its number."""
        with self._database.transaction("save the decision") as cursor:
            # The hash is of the row as the store returns it, which is what a later check reads.
            row = self._database.append(table, values)
            digest = event_hash(head(self._database.rows), event_content(table, row))
            cursor.execute("INSERT INTO event_hashes VALUES (?, ?)", [row["event_id"], digest])
            return int(row["event_id"])

    def append_selected(self, table: str, columns: Sequence[str], select: str, *values: Any) -> int:
        """Append an event for each row of a query, all of them or none; return how many.

        Args:
            table: `label_events` or `review_events`.
            columns: Of the events, without their number and time, in the query's order.
            select: What follows SELECT.
            values: Of the query.
        """
        names = ", ".join(("event_id", '"at"', *columns))
        insert = f"INSERT INTO {table} ({names}) SELECT nextval('event_ids'), ?::TIMESTAMPTZ, {select} RETURNING *"
        with self._database.transaction("save the decisions") as cursor:
            rows = sorted(self._database.rows(insert, now(), *values), key=lambda row: int(row["event_id"]))
            digest, digests = head(self._database.rows), []
            for row in rows:
                digest = event_hash(digest, event_content(table, row))
                digests.append(digest)
            if rows:
                numbers = [row["event_id"] for row in rows]
                cursor.execute("INSERT INTO event_hashes SELECT unnest(?), unnest(?)", [numbers, digests])
            return len(rows)

    def next_number(self) -> int:
        """Return a number that no event has: the name of a batch."""
        return int(self._database.rows("SELECT nextval('event_ids') AS number")[0]["number"])
