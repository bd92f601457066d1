"""Where the app listens: checked before Gradio does, which calls every failure a port in use."""

import errno
import socket

from app import terminal_text
from app.errors import InputError

GRADIOS_OWN = "127.0.0.1"
"""Gradio wants its port here too, whatever it listens on."""
ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def require_free(host: str, port: int) -> None:
    """Check that the app can listen there.

    Raises:
        InputError: If it cannot.
    """
    for name in dict.fromkeys((host, GRADIOS_OWN)):
        try:
            _bind_all(name, port)
        except OSError as error:
            raise InputError(_sentence(error, host, port)) from error


def in_url(host: str) -> str:
    """Return a host as it stands in an address of the web: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def _bind_all(name: str, port: int) -> None:
    """Bind each of a name's addresses for a moment; `localhost` may have one of IPv6 where there is none.

    Raises:
        OSError: If none can be bound, or one is in use or not allowed.
    """
    absent, places = [], socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in places:
        try:
            _bind(family, kind, protocol, address)
        except OSError as error:
            if error.errno not in ABSENT:
                raise
            absent.append(error)
    if len(absent) == len(places):
        raise absent[0]


def _bind(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> None:
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # as the server does: `::` is not this computer's IPv4 addresses too
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind(address)


def _sentence(error: OSError, host: str, port: int) -> str:
    if isinstance(error, socket.gaierror) or error.errno in ABSENT:
        return terminal_text.not_this_computer(host)
    if error.errno == errno.EADDRINUSE:
        return terminal_text.port_taken(port)
    if error.errno == errno.EACCES:
        return terminal_text.port_privileged(port)
    return terminal_text.cannot_listen(host, port, str(error))
