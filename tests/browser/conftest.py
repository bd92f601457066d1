"""The real app in a real browser: starts `app.py` on a workspace and opens Chromium on it."""

import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import expect

from tests.browser.chromium import find_chromium, playwright_chromium
from tests.browser.forks import Forks
from tests.warm import Warm

ROOT = Path(__file__).parents[2]
START_S = 240
WAIT_MS = 20_000
"""How long a page is waited for: on a machine that also trains models, a second browser's tests may hold it up."""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

expect.set_options(timeout=WAIT_MS)


@dataclass
class App:
    """A running app; `cpu_s` is what it took until its first answer: unlike the wall clock, others do not slow it."""

    url: str
    workspace: Path
    process: psutil.Process
    cpu_s: float


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    path = find_chromium() or playwright_chromium()
    if path is None:
        pytest.fail("There is no Chromium. Install one with: python -m tests.browser.chromium")
    return {**browser_type_launch_args, "executable_path": path, "args": list(FLAGS)}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "viewport": {"width": 1440, "height": 900}}


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory, warm: Warm | None) -> Iterator[Forks]:
    found = Forks(tmp_path_factory.mktemp("loaded"), warm)
    yield found
    found.close()


@pytest.fixture
def serve(tmp_path: Path, forks: Forks) -> Iterator[Callable[..., App]]:
    """Start apps that end with the test; arguments go to app.py. A fresh one loads everything, as at a terminal."""
    apps: list[App] = []

    def start(workspace: Path, *arguments: str, fresh: bool = False) -> App:
        log = tmp_path / f"app{len(apps)}.log"
        app = start_app(workspace, *arguments, log=log, forks=None if fresh else forks)
        apps.append(app)
        return app

    yield start
    for app in apps:
        stop_app(app)


def start_app(workspace: Path, *arguments: str, log: Path, forks: Forks | None = None) -> App:
    """Start app.py and wait until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["app.py", "--workspace", str(workspace), "--port", str(port), *arguments]
    began = time.monotonic()
    process = forks.start(command[1:], log) if forks else _run(command, log)
    url = f"http://127.0.0.1:{port}"
    while time.monotonic() - began < START_S:
        if has_ended(process):
            pytest.fail(f"The app ended with {process.wait(5)}:\n{log.read_text()}")
        try:
            urllib.request.urlopen(url, timeout=5).read()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            used = process.cpu_times()
            return App(url, workspace, process, used.user + used.system)
    process.kill()
    pytest.fail(f"The app did not answer within {START_S} s:\n{log.read_text()}")


def _run(command: Sequence[str], log: Path) -> psutil.Process:
    with log.open("w") as out:
        return psutil.Popen([sys.executable, *command], cwd=ROOT, stdout=out, stderr=out)


def has_ended(process: psutil.Process) -> bool:
    """Tell whether a process is gone, or waits to be taken notice of."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def stop_app(app: App) -> None:
    """End an app that was started here."""
    try:
        app.process.terminate()
        app.process.wait(20)
    except psutil.TimeoutExpired:
        app.process.kill()
        app.process.wait()
    except psutil.NoSuchProcess:
        pass
