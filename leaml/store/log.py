"""Appends decisions: each with the time, the next number, and its hash in the one chain over all of them."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from leaml.store.database import Database, now
from leaml.store.events import event_content, event_hash, head
from leaml.store.remembered import Remembered

Value = TypeVar("Value")


class EventLog:
    """The only way in for events; what was appended is never changed."""

    def __init__(self, database: Database) -> None:
        """Take the store's database."""
        self._database = database
        self._head = Remembered(database, lambda: head(database.rows))
        self._remembered: dict[str, list[Remembered[Any]]] = defaultdict(list)

    def remembered(self, table: str, compute: Callable[[], Value]) -> Remembered[Value]:
        """Return a value that is computed anew after each event that is appended to a table."""
        value = Remembered(self._database, compute)
        self._remembered[table].append(value)
        return value

    def append(self, table: str, values: Mapping[str, Any]) -> int:
        """Append a decision and its hash; return its number."""
        with self._database.transaction("save the decision") as cursor:
            self._changed(table)
            # The hash is of the row as the store returns it, which is what a later check reads.
            row = self._database.append(table, values)
            digest = event_hash(self._head(), event_content(table, row))
            cursor.execute("INSERT INTO event_hashes VALUES (?, ?)", [row["event_id"], digest])
            self._head.update(digest)
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
            self._changed(table)
            rows = sorted(self._database.rows(insert, now(), *values), key=lambda row: int(row["event_id"]))
            digest, digests = self._head(), []
            for row in rows:
                digest = event_hash(digest, event_content(table, row))
                digests.append(digest)
            if rows:
                numbers = [row["event_id"] for row in rows]
                cursor.execute("INSERT INTO event_hashes SELECT unnest(?), unnest(?)", [numbers, digests])
                self._head.update(digest)
            return len(rows)

    def next_number(self) -> int:
        """Return a number that no event has: the name of a batch."""
        return int(self._database.rows("SELECT nextval('event_ids') AS number")[0]["number"])

    def _changed(self, table: str) -> None:
        for value in self._remembered[table]:
            value.changed()
