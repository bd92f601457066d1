"""How many pairs were decided how, and how long that took: counted once, then kept up decision by decision."""

from array import array
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping, Sequence

from leaml.records import ReviewCounts

_CLOSED = ("accept", "edit", "reject")


class Tally:
    """The counts of one round of pairs."""

    def __init__(self, pairs: int, actions: Mapping[str, Sequence[float | None]]) -> None:
        """Begin with what is there.

        Args:
            pairs: All pairs of the round.
            actions: The seconds that each pair took, by the action at which it stands.
        """
        self._pairs = pairs
        self._actions = Counter({action: len(seconds) for action, seconds in actions.items()})
        taken = (_took(action, value) for action, seconds in actions.items() for value in seconds)
        self._seconds = array("d", sorted(value for value in taken if value is not None))

    def move(self, before: tuple[str | None, float | None], after: tuple[str | None, float | None]) -> None:
        """Note that a pair stands otherwise.

        Args:
            before: Its action and seconds until now; None where nobody has decided about it.
            after: Its action and seconds now, likewise.
        """
        action, seconds = before
        if action is not None:
            self._actions[action] -= 1
            if (took := _took(action, seconds)) is not None:
                del self._seconds[bisect_left(self._seconds, took)]
        action, seconds = after
        if action is not None:
            self._actions[action] += 1
            if (took := _took(action, seconds)) is not None:
                insort(self._seconds, took)

    def counts(self) -> ReviewCounts:
        """Return the counts; skipped pairs are open."""
        accepted, edited, rejected = (self._actions[action] for action in _CLOSED)
        done = accepted + edited + rejected
        return ReviewCounts(self._pairs - done, accepted, edited, rejected, self._actions["skip"], self._median())

    def _median(self) -> float | None:
        if not (count := len(self._seconds)):
            return None
        return (self._seconds[(count - 1) // 2] + self._seconds[count // 2]) / 2


def _took(action: str, seconds: float | None) -> float | None:
    """Return what counts towards the pace: a card that was skipped was not decided."""
    return seconds if action in _CLOSED and seconds is not None and seconds > 0 else None
