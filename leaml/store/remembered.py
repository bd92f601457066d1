"""Values that are computed from the store once and kept until what they were computed from changes.

A query of a millisecond is nothing for one person; twenty of them for each card are too much for fifty people.
"""

from collections.abc import Callable
from threading import Lock, get_ident
from typing import Generic, TypeVar

from leaml.store.database import Database

Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """A value that is computed when it is first asked for, and anew after a change.

    Whoever changes the tables behind it says so inside the transaction. That thread sees its own change at once, the
    others what was there before, until the transaction has ended. Nobody waits for the computing: it reads one state of
    the file without a lock, and is kept only where nothing has changed meanwhile.
    """

    def __init__(self, database: Database, compute: Callable[[], Value]) -> None:
        """Take the store's database, and what computes the value."""
        self._database, self._compute = database, compute
        self._kept: tuple[Value] | None = None
        self._changing: int | None = None  # the thread whose open transaction has changed it
        self._version = 0  # counts what makes a value that is being computed an old one
        self._noting = Lock()  # held for a moment, never while the database is asked

    def __call__(self) -> Value:
        """Return the value."""
        if self._database.in_one_moment():
            return self._compute()  # what is kept may be newer than that moment
        mine = self._changing == get_ident()
        version = self._version  # before the look at what is kept: an update between the two must be noticed
        if (kept := self._kept) is not None and not mine:
            return kept[0]
        with self._database.one_moment():  # or in this thread's own transaction, beside which nobody changes anything
            value = self._compute()
        with self._noting:
            # A transaction notes a change twice, before its commit and after it. What was read in between may be either
            # state; who began before the first note, or ends after the second, finds another version.
            if self._changing is None and self._version == version:
                self._kept = (value,)
        return value

    def kept(self) -> Value | None:
        """Return the value if it is known without computing it, else None."""
        return self._kept[0] if self._kept is not None else None

    def changed(self) -> None:
        """Say, in an open transaction, that the value is another one now."""
        self._note(None, get_ident())
        self._database.afterwards(self._forget)

    def update(self, value: Value) -> None:
        """Keep a value that was brought up to date by hand in an open transaction; forget it should that one fail."""
        if self._changing is None:
            self._note((value,))
            self._database.afterwards(self._forget_failed)

    def _forget(self, _committed: bool) -> None:
        self._note(None)

    def _forget_failed(self, committed: bool) -> None:
        if not committed:
            self._note(None)

    def _note(self, kept: tuple[Value] | None, changing: int | None = None) -> None:
        with self._noting:
            self._kept, self._changing, self._version = kept, changing, self._version + 1
