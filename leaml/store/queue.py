"""The review queue: which pair comes next for whom, and how far the review of the latest round is.

Half of the pairs shown are the most informative, half a random audit; question types take turns, by their quotas.
Where there are several people, pairs on which two differ come first, then second independent reads; what somebody
skips of either comes to them again among the skipped ones. The order itself,
and how each pair stands, is a derived table (`leaml.store.queue_order`); the head of that order and the counts are
remembered, and kept up decision by decision, so that a million pairs are no slower than a hundred. Nobody is asked
about a pair whose question has a label: it is set aside, and comes back when the label is taken back. Second reads go
on: they tell how far readers agree, about a random share of what was decided.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from leaml.records import EVERYTHING, Candidate, Drawn, Half, Offer, Reader, Review, ReviewAction, ReviewCounts, Slice
from leaml.store.database import Database, record
from leaml.store.queue_order import (
    LABELLED,
    LOOKED_UP,
    among,
    arrange,
    conditions,
    is_arranged,
    labelled,
    note_captions,
    of_images,
    reorder,
    settle,
)
from leaml.store.remembered import Remembered
from leaml.store.second_reads import SecondReads, waits
from leaml.store.tally import Tally

_STANDS = "candidate_id, half, chance, action, author, drawn, seconds, second_author"
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
        chance: Drawn from 0 to 1 by its id: it is read twice where that is below the share that is.
        action: The decision that counts; None where there is none, `labelled` where a label counts instead.
        seconds: What that decision took.
        read_twice: Whether somebody has read it a second time, even if that was taken back.
    """

    half: Half
    chance: float
    action: ReviewAction | Literal["labelled"] | None
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
        self._second_reads = SecondReads(database)
        self._disputed = Remembered(database, self._read_disputed)
        self._passed = Remembered(database, self._read_passed)
        self._known: dict[str, Candidate] = {}  # what a generator wrote never changes
        with database.transaction("put the pairs in order"):
            if not is_arranged(database.rows):
                arrange(database.rows)

    # What comes next

    def offers(
        self, reader: Reader, *, limit: int, within: Slice = EVERYTHING, others: Collection[str] = ()
    ) -> list[Offer]:
        """Return the next pairs for a person: what two others dispute, second reads, open pairs, then what was skipped.

        Args:
            reader: The person.
            limit: At most so many.
            within: Of which slice.
            others: Pairs that other people have, which are left out.
        """
        disputed, passed = self._disputed_for(reader), self._passed().get(reader.name, {})
        enough = limit + len(others) + len(passed)
        second = self._second_reads.of_others(reader, within, enough) if len(disputed) < enough else []
        drawn: list[tuple[str, Drawn]] = [(found, "adjudication") for found in disputed]
        drawn += [(found, "second") for found in second]
        free = [(found, why) for found, why in drawn if found not in others]
        first = dict([(found, why) for found, why in free if found not in passed][:limit])
        again = {found: (passed[found], why) for found, why in free if found in passed}
        return self._offers({**first, **self._open(limit - len(first), within, others, again)})

    def next(self, limit: int, *, within: Slice = EVERYTHING) -> list[Candidate]:
        """Return the next open pairs, skipped ones last. Those that somebody has on the screen are among them."""
        return [offer.candidate for offer in self._offers(self._open(limit, within, (), {}))]

    def offered(self, candidate_id: str, reader: Reader) -> Offer | None:
        """Return a pair with why this person may decide about it now; None where it is decided, labelled or gone."""
        rows = self._stands([candidate_id])
        drawn: Drawn | None = None
        if candidate_id in self._disputed_for(reader):
            drawn = "adjudication"
        elif rows and rows[0]["action"] in (None, "skip"):
            drawn = rows[0]["half"]
        elif rows and waits(rows[0], reader.second_share) and rows[0]["author"] != reader.name:
            drawn = "second"
        return Offer(self._candidate(candidate_id), drawn) if drawn else None

    def standing(self, candidate_id: str) -> Standing | None:
        """Return how a pair of the latest round stands; None for another pair."""
        query = """SELECT half, chance, action, seconds,
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
        for remembered in (self._tally, self._heads, self._disputed, self._passed, self._second_reads):
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
        # in the queue any more, but two readers may differ about it; one that was labelled stays so if it is skipped.
        again = review.drawn in ("second", "adjudication")
        if again or before is None or before.read_twice or before.action == LABELLED:
            self.settle([review.candidate_id])
            return
        self._database.rows(
            "UPDATE review_queue SET event_id = ?, action = ?, author = ?, drawn = ?, seconds = ? "
            "WHERE candidate_id = ?",
            event_id, review.action, review.author, review.drawn, review.seconds, review.candidate_id,
        )  # fmt: skip
        made = {name: getattr(review, name) for name in ("candidate_id", "action", "author", "drawn", "seconds")}
        after = {**made, "chance": before.chance, "second_author": None}
        self._keep_up([(before.action, before.seconds)], [after], newest=True)

    def follow_labels(self, image_ids: Collection[str]) -> None:
        """Note that questions about some images have been labelled, or their labels taken back."""
        self._disputed.changed()
        rows = of_images(self._database.rows, image_ids)
        undecided = {row["candidate_id"]: row["action"] for row in rows if row["action"] in (None, "skip", LABELLED)}
        aside = labelled(self._database.rows, [*undecided])
        if others := [found for found, action in undecided.items() if (action == LABELLED) != (found in aside)]:
            self.settle(others)

    def settle(self, candidate_ids: list[str]) -> None:
        """Note how some pairs stand after events that took others back or set them aside."""
        self._disputed.changed()
        self._passed.changed()
        if len(candidate_ids) > LOOKED_UP:
            settle(self._database.rows, candidate_ids)
            for remembered in (self._tally, self._heads, self._second_reads):
                remembered.changed()
            return
        before = [(row["action"], row["seconds"]) for row in self._stands(candidate_ids)]
        settle(self._database.rows, candidate_ids)
        self._keep_up(before, self._stands(candidate_ids), newest=False)

    def _stands(self, candidate_ids: list[str]) -> list[dict[str, Any]]:
        which = ", ".join("?" * len(candidate_ids))
        query = f"SELECT {_STANDS} FROM review_queue WHERE candidate_id IN ({which}) ORDER BY candidate_id"
        return self._database.rows(query, *candidate_ids)

    def _keep_up(
        self, before: list[tuple[str | None, float | None]], after: list[dict[str, Any]], *, newest: bool
    ) -> None:
        """Bring what is remembered up to date with pairs that stand otherwise now.

        Args:
            before: Their actions and seconds until now.
            after: The same pairs, rows of `review_queue`.
            newest: Whether they stand so by a decision that was made just now.
        """
        actions = {*(action for action, _ in before), *(row["action"] for row in after)}
        if (tally := self._tally.kept()) is None or LABELLED in actions:  # which are not counted among the pairs
            self._tally.changed()
        else:
            for was, row in zip(before, after, strict=True):
                tally.move(was, (row["action"], row["seconds"]))
            self._tally.update(tally)
        heads = self._heads.kept()
        if heads is None or any(row["action"] is None for row in after):  # such a pair comes between others
            self._heads.changed()
        else:
            for head in heads.values():
                for row in after:
                    head.halves.pop(row["candidate_id"], None)
            self._heads.update(heads)
        for row in after:
            self._second_reads.follow(row, newest=newest)

    def _offers(self, drawn: Mapping[str, Drawn]) -> list[Offer]:
        candidates = self._candidates(list(drawn))
        return [Offer(candidates[found], why) for found, why in drawn.items()]

    def _open(
        self, limit: int, within: Slice, others: Collection[str], again: Mapping[str, tuple[int, Drawn]]
    ) -> dict[str, Drawn]:
        """Return the first open pairs with why they are shown, skipped ones last, in the order of skipping.

        Args:
            limit: At most so many.
            within: Of which slice.
            others: Which are left out.
            again: Second reads and disputes that come among the skipped ones, with the events that skipped them.
        """
        found: dict[str, Drawn] = {**self._unseen(limit, within, others)}
        if len(found) < limit:
            rows = self._ordered("action = 'skip'", "event_id", within, limit + len(others))
            skipped: dict[str, tuple[int, Drawn]] = {
                row["candidate_id"]: (row["event_id"], row["half"]) for row in rows if row["candidate_id"] not in others
            }
            last = sorted((event, one, why) for one, (event, why) in {**skipped, **again}.items())
            found |= {one: why for _, one, why in last[: limit - len(found)]}
        return found

    def _unseen(self, limit: int, within: Slice, others: Collection[str]) -> dict[str, Half]:
        """Return the first pairs that nobody has decided about or skipped, with their halves."""
        with self._database.transaction("choose a pair"):  # so that no decision falls between reading and remembering
            heads = self._heads()
            head, size = heads.get(within), limit + len(others) + _HEAD
            found = [one for one in head.halves if one not in others][:limit] if head else []
            if head is None or (len(found) < limit and not head.whole):
                rows = self._ordered("action IS NULL", "turn, type_id", within, size)
                halves: dict[str, Half] = {row["candidate_id"]: row["half"] for row in rows}
                head = Head(halves, whole=len(halves) < size)
                found = [one for one in head.halves if one not in others][:limit]
                if limit <= _HEAD:
                    if len(heads) >= _SLICES:
                        heads.clear()
                    heads[within] = head
            return {one: head.halves[one] for one in found}

    def _ordered(self, state: str, order: str, within: Slice, limit: int) -> list[dict[str, Any]]:
        where, values = conditions(within)
        # By row number first: sorting whole rows takes three times as long.
        first = f"SELECT rowid FROM review_queue WHERE {state} AND {where} ORDER BY {order} LIMIT ?"
        query = f"SELECT candidate_id, half, event_id FROM review_queue WHERE rowid IN ({first}) ORDER BY {order}"
        return self._database.rows(query, *values, limit)

    def _count(self) -> Tally:
        (total,) = self._database.rows("SELECT count(*) AS pairs FROM review_queue")
        rows = self._database.rows(
            "SELECT action, list(seconds) AS seconds FROM review_queue WHERE action IS NOT NULL GROUP BY action"
        )
        actions = {row["action"]: row["seconds"] for row in rows}
        aside = actions.pop(LABELLED, [])
        return Tally(total["pairs"] - len(aside), actions)

    def _candidate(self, candidate_id: str) -> Candidate:
        return self._candidates([candidate_id])[candidate_id]

    def _candidates(self, ids: list[str]) -> dict[str, Candidate]:
        if len(ids) > LOOKED_UP:
            return self._read_candidates(ids)
        found = {one: known for one in ids if (known := self._known.get(one))}
        if missing := [one for one in ids if one not in found]:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            found |= (fresh := self._read_candidates(missing))
            self._known |= fresh
        return found

    def _read_candidates(self, ids: list[str]) -> dict[str, Candidate]:
        which, values = among(ids)
        rows = self._database.rows(f"SELECT * FROM candidates WHERE id IN ({which})", *values)
        return {row["id"]: record(Candidate, row) for row in rows}

    def _read_disputed(self) -> list[dict[str, Any]]:
        rows = self._database.rows("SELECT * FROM disputed ORDER BY candidate_id")
        aside = labelled(self._database.rows, [row["candidate_id"] for row in rows])
        return [row for row in rows if row["candidate_id"] not in aside]

    def _disputed_for(self, reader: Reader) -> list[str]:
        return [
            row["candidate_id"] for row in self._disputed() if reader.adjudicates or reader.name not in row["readers"]
        ]

    def _read_passed(self) -> dict[str, dict[str, int]]:
        """Return, by person, the second reads and disputes that they skipped, each with the event that did it last."""
        passed: dict[str, dict[str, int]] = {}
        for row in self._database.rows("SELECT * FROM passed"):
            passed.setdefault(row["author"], {})[row["candidate_id"]] = row["event_id"]
        return passed
