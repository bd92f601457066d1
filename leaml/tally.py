"""How many pairs were decided how, and how long that took: counted once, then kept up decision by decision."""

from array import array
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping

from leaml.records import ReviewCounts

_CLOSED = ("accept", "edit", "reject")


class Tally:
    """The counts of one round of pairs."""

    def __init__(self, pairs: int, actions: Mapping[str, int], seconds: Iterable[float]) -> None:
        """Begin with what is there.

        Args:
            pairs: All pairs of the round.
            actions: How many of them stand at each action.
            seconds: What the decisions among them took.
        """
        self._pairs, self._actions = pairs, Counter(actions)
        self._seconds = array("d", sorted(value for value in seconds if value > 0))

    def move(self, before: tuple[str | None, float | None], after: tuple[str | None, float | None]) -> None:
        """Note that a pair stands otherwise.

        Args:
            before: Its action and seconds until now; None where nobody has decided about it.
            after: Its action and seconds now, likewise.
        """
        action, seconds = before
        if action is not None:
            self._actions[action] -= 1
            if seconds is not None and seconds > 0:
                del self._seconds[bisect_left(self._seconds, seconds)]
        action, seconds = after
        if action is not None:
            self._actions[action] += 1
            if seconds is not None and seconds > 0:
                insort(self._seconds, seconds)

    def counts(self) -> ReviewCounts:
        """Return the counts; skipped pairs are open."""
        accepted, edited, rejected = (self._actions[action] for action in _CLOSED)
        done = accepted + edited + rejected
        return ReviewCounts(self._pairs - done, accepted, edited, rejected, self._actions["skip"], self._median())

    def _median(self) -> float | None:
        if not (count := len(self._seconds)):
            return None
        return (self._seconds[(count - 1) // 2] + self._seconds[count // 2]) / 2
