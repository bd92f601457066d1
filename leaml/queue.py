"""The review queue: which pair comes next for whom, and how far the review of the latest round is.

Half of the pairs shown are the most informative, half a random audit; question types take turns. Where there are
several people, pairs on which two differ come first, then second independent reads. The order itself, and how each pair
stands, is a derived table (`leaml.queue_order`), so that a million pairs are no slower than a hundred.
"""

from typing import Any

from leaml.database import Database, record
from leaml.queue_order import arrange, is_arranged, note_captions, reorder, settle
from leaml.records import EVERYTHING, Candidate, Drawn, Offer, Reader, Review, ReviewCounts, Slice

_DECIDED = ("accept", "edit", "reject")
_LOOKED_UP = 64


class Queue:
    """The pairs of the latest round in the order in which they are shown."""

    def __init__(self, database: Database) -> None:
        """Take the store's database; put the pairs in order where an older version wrote it."""
        self._database = database
        with database.transaction("put the pairs in order"):
            if not is_arranged(database.rows):
                arrange(database.rows)

    # What comes next

    def offers(self, reader: Reader, *, limit: int, within: Slice = EVERYTHING) -> list[Offer]:
        """Return the next pairs for a person: what two others dispute, second reads, then open pairs."""
        offers = [Offer(self._candidate(found), "adjudication") for found in self._disputed_for(reader)[:limit]]
        for found in self._second_reads_for(reader, within, limit - len(offers)):
            offers.append(Offer(self._candidate(found), "second"))
        return offers + self._open(limit - len(offers), within)

    def next(self, limit: int, *, within: Slice = EVERYTHING) -> list[Candidate]:
        """Return the next open pairs, skipped ones last. Those that somebody has on the screen are among them."""
        return [offer.candidate for offer in self._open(limit, within)]

    def offered(self, candidate_id: str, reader: Reader) -> Offer | None:
        """Return a pair with why this person may decide about it now; None where it is decided or gone."""
        rows = self._database.rows("SELECT * FROM review_queue WHERE candidate_id = ?", candidate_id)
        drawn: Drawn | None = None
        if candidate_id in self._disputed_for(reader):
            drawn = "adjudication"
        elif rows and rows[0]["action"] in (None, "skip"):
            drawn = rows[0]["half"]
        elif rows and _wants_second_read(rows[0], reader):
            drawn = "second"
        return Offer(self._candidate(candidate_id), drawn) if drawn else None

    def half(self, candidate_id: str) -> Drawn | None:
        """Return the half that a pair of the latest round is in; None for another pair."""
        rows = self._database.rows("SELECT half FROM review_queue WHERE candidate_id = ?", candidate_id)
        return rows[0]["half"] if rows else None

    def counts(self) -> ReviewCounts:
        """Return how far the review of the latest round is; skipped pairs are open. Times are seconds a decision."""
        total = self._database.rows("SELECT count(*) AS pairs FROM review_queue")[0]["pairs"]
        row = self._database.rows(
            """SELECT count(*) FILTER (action = 'accept') AS accepted, count(*) FILTER (action = 'edit') AS edited,
                count(*) FILTER (action = 'reject') AS rejected, count(*) FILTER (action = 'skip') AS skipped,
                median(seconds) FILTER (seconds > 0) AS median_seconds
            FROM review_queue WHERE action IS NOT NULL"""
        )[0]
        return ReviewCounts(open=total - row["accepted"] - row["edited"] - row["rejected"], **row)

    def size(self, within: Slice) -> int:
        """Return how many pairs are open in a slice."""
        where, values = conditions(within)
        query = f"SELECT count(*) AS pairs FROM review_queue WHERE coalesce(action, 'skip') = 'skip' AND {where}"
        return int(self._database.rows(query, *values)[0]["pairs"])

    # Keeping up; each of these belongs in the transaction of what it follows

    def arrange(self) -> None:
        """Put the pairs of the latest round in order."""
        arrange(self._database.rows)

    def reorder(self, logit: str) -> None:
        """Show those informative pairs first whose logit, SQL over the queue's columns, is nearest to 0."""
        with self._database.transaction("order the pairs"):
            reorder(self._database.rows, logit)

    def note_captions(self) -> None:
        """Note which images have a caption by now."""
        note_captions(self._database.rows)

    def follow(self, event_id: int, review: Review) -> None:
        """Note a decision that was just appended."""
        # A pair whose first decision was taken back may have a second read already.
        earlier = "SELECT 1 FROM review_events WHERE candidate_id = ? AND drawn = 'second' LIMIT 1"
        if review.drawn in ("second", "adjudication") or self._database.rows(earlier, review.candidate_id):
            self.settle([review.candidate_id])
            return
        self._database.rows(
            "UPDATE review_queue SET event_id = ?, action = ?, author = ?, drawn = ?, seconds = ? "
            "WHERE candidate_id = ?",
            event_id, review.action, review.author, review.drawn, review.seconds, review.candidate_id,
        )  # fmt: skip

    def settle(self, candidate_ids: list[str]) -> None:
        """Note how some pairs stand after events that took others back or set them aside."""
        settle(self._database.rows, candidate_ids)

    def _open(self, limit: int, within: Slice) -> list[Offer]:
        where, values = conditions(within)
        offers: list[Offer] = []
        for state, order in (("action IS NULL", "turn, type_id"), ("action = 'skip'", "event_id")):
            if len(offers) >= limit:
                break
            query = f"SELECT candidate_id, half FROM review_queue WHERE {state} AND {where} ORDER BY {order} LIMIT ?"
            rows = self._database.rows(query, *values, limit - len(offers))
            candidates = self._candidates([row["candidate_id"] for row in rows])
            offers += [Offer(candidates[row["candidate_id"]], row["half"]) for row in rows]
        return offers

    def _candidate(self, candidate_id: str) -> Candidate:
        return self._candidates([candidate_id])[candidate_id]

    def _candidates(self, ids: list[str]) -> dict[str, Candidate]:
        # DuckDB looks written-out ids up in the index, a list only up to a few; many are joined.
        few = len(ids) <= _LOOKED_UP
        which = ", ".join("?" * len(ids)) if few else "SELECT unnest(?::VARCHAR[])"
        rows = self._database.rows(f"SELECT * FROM candidates WHERE id IN ({which})", *(ids if few else [ids]))
        return {row["id"]: record(Candidate, row) for row in rows}

    def _disputed_for(self, reader: Reader) -> list[str]:
        query = """SELECT candidate_id FROM disputed
            WHERE NOT list_contains(passed, ?) AND (? OR NOT list_contains(readers, ?)) ORDER BY candidate_id"""
        rows = self._database.rows(query, reader.name, reader.adjudicates, reader.name)
        return [row["candidate_id"] for row in rows]

    def _second_reads_for(self, reader: Reader, within: Slice, limit: int) -> list[str]:
        if reader.second_share == 0:
            return []
        where, values = conditions(within)
        query = f"""SELECT candidate_id FROM review_queue WHERE action IN {_DECIDED} AND second_author IS NULL
            AND author <> ? AND chance < ? AND coalesce(drawn, '') NOT IN ('batch', 'adjudication') AND {where}
            ORDER BY event_id LIMIT ?"""
        rows = self._database.rows(query, reader.name, reader.second_share, *values, limit)
        return [row["candidate_id"] for row in rows]


def conditions(within: Slice) -> tuple[str, list[Any]]:
    """Return a slice as an SQL condition on the queue's columns, and its values."""
    parts, values = ["true"], list[Any]()
    for condition, value, narrows in (
        ("type_id = ?", within.type_id, within.type_id is not None),
        ("agreement >= ?", within.at_least, within.at_least > 0),
        ("agreement <= ?", within.at_most, within.at_most < 1),
        ("captioned = ?", within.captioned, within.captioned is not None),
    ):
        if narrows:
            parts.append(condition)
            values.append(value)
    return " AND ".join(parts), values


def _wants_second_read(row: dict[str, Any], reader: Reader) -> bool:
    alone = row["second_author"] is None and row["author"] != reader.name
    return bool(alone and row["chance"] < reader.second_share and row["drawn"] not in ("batch", "adjudication"))
