"""The review queue: which pair comes next for whom, and how far the review of the latest round is.

Half of the pairs shown are the most informative, half a random audit; question types take turns, by their quotas.
Where there are several people, pairs on which two differ come first, then second independent reads. The order itself,
and how each pair stands, is a derived table (`leaml.queue_order`); the head of that order and the counts are
remembered, and kept up decision by decision, so that a million pairs are no slower than a hundred.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from leaml.database import Database, record
from leaml.queue_order import arrange, is_arranged, note_captions, reorder, settle
from leaml.records import EVERYTHING, Candidate, Drawn, Half, Offer, Reader, Review, ReviewAction, ReviewCounts, Slice
from leaml.remembered import Remembered
from leaml.tally import Tally

_DECIDED = ("accept", "edit", "reject")
_LOOKED_UP = 64
_HEAD = 64
"""Pairs of each slice's order that are remembered beyond those that were asked for."""
_SLICES = 16
"""Slices whose order is remembered."""
_KNOWN = 2048
"""Pairs whose content is remembered."""


@dataclass(frozen=True)
class Standing:
    """How a pair of the latest round stands.

    Attributes:
        half: The half of the queue that it is in.
        action: The decision that counts; None where there is none.
        seconds: What that decision took.
        read_twice: Whether somebody has read it a second time, even if that was taken back.
    """

    half: Half
    action: ReviewAction | None
    seconds: float | None
    read_twice: bool


@dataclass(frozen=True)
class Head:
    """The pairs of a slice that come first among those that nobody has decided about.

    Attributes:
        halves: Of each pair, in the order in which they are shown.
        whole: Whether there are no others.
    """

    halves: dict[str, Half]
    whole: bool


