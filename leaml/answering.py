"""Answers of trained models, on demand, from a resident process of their own.

The app must stay light and alive whatever a model does, so models live in `leaml.answer_worker`, spoken with by one
JSON object a line. The process is there only while people ask: training needs the memory that a model takes. Batch
evaluation is not done here: that is the stage `evaluate`.
"""

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leaml.config import Precision
from leaml.errors import ModelError
from leaml.jobs.environment import worker_environment

LOAD_S = 600.0
"""Longest wait for a model to be loaded: a large one takes minutes, and one that is given up begins from zero."""
ANSWER_S = 120.0
"""Longest wait for the answer of a model that is loaded."""
IDLE_S = 600.0
"""So long after the last answer the process ends. Loading a large model again takes minutes: no sooner than people who
look at answers have stopped."""
WORKER = (sys.executable, "-m", "leaml.answer_worker")
"""The process's command, without the folder of its cache."""


@dataclass(frozen=True)
class Asked:
    """A model to be asked.

    Attributes:
        model: Name or directory of a pretrained model, or the file of a delta.
        adapter: False asks the delta's pretrained model with its own values; the weights are swapped in place.
        precision: Of a pretrained model's weights; a delta knows that of its own.
    """

    model: str
    adapter: bool = True
    precision: Precision = "float32"


@dataclass(frozen=True)
class Answer:
    """What one model answered.

    Attributes:
        text: The greedy answer, as written.
        option_probabilities: Of each option, in their order; empty for an open question.
        seconds: Time taken to answer, without loading and swapping.
        swap_seconds: Time taken to swap the resident model's values; 0 where it had them already.
    """

    text: str
    option_probabilities: tuple[float, ...]
    seconds: float
    swap_seconds: float


class Answerer:
    """Asks models questions about images; starts its process at the first question. Safe to share by threads."""

    def __init__(self, *, cache: Path, log: Path) -> None:
        """Keep image features below `cache` and the process's messages in the file `log`."""
        self._cache, self._log = cache, log
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._closed = self._released = False
        self._last_answer = 0.0
        self._ending: threading.Timer | None = None

    def ask(
        self, models: Sequence[Asked], *, image_id: str, image: Path, question: str, options: Sequence[str]
    ) -> list[Answer]:
        """Return each model's answer to one question.

        Args:
            models: In the order of the answers.
            image_id: Names the image in the cache of features.
            image: The picture's file.
            question: Without its options.
            options: Empty for an open question.

        Raises:
            ModelError: If a model cannot be loaded, the process ends or does not answer in time, or this is closed.
        """
        request = {"image_id": image_id, "image": str(image), "question": question, "options": list(options)}
        try:
            with self._lock:
                try:
                    return [Answer(**self._exchange(asdict(model) | request)) for model in models]
                finally:
                    self._end_later()
        finally:
            if self._released:  # meanwhile, when the lock was taken
                self.release()

    def release(self) -> None:
        """End the process, so that others have its memory; the next question starts it again.

        Nobody waits: where a question is being answered, it ends after the answer.
        """
        self._released = True
        if self._lock.acquire(blocking=False):
            try:
                self._stop()
                self._released = False
            finally:
                self._lock.release()

    def close(self) -> None:
        """End the process, if it runs, for good; whoever waits for an answer waits no longer."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()  # before the lock, which is held by who waits for it
        with self._lock:
            self._stop()

    def _end_later(self) -> None:
        """Have the process end when nobody asks any more; the lock is held."""
        self._last_answer = time.monotonic()
        if self._ending is not None:
            self._ending.cancel()
        if self._process is None:
            return
        self._ending = threading.Timer(IDLE_S, self._end_idle)
        self._ending.daemon = True
        self._ending.start()

    def _end_idle(self) -> None:
        # Whoever is asking, or has asked just before the time was up, has it begin anew.
        if not self._lock.locked() and time.monotonic() - self._last_answer >= IDLE_S:
            self.release()

    def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            line = self._line(process, LOAD_S)
            if line and "loaded" in json.loads(line):
                line = self._line(process, ANSWER_S)
        except OSError:
            line = b""
        if not line:
            self._stop()
            raise ModelError(f"The model {request['model']!r} gave no answer. Try again; the reason is in {self._log}.")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise ModelError(reply["error"])
        return {**reply, "option_probabilities": tuple(reply["option_probabilities"])}

    def _line(self, process: subprocess.Popen[bytes], seconds: float) -> bytes:
        """Return the process's next line; nothing where it ends, or none comes in time."""
        assert process.stdout is not None
        until = time.monotonic() + seconds
        while b"\n" not in self._unread:
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))
            read = os.read(process.stdout.fileno(), 65536) if ready else b""
            if not read:
                return b""
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            self._unread = b""
            # The process ends by itself when its input closes, so it cannot outlive the app, even after kill -9.
            with self._log.open("a") as log:
                self._process = subprocess.Popen(
                    [*WORKER, str(self._cache)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    bufsize=0,
                    env=worker_environment(),
                )
        if self._closed:  # looked at after the start: `close` kills what it sees, and this what it did not
            self._stop()
            raise ModelError("LEAML Studio is being stopped. Ask again when it runs.")
        return self._process

    def _stop(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()
            self._process = None
