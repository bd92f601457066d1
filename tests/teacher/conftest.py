"""A real server for the tests of a module, and retries without pauses."""

import pytest

from leaml.teacher import retry
from tests.teacher.servers import RealServer


@pytest.fixture(scope="module")
def real_server(tmp_path_factory):
    server = RealServer(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def real(real_server):
    """The server, alive, also where the test before has killed it."""
    real_server.start()
    return real_server


@pytest.fixture
def no_pauses(monkeypatch):
    monkeypatch.setattr(retry, "FIRST_PAUSE_S", 0.001)
