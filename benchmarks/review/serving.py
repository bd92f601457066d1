"""The real app, served in a process of its own."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_S = 240.0


@dataclass(frozen=True)
class App:
    """A running app."""

    url: str
    process: "subprocess.Popen[bytes]"


@contextmanager
def serve(workspace: Path, log: Path) -> Iterator[App]:
    """Serve the workspace until the block ends, or the app is killed in it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "app.py", "--workspace", str(workspace), "--port", str(port), "--no-sample"]
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env=dict(os.environ))
    try:
        app = App(f"http://127.0.0.1:{port}", process)
        _wait_for(app, log)
        yield app
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(app: App, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if app.process.poll() is not None:
            raise RuntimeError(f"The app ended with {app.process.returncode}:\n{log.read_text()}")
        try:
            urllib.request.urlopen(app.url, timeout=5).read()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"The app does not answer:\n{log.read_text()}")
