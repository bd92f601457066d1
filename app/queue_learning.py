"""Lets the review queue follow what people accept, beside the decisions rather than within them."""

import contextlib
import threading

from leaml.errors import StoreError
from leaml.store import Store
from leaml.store.acceptance import LEAST_DECISIONS, order_by_acceptance

EVERY = 10
"""Decisions between two looks at how many there are."""
GROWTH = 1.5
"""So many times the decisions of the last time, so that the work stays small however many there are."""


class QueueLearning:
    """Fits the acceptance model anew now and then, and orders the queue by it."""

    def __init__(self, store: Store) -> None:
        """Take the store."""
        self._store, self._learning = store, threading.Lock()
        self._uncounted, self._learnt_from, self._closed = 0, 0, False

    def decided(self) -> None:
        """Say that there is one more decision. Returns at once."""
        self._uncounted += 1
        if self._uncounted < EVERY:
            return
        self._uncounted = 0
        counts = self._store.queue.counts()
        decided = counts.accepted + counts.edited + counts.rejected
        if decided < self._learnt_from:  # a new round
            self._learnt_from = 0
        if decided >= max(LEAST_DECISIONS, GROWTH * self._learnt_from) and self._learning.acquire(blocking=False):
            self._learnt_from = decided
            threading.Thread(target=self._learn, daemon=True).start()

    def close(self) -> None:
        """Return when nothing is learnt any more: the store must not be closed under a query."""
        if not self._closed:
            self._learning.acquire()  # for good: nothing is learnt after this
            self._closed = True

    def _learn(self) -> None:
        try:
            with contextlib.suppress(StoreError):  # the app may be closing
                order_by_acceptance(self._store)
        finally:
            self._learning.release()
