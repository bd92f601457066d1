"""When to ask a server again, and after how long."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

T = TypeVar("T")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
LONGEST_WISH_S = 600.0
"""A server that asks for a longer pause than this is not waited for."""
SILENT_AT_LEAST = 5
"""A server is not given up before so many questions in a row got no answer."""


class NoCaption(Exception):
    """A server gave no caption. The message is what it said.

    Attributes:
        again: Whether asking again may help.
        wish_s: The pause that the server asked for, seconds; 0 where it asked for none.
        status: Of HTTP; 0 where nothing was answered.
    """

    def __init__(self, message: str, *, again: bool = False, wish_s: float = 0.0, status: int = 0) -> None:
        """Take what the server said."""
        super().__init__(message)
        self.again, self.wish_s, self.status = again, wish_s, status


class SilentRow:
    """How many questions in a row a server did not answer, in spite of all retries."""

    def __init__(self, concurrency: int) -> None:
        """Count from zero; `concurrency` questions are under way at once."""
        self._limit = max(SILENT_AT_LEAST, 2 * concurrency)  # twice: those under way at one short outage all fail
        self.length = 0

    def add(self, silent: bool) -> bool:
        """Count one question, which ends the row unless it was `silent`; return whether the server is gone."""
        self.length = self.length + 1 if silent else 0
        return self.length >= self._limit


def is_silence(failure: Exception) -> bool:
    """Return whether a server out of reach, broken or busy is the reason, and neither the question nor the image."""
    return isinstance(failure, NoCaption) and failure.again


def with_retries(ask: Callable[[], T], *, retries: int, wait: Callable[[float], bool]) -> T:
    """Return the answer of `ask`, which is called again after a pause while that may help.

    Args:
        ask: Raises NoCaption.
        retries: How often at most.
        wait: Waits so many seconds; returns True if there is nothing to wait for any more.

    Raises:
        NoCaption: The last one.
    """
    for attempt in range(retries + 1):
        try:
            return ask()
        except NoCaption as failure:
            hopeless = not failure.again or failure.wish_s > LONGEST_WISH_S
            if hopeless or attempt == retries or wait(pause(attempt, failure.wish_s)):
                raise
    raise AssertionError("unreachable")


def pause(attempt: int, wish_s: float) -> float:
    """Return how long to wait, seconds: twice as long each time, spread by chance, at least what the server wishes."""
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**attempt)
    return max(wish_s, longest * random.uniform(0.5, 1.0))  # spread, so that not all questions come back at once


def wished_pause(header: str | None) -> float:
    """Return the seconds of a `Retry-After` header, which holds seconds or a date; 0 where there is none."""
    if not header:
        return 0.0
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return float(max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()))
    except (ValueError, TypeError):  # neither; TypeError: a date without its zone
        return 0.0
