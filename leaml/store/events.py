"""The decisions as one hash chain, so that a change behind the store's back shows.

An event's hash is the SHA-256 of the previous event's hash (64 zeros before the first) followed by the event as
canonical JSON: sorted keys, no blanks, ASCII, times in UTC with microseconds, empty columns left out. It is kept beside
the event, in `event_hashes`. What a chain alone cannot show: that its last events were cut off together with their
hashes, or that somebody computed all of it anew. For that a head noted elsewhere, or an export, must still be in it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from leaml.errors import AuditError

Query = Callable[..., list[dict[str, Any]]]
"""Runs a statement with its values and returns the rows by column name, as `Database.rows` does."""

BEFORE_THE_FIRST = "0" * 64
FIRST_TABLES = ("label_events", "review_events")
TABLES = (*FIRST_TABLES, "round_events")
_PAGE = 10_000
_NEXT = "Compare the workspace with its last backup or export."


@dataclass(frozen=True)
class Event:
    """One place in the chain.

    Attributes:
        event_id: Its number; numbers grow, with gaps where a decision could not be saved.
        content: The event's columns and its `table`; None where only the hash is left.
        hash: As kept; None where only the event is there.
    """

    event_id: int
    content: dict[str, Any] | None
    hash: str | None


def event_content(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is hashed of an event: a row as the store returns it, in values that JSON has."""
    # Empty columns are left out so that a column added by a later version does not change the hashes of old events.
    filled = {name: value for name, value in row.items() if value is not None}
    at: datetime = filled["at"]
    return {**filled, "at": at.astimezone(UTC).isoformat(timespec="microseconds"), "table": table}


def event_hash(previous: str, content: Mapping[str, Any]) -> str:
    """Return an event's hash, hexadecimal."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256((previous + canonical).encode()).hexdigest()


def head(query: Query) -> str:
    """Return the hash of the last event."""
    rows = query("SELECT hash FROM event_hashes WHERE event_id = (SELECT max(event_id) FROM event_hashes)")
    return str(rows[0]["hash"]) if rows else BEFORE_THE_FIRST


def walk(query: Query, tables: Sequence[str] = TABLES) -> Iterator[Event]:
    """Yield all events, and hashes without one, in the order of their numbers; a page in memory at a time."""
    all_ids = " UNION ALL ".join(f"SELECT event_id FROM {table}" for table in (*tables, "event_hashes"))
    after = -(2**63)  # numbers begin at 1, but one written by another hand may be below
    while True:
        page = f"SELECT event_id FROM ({all_ids}) WHERE event_id > ? ORDER BY event_id LIMIT {_PAGE}"
        last = query(f"SELECT max(event_id) AS last FROM ({page})", after)[0]["last"]
        if last is None:
            return
        within = "WHERE event_id > ? AND event_id <= ?"
        hashes = {row["event_id"]: row["hash"] for row in query(f"SELECT * FROM event_hashes {within}", after, last)}
        contents = [
            (row["event_id"], event_content(table, row))
            for table in tables
            for row in query(f"SELECT * FROM {table} {within}", after, last)
        ]
        lost = [(event_id, None) for event_id in hashes.keys() - {event_id for event_id, _ in contents}]
        for event_id, content in sorted([*contents, *lost], key=lambda found: found[0]):
            yield Event(event_id, content, hashes.get(event_id))
        after = last


def verify(query: Query) -> tuple[int, str]:
    """Compute the whole chain anew; return how many events it has, and its head.

    Raises:
        AuditError: At the first event that does not fit.
    """
    count, previous = 0, BEFORE_THE_FIRST
    for event in walk(query):
        if event.content is None:
            raise AuditError(f"Event {event.event_id} is missing: its hash is there, the decision is not. {_NEXT}")
        if event.hash is None:
            raise AuditError(f"Event {event.event_id} has no hash: it was not written by LEAML Studio. {_NEXT}")
        expected = event_hash(previous, event.content)
        if event.hash != expected:
            raise AuditError(
                f"Event {event.event_id} ({event.content['table']}, by {event.content['author']}) does not fit: it, "
                f"its hash or the event before it was changed or removed (hash {event.hash}, computed {expected}). "
                f"{_NEXT}"
            )
        count, previous = count + 1, expected
    return count, previous


def chain_existing(query: Query) -> None:
    """Give the events of a workspace that had no chain their hashes: a migration's step."""
    chain: list[tuple[int, str]] = []
    previous = BEFORE_THE_FIRST
    for event in walk(query, FIRST_TABLES):  # there were no others then
        previous = event_hash(previous, event.content or {})
        chain.append((event.event_id, previous))
    if chain:
        numbers, hashes = zip(*chain, strict=True)
        query("INSERT INTO event_hashes SELECT unnest(?), unnest(?)", list(numbers), list(hashes))
