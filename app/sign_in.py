"""Signing in: the check that Gradio's `auth` calls, slow for those who guess. What is counted lives in memory only."""

import asyncio
import time
from collections.abc import Callable

from leaml.users import Users

GUESSES = 5
WAIT_S = 30.0


class SignIn:
    """Checks names and passwords, one at a time; a name with too many wrong passwords in a row has to wait."""

    def __init__(self, users: Users, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing counted.

        Args:
            users: Those who may sign in.
            clock: Returns seconds.
        """
        self._users, self._clock = users, clock
        self._one_at_a_time = asyncio.Lock()  # a hash takes 64 MiB: a flood of guesses must not take all memory
        self._wrong: dict[str, tuple[int, float]] = {}  # how many in a row, and when the last was

    async def check(self, name: str, password: str) -> bool:
        """Return whether this is the user's password. While a name has to wait, even the right one is refused."""
        async with self._one_at_a_time:
            now = self._clock()
            # Forgetting old guesses of every name keeps the table small, whatever names are tried.
            self._wrong = {key: value for key, value in self._wrong.items() if now - value[1] < WAIT_S}
            count = self._wrong.get(name, (0, now))[0]
            if count >= GUESSES:
                return False
            if await asyncio.to_thread(self._users.verify, name, password):
                self._wrong.pop(name, None)
                return True
            self._wrong[name] = (count + 1, self._clock())
            return False
