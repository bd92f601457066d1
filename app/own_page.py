"""Answers the app's own page alone: what another website sends through the browser of whoever uses the app is refused.

Signing in does not keep such a website out. Gradio's cookie may be sent by any page, and its rules for other origins
let every page read the answer. Without users it is worse: the app listens on this computer alone, but pages of the web
can reach it from here, by its address or under a name of their own that they point at this computer.

Nor does anybody have the app fetch what lies on another computer, or take files, as Gradio offers by paths of its own.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.settings import LOCAL_HOSTS
from app.terminal_text import NOT_LOCAL, NOT_OURS, NOT_OWN

PROXIED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
"""Headers that a proxy adds: who comes through one sits at another computer."""
GRADIOS, FILE = "/gradio_api/", "file="
UNUSED = ("proxy=", "file/", "upload", "process_recording")
"""How Gradio's paths begin that fetch from another computer, or take files."""


class OwnPage:
    """ASGI middleware. Source of the attacks: cross-site requests, Barth et al. 2008; DNS rebinding, Jackson 2007."""

    def __init__(self, app: ASGIApp, *, local: bool) -> None:
        """Take what answers; `local` where nobody signs in, so that this computer alone may ask."""
        self._app, self._local = app, local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self._local and not is_local(headers):
            await PlainTextResponse(NOT_LOCAL, status_code=403)(scope, receive, send)
        elif not is_own(headers, scope["method"]):
            await PlainTextResponse(NOT_OWN, status_code=403)(scope, receive, send)
        elif not is_used(scope["path"]):
            await PlainTextResponse(NOT_OURS, status_code=403)(scope, receive, send)
        else:
            await self._app(scope, receive, lambda message: send(_kept_at_home(message)))


def is_local(headers: Headers) -> bool:
    """Return whether a request names this computer, and came through no proxy."""
    try:
        named = urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        return False
    return named in LOCAL_HOSTS and not any(name in headers for name in PROXIED)


def is_own(headers: Headers, method: str) -> bool:
    """Return whether a request comes from the app's own page, from no page, or opens the page from a link."""
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        return False
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return method == "GET" and headers.get("sec-fetch-mode") == "navigate" and _opens_a_page(headers)
    return True


def is_used(path: str) -> bool:
    """Return whether a path, without percent signs, may be asked for: of files, those of this computer alone."""
    asked = path.partition(GRADIOS)[2]
    if asked.startswith(FILE):
        return asked.startswith(f"{FILE}/")  # others may be addresses of the web
    return not asked.startswith(UNUSED)


def _opens_a_page(headers: Headers) -> bool:
    return headers.get("sec-fetch-dest", "document") == "document"


def _kept_at_home(message: Message) -> Message:
    """Return an answer whose cookies no other site's requests carry, and which no other site can frame."""
    if message["type"] == "http.response.start":
        headers = MutableHeaders(scope=message)
        headers["X-Frame-Options"] = "SAMEORIGIN"
        message["headers"] = [
            (name, value.replace(b"SameSite=none", b"SameSite=lax") if name == b"set-cookie" else value)
            for name, value in message["headers"]
        ]
    return message
