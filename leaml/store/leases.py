"""Who has which card on the screen: for ten minutes no other person is given it. In the store, so a restart keeps it.

A person holds one card of a kind; being given the next one frees it, and so does time alone.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from leaml.store.database import Database, now
from leaml.store.remembered import Remembered

LEASE = timedelta(minutes=10)

Kind = Literal["label", "review"]


class Leases:
    """The cards that people have on their screens."""

    def __init__(self, database: Database) -> None:
        """Take the store's database."""
        self._database = database
        self._held = Remembered(database, self._read)

    def give(self, kind: Kind, person: str, choose: Callable[[set[str]], str | None]) -> str | None:
        """Give a person a card that nobody else has, and return it; nobody is given one meanwhile.

        Args:
            kind: What they do with it.
            person: Their name.
            choose: Returns the card, or None where there is none left, from those that others have.
        """
        with self._database.transaction("give out a card") as cursor:
            card = choose(self.held_by_others(kind, person))
            mine_or_over = 'DELETE FROM leases WHERE kind = ? AND person = ? OR "until" <= ?'
            cursor.execute(mine_or_over, [kind, person, now()])
            held = {whose: lease for whose, lease in self._held().items() if lease[1] > now()}
            held.pop((kind, person), None)
            if card is not None:
                held[kind, person] = (card, until := now() + LEASE)
                cursor.execute("INSERT INTO leases VALUES (?, ?, ?, ?)", [kind, card, person, until])
            self._held.update(held)
            return card

    def held_by_others(self, kind: Kind, person: str) -> set[str]:
        """Return the cards that other people have now."""
        time = now()
        return {
            card
            for (its_kind, holder), (card, until) in self._held().items()
            if its_kind == kind and holder != person and until > time
        }

    def _read(self) -> dict[tuple[Kind, str], tuple[str, datetime]]:
        rows = self._database.rows("SELECT * FROM leases")
        return {(row["kind"], row["person"]): (row["card"], row["until"]) for row in rows}
