"""Signing in: the check that Gradio's `auth` calls, slow for those who guess. What is counted lives in memory only.

Also what a page is told whose session has ended.
"""

import asyncio
import json
import time
from collections.abc import Callable

from fastapi import HTTPException, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import JSONResponse, Response

from app import people_text
from leaml.store.users import Users

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


async def say_signed_out(request: Request, error: HTTPException) -> Response:
    """Answer who is not signed in: a page that was open when its session ended gets a sentence for what was pressed.

    Gradio gives an object as the reason, which its own page cannot show: it says nothing then. That is right for what
    the page asks by itself, again and again; and the page to sign in, which asks for `/config`, reads that object.
    """
    if request.scope["path"].endswith("/queue/join") and _was_pressed(await request.body()):
        return JSONResponse({"detail": people_text.SIGNED_OUT}, status_code=error.status_code)
    return await http_exception_handler(request, error)


def _was_pressed(body: bytes) -> bool:
    """Return whether a person raised an event: what the page raises by itself says nothing about where it came from."""
    try:
        return bool(json.loads(body)["event_data"])
    except (ValueError, TypeError, KeyError):
        return False
