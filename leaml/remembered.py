"""Values that are computed from the store once and kept until what they were computed from changes.

A query of a millisecond is nothing for one person; twenty of them for each card are too much for fifty people.
"""

from collections.abc import Callable
from threading import get_ident
from typing import Generic, TypeVar

from leaml.database import Database

Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """A value that is computed when it is first asked for, and anew after a change.

    Whoever changes the tables behind it says so inside the transaction. That thread sees its own change at once, the
    others what was there before, until the transaction has ended.
    """

    def __init__(self, database: Database, compute: Callable[[], Value]) -> None:
        """Take the store's database, and what computes the value."""
        self._database, self._compute = database, compute
        self._kept: tuple[Value] | None = None
        self._changing: int | None = None  # the thread whose open transaction has changed it

    def __call__(self) -> Value:
        """Return the value."""
        if self._database.in_one_moment():
            return self._compute()  # what is kept may be newer than that moment
        mine = self._changing == get_ident()
        if (kept := self._kept) is not None and not mine:
            return kept[0]
        if self._changing is not None and not mine:
            return self._compute()  # an import takes minutes, and nobody should wait for it
        # Inside a transaction nobody else can change it between the computing and the keeping.
        with self._database.transaction("read the workspace"):
            value = self._compute()
            if not mine:
                self._kept = (value,)
            return value

    def kept(self) -> Value | None:
        """Return the value if it is known without computing it, else None."""
        return self._kept[0] if self._kept is not None else None

    def changed(self) -> None:
        """Say, in an open transaction, that the value is another one now."""
        self._kept, self._changing = None, get_ident()
        self._database.afterwards(self._forget)

    def update(self, value: Value) -> None:
        """Keep a value that was brought up to date by hand in an open transaction; forget it should that one fail."""
        if self._changing is None:
            self._kept = (value,)
            self._database.afterwards(self._forget_failed)

    def _forget(self, _committed: bool) -> None:
        self._kept = self._changing = None

    def _forget_failed(self, committed: bool) -> None:
        if not committed:
            self._kept = None
