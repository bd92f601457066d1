"""Workers from a process that has loaded torch and transformers: that takes seconds, most runs of tests take less.

`python -m tests.warm SOCKET` loads them and forks whenever it is asked; `python warm.py SOCKET MODULE ARGUMENTS`, the
command of a warm worker, asks it for a child that is `python -m MODULE ARGUMENTS`, with its own folder, environment and
open files, and ends when the child does. It imports as little as it can, so that it starts at once.
"""

import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

LARGEST = 1 << 17
"""Bytes of a request: most of it is an environment."""
MOST_FILES = 32
OUT_OF_THE_WAY = 200
"""From this number on, files wait until those of the forking process are closed."""
ROOT = Path(__file__).parents[1]


class Warm:
    """The process that forks. What it has forked goes on after it has been closed."""

    def __init__(self, path: Path) -> None:
        """Start it; it listens at this path, and loads when it is asked for the first time."""
        import subprocess

        from leaml.jobs.environment import worker_environment

        self.path = path
        command = [sys.executable, "-m", "tests.warm", str(path)]
        self._process = subprocess.Popen(command, cwd=ROOT, env=worker_environment(), stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it listens

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate()


def stand_in(path: str) -> None:
    """Let this process start its workers from the warm process that listens there."""
    import leaml.answering
    import leaml.apart
    import leaml.jobs.launch

    run = (sys.executable, "-S", __file__, path)
    leaml.apart.RUN = run
    for starter in (leaml.jobs.launch, leaml.answering):
        starter.WORKER = (*run, starter.WORKER[-1])


def ask(path: str, module: str, arguments: Sequence[str]) -> int:
    """Hand all that is open to a child of the warm process, and wait for the child's end; return how it ended."""
    mine = [int(name) for name in os.listdir("/proc/self/fd")]
    files = [file for file in mine if _is_open(file)]  # listing them had one open, too
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(path)
        told = {
            "module": module,
            "arguments": arguments,
            "files": files,
            "folder": os.getcwd(),
            "environment": dict(os.environ),
        }
        socket.send_fds(connection, [json.dumps(told).encode()], files)
        for file in files:  # a lock or a pipe that stayed open here would outlive the child
            os.close(file)
        return next(iter(connection.recv(1)), 1)


def _is_open(file: int) -> bool:
    try:
        os.fstat(file)
    except OSError:
        return False
    return True


def serve(path: str) -> NoReturn:
    """Load what is slow to load, and fork for each request."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.bind(path)
    server.listen(64)
    print("listening", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever ended is gone at once
    while True:
        connection, _ = server.accept()
        import leaml.pipeline  # noqa: F401 - the reason for all this; only where it is needed

        message, files, _, _ = socket.recv_fds(connection, LARGEST, MOST_FILES)
        if message and not os.fork():
            server.close()
            _become(json.loads(message), files, connection)
        connection.close()
        for file in files:
            os.close(file)


def _become(told: dict, files: Sequence[int], connection: socket.socket) -> NoReturn:
    """Be `python -m MODULE ARGUMENTS` with those files, and tell through the connection how that ended."""
    import runpy

    import torch

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    waiting = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, OUT_OF_THE_WAY) for file in (*files, connection.fileno())]
    for file in (*files, connection.detach()):
        os.close(file)
    answer = socket.socket(fileno=waiting.pop())
    for file, number in zip(waiting, told["files"], strict=True):
        os.dup2(file, number)
        os.close(file)
    os.chdir(told["folder"])
    os.environ.clear()
    os.environ.update(told["environment"])
    if threads := os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(int(threads))
    sys.argv = [told["module"], *told["arguments"]]
    ended = 1
    try:
        runpy.run_module(told["module"], run_name="__main__", alter_sys=True)
        ended = 0
    except SystemExit as end:
        ended = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    finally:
        sys.stdout.flush()
        with suppress(BrokenPipeError):  # nobody waits any more
            answer.send(bytes([ended]))
    sys.exit()


if __name__ == "__main__":
    if len(sys.argv) == 2:
        serve(sys.argv[1])
    sys.exit(ask(sys.argv[1], sys.argv[2], sys.argv[3:]))
