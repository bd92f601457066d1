"""Refuses requests that another website sends through the browser of whoever uses the app without signing in.

Without users the app listens on this computer alone, but pages of the web can reach it from here: under a name of
their own that they point at this computer, or by posting to its address. So a request must name this computer, and
come from the app's own page if it says where it comes from.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.settings import LOCAL_HOSTS
from app.terminal_text import NOT_LOCAL


class LocalOnly:
    """ASGI middleware. Source of the attack: DNS rebinding, Jackson et al. 2007."""

    def __init__(self, app: ASGIApp) -> None:
        """Take what answers."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "http" and not is_local(Headers(scope=scope)):
            await PlainTextResponse(NOT_LOCAL, status_code=403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def is_local(headers: Headers) -> bool:
    """Return whether a request names this computer, and comes from no other page."""
    host, origin = headers.get("host", ""), headers.get("origin")
    try:
        named = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return named in LOCAL_HOSTS and (origin is None or urlsplit(origin).netloc == host)
