"""Starts apps from a process that has loaded Gradio already: loading it takes longer than most tests.

`python -m tests.browser.forks FOLDER [SOCKET]` reads a JSON object a line, `{"arguments": [...], "log": ...}`, forks,
lets the child be `python app.py ARGUMENTS`, and answers with its process id. The apps' workers come from the warm
process at the socket.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.warm import Warm, stand_in

ROOT = Path(__file__).parents[2]


class Forks:
    """The process that forks; it ends, without its children, when it is closed."""

    def __init__(self, folder: Path, warm: Warm | None) -> None:
        """Start it; what Gradio keeps from the moment it is loaded is that of a workspace in this folder."""
        command = [sys.executable, "-m", "tests.browser.forks", str(folder), *([str(warm.path)] if warm else [])]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def start(self, arguments: Sequence[str], log: Path) -> psutil.Process:
        """Start an app that writes to this log."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"arguments": arguments, "log": str(log)}) + "\n")
        return psutil.Process(int(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def main(folder: str, socket: str | None = None) -> None:
    """Fork for each line; a child returns from here by the end of its app."""
    from app.settings import parse_settings, set_environment

    set_environment(parse_settings(["--workspace", folder]))
    import app.main  # noqa: F401 - the reason for all this

    if socket:
        stand_in(socket)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever ended is gone at once
    for line in iter(sys.stdin.readline, ""):
        wanted = json.loads(line)
        if child := os.fork():
            print(child, flush=True)
        else:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _become_app(wanted["arguments"], wanted["log"])


def _become_app(arguments: list[str], log: str) -> None:
    for target, path, flags in ((0, os.devnull, os.O_RDONLY), (1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, target)
        os.close(opened)
    os.dup2(1, 2)
    sys.argv = ["app.py", *arguments]
    runpy.run_path("app.py", run_name="__main__")  # ends by SystemExit


if __name__ == "__main__":
    main(*sys.argv[1:])
