"""Where the app can listen, and what it says where it cannot."""

import errno
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from app.errors import InputError
from app.listening import require_free
from app.main import build_app, launch
from app.services import Services
from app.settings import set_environment

Make = Callable[..., Services]
NOBODY = "http://127.0.0.1:9"
"""Where no proxy listens."""


@pytest.fixture
def free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::1", "::"])
def test_a_free_port_is_free(host: str, free: int) -> None:
    require_free(host, free)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::1"])
def test_a_port_in_use_is_said(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"Port {port} is in use.*--port {port + 1}"):
            require_free(host, port)


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7", "no-such-host.invalid"])
def test_a_host_elsewhere_is_no_port_in_use(host: str, free: int) -> None:
    with pytest.raises(InputError, match=f"--host {host} is no address of this computer"):
        require_free(host, free)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [(errno.EACCES, "This user may not listen on port 443"), (errno.ENOBUFS, "cannot listen on --host")],
)
def test_the_systems_reason_is_said(number: int, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(InputError, match=sentence):
        require_free("127.0.0.1", 443)


def test_a_name_with_an_address_too_many_is_listened_on(free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    absent, here = (socket.getaddrinfo(name, free, type=socket.SOCK_STREAM)[0] for name in ("192.0.2.7", "127.0.0.1"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [absent, here])
    require_free("localhost", free)


def leave_at_once(services: Services, **settings: object) -> None:
    services.settings = replace(services.settings, **settings)  # type: ignore[arg-type]
    services.leaving.set()
    launch(build_app(services), services)


def test_it_starts_on_an_address_of_ipv6_with_a_proxy_for_the_web(
    make_services: Make, free: int, capsys: pytest.CaptureFixture[str]
) -> None:
    services = make_services()
    with patch.dict(os.environ, HTTP_PROXY=NOBODY, http_proxy=NOBODY, ALL_PROXY=NOBODY, NO_PROXY="", no_proxy=""):
        set_environment(replace(services.settings, host="::1"))
        leave_at_once(services, host="::1", port=free)
    assert f"at http://[::1]:{free}/ (workspace" in capsys.readouterr().out


def test_a_foreign_host_and_certificates_that_cannot_be_read_are_no_port_in_use(
    make_services: Make, free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services()
    with pytest.raises(InputError, match="no address of this computer"):
        leave_at_once(services, host="192.0.2.7", port=free)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(InputError, match=r"The web server does not start: .*No such file.* SSL_CERT_FILE names .*none"):
        leave_at_once(services, host="127.0.0.1", port=free)