class Queue:
    """The pairs of the latest round in the order in which they are shown."""

    def __init__(self, database: Database) -> None:
        """Take the store's database; put the pairs in order where an older version wrote it."""
        self._database = database
        self._tally = Remembered(database, self._count)
        self._heads = Remembered(database, dict[Slice, Head])
        self._disputed = Remembered(database, lambda: database.rows("SELECT * FROM disputed ORDER BY candidate_id"))
        self._known: dict[str, Candidate] = {}  # what a generator wrote never changes
        with database.transaction("put the pairs in order"):
            if not is_arranged(database.rows):
                arrange(database.rows)

    # What comes next

    def offers(
        self, reader: Reader, *, limit: int, within: Slice = EVERYTHING, others: Collection[str] = ()
    ) -> list[Offer]:
        """Return the next pairs for a person: what two others dispute, second reads, then open pairs.

        Args:
            reader: The person.
            limit: At most so many.
            within: Of which slice.
            others: Pairs that other people have, which are left out.
        """
        disputed, enough = self._disputed_for(reader), limit + len(others)
        second = self._second_reads_for(reader, within, enough) if len(disputed) < enough else []
        drawn: list[tuple[str, Drawn]] = [(found, "adjudication") for found in disputed]
        drawn += [(found, "second") for found in second]
        chosen = [(found, why) for found, why in drawn if found not in others][:limit]
        candidates = self._candidates([found for found, _ in chosen])
        offers = [Offer(candidates[found], why) for found, why in chosen]
        return offers + self._open(limit - len(offers), within, others)

    def next(self, limit: int, *, within: Slice = EVERYTHING) -> list[Candidate]:
        """Return the next open pairs, skipped ones last. Those that somebody has on the screen are among them."""
        return [offer.candidate for offer in self._open(limit, within)]

    def offered(self, candidate_id: str, reader: Reader) -> Offer | None:
        """Return a pair with why this person may decide about it now; None where it is decided or gone."""
        query = """SELECT half, action, author, second_author, chance, drawn FROM review_queue
            WHERE candidate_id = ?"""
        rows = self._database.rows(query, candidate_id)
        drawn: Drawn | None = None
        if candidate_id in self._disputed_for(reader):
            drawn = "adjudication"
        elif rows and rows[0]["action"] in (None, "skip"):
            drawn = rows[0]["half"]
        elif rows and _wants_second_read(rows[0], reader):
            drawn = "second"
        return Offer(self._candidate(candidate_id), drawn) if drawn else None

    def standing(self, candidate_id: str) -> Standing | None:
        """Return how a pair of the latest round stands; None for another pair."""
        query = """SELECT half, action, seconds,
                EXISTS (FROM review_events WHERE candidate_id = ? AND drawn = 'second') AS read_twice
            FROM review_queue WHERE candidate_id = ?"""
        rows = self._database.rows(query, candidate_id, candidate_id)
        return record(Standing, rows[0]) if rows else None

    def counts(self) -> ReviewCounts:
        """Return how far the review of the latest round is; skipped pairs are open. Times are seconds a decision."""
        return self._tally().counts()

    def size(self, within: Slice) -> int:
        """Return how many pairs are open in a slice."""
        where, values = conditions(within)
        query = f"SELECT count(*) AS pairs FROM review_queue WHERE coalesce(action, 'skip') = 'skip' AND {where}"
        return int(self._database.rows(query, *values)[0]["pairs"])

    def quotas(self) -> dict[str, int]:
        """Return the quotas that were set, by question type; the others are 1."""
        rows = self._database.rows("SELECT * FROM review_quotas ORDER BY type_id")
        return {row["type_id"]: row["cards"] for row in rows}

    # Keeping up; each of these belongs in the transaction of what it follows

    def arrange(self) -> None:
        """Put the pairs of the latest round in order."""
        arrange(self._database.rows)
        for remembered in (self._tally, self._heads, self._disputed):
            remembered.changed()

    def reorder(self, logit: str) -> None:
        """Show those informative pairs first whose logit is nearest to 0: SQL, see `queue_order.reorder`."""
        with self._database.transaction("order the pairs"):
            reorder(self._database.rows, logit)
            self._heads.changed()

    def set_quotas(self, cards: Mapping[str, int]) -> None:
        """Show a question type so many times as often as one with a quota of 1; with 0, after all others.

        The order is made anew: one that followed the acceptance model has to follow it again.
        """
        with self._database.transaction("set the quotas") as cursor:
            cursor.execute("DELETE FROM review_quotas")
            for type_id, count in cards.items():
                cursor.execute("INSERT INTO review_quotas VALUES (?, ?)", [type_id, count])
            self.arrange()

    def note_captions(self) -> None:
        """Note which images have a caption by now."""
        note_captions(self._database.rows)
        self._heads.changed()

    def follow(self, event_id: int, review: Review, before: Standing | None) -> None:
        """Note a decision that was just appended; `before` is how its pair stood."""
        # A pair whose first decision was taken back may have a second read already; one of an earlier round is not
        # in the queue any more, but two readers may differ about it.
        if review.drawn in ("second", "adjudication") or before is None or before.read_twice:
            self.settle([review.candidate_id])
            return
        self._database.rows(
            "UPDATE review_queue SET event_id = ?, action = ?, author = ?, drawn = ?, seconds = ? "
            "WHERE candidate_id = ?",
            event_id, review.action, review.author, review.drawn, review.seconds, review.candidate_id,
        )  # fmt: skip
        if (tally := self._tally.kept()) is None:
            self._tally.changed()
        else:
            tally.move((before.action, before.seconds), (review.action, review.seconds))
            self._tally.update(tally)
        if (heads := self._heads.kept()) is None:
            self._heads.changed()
        else:
            for head in heads.values():
                head.halves.pop(review.candidate_id, None)
            self._heads.update(heads)

    def settle(self, candidate_ids: list[str]) -> None:
        """Note how some pairs stand after events that took others back or set them aside."""
        settle(self._database.rows, candidate_ids)
        for remembered in (self._tally, self._heads, self._disputed):
            remembered.changed()

    def _open(self, limit: int, within: Slice, others: Collection[str] = ()) -> list[Offer]:
        halves = self._unseen(limit, within, others)
        if len(halves) < limit:
            skipped = self._ordered("action = 'skip'", "event_id", within, limit + len(others))
            free = [found for found in skipped if found not in others][: limit - len(halves)]
            halves |= {found: skipped[found] for found in free}
        candidates = self._candidates(list(halves))
        return [Offer(candidates[found], half) for found, half in halves.items()]

    def _unseen(self, limit: int, within: Slice, others: Collection[str]) -> dict[str, Half]:
        """Return the first pairs that nobody has decided about or skipped, with their halves."""
        with self._database.transaction("choose a pair"):  # so that no decision falls between reading and remembering
            heads = self._heads()
            head, size = heads.get(within), limit + len(others) + _HEAD
            found = [one for one in head.halves if one not in others][:limit] if head else []
            if head is None or (len(found) < limit and not head.whole):
                halves = self._ordered("action IS NULL", "turn, type_id", within, size)
                head = Head(halves, whole=len(halves) < size)
                found = [one for one in head.halves if one not in others][:limit]
                if limit <= _HEAD:
                    if len(heads) >= _SLICES:
                        heads.clear()
                    heads[within] = head
            return {one: head.halves[one] for one in found}

    def _ordered(self, state: str, order: str, within: Slice, limit: int) -> dict[str, Half]:
        where, values = conditions(within)
        # By row number first: sorting whole rows takes three times as long.
        first = f"SELECT rowid FROM review_queue WHERE {state} AND {where} ORDER BY {order} LIMIT ?"
        query = f"SELECT candidate_id, half FROM review_queue WHERE rowid IN ({first}) ORDER BY {order}"
        return {row["candidate_id"]: row["half"] for row in self._database.rows(query, *values, limit)}

    def _count(self) -> Tally:
        (total,) = self._database.rows("SELECT count(*) AS pairs FROM review_queue")
        rows = self._database.rows(
            "SELECT action, count(*) AS pairs, list(seconds) AS seconds FROM review_queue "
            "WHERE action IS NOT NULL GROUP BY action"
        )
        seconds = (value for row in rows for value in row["seconds"] if value is not None)
        return Tally(total["pairs"], {row["action"]: row["pairs"] for row in rows}, seconds)

    def _candidate(self, candidate_id: str) -> Candidate:
        return self._candidates([candidate_id])[candidate_id]

    def _candidates(self, ids: list[str]) -> dict[str, Candidate]:
        if len(ids) > _LOOKED_UP:
            return self._read_candidates(ids)
        found = {one: known for one in ids if (known := self._known.get(one))}
        if missing := [one for one in ids if one not in found]:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            found |= (fresh := self._read_candidates(missing))
            self._known |= fresh
        return found

    def _read_candidates(self, ids: list[str]) -> dict[str, Candidate]:
        # DuckDB looks written-out ids up in the index, a list only up to a few; many are joined.
        few = len(ids) <= _LOOKED_UP
        which = ", ".join("?" * len(ids)) if few else "SELECT unnest(?::VARCHAR[])"
        rows = self._database.rows(f"SELECT * FROM candidates WHERE id IN ({which})", *(ids if few else [ids]))
        return {row["id"]: record(Candidate, row) for row in rows}

    def _disputed_for(self, reader: Reader) -> list[str]:
        return [
            row["candidate_id"]
            for row in self._disputed()
            if reader.name not in row["passed"] and (reader.adjudicates or reader.name not in row["readers"])
        ]

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
