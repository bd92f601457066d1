"""Answers of trained models, on demand, from a resident process of their own.

The app must stay light and alive whatever a model does, so models live in `leaml.answer_worker`, spoken with by one
JSON object a line. Batch evaluation is not done here: that is the stage `evaluate`.
"""

import json
import select
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leaml.config import Precision
from leaml.errors import ModelError
from leaml.jobs.environment import worker_environment

TIMEOUT_S = 120.0
"""Longest wait for one answer, the loading of the model included."""


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
        self._process: subprocess.Popen[str] | None = None

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
            ModelError: If a model cannot be loaded, or the process ends or does not answer in time.
        """
        request = {"image_id": image_id, "image": str(image), "question": question, "options": list(options)}
        with self._lock:
            return [Answer(**self._exchange(asdict(model) | request)) for model in models]

    def close(self) -> None:
        """End the process, if it runs."""
        with self._lock:
            self._stop()

    def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], TIMEOUT_S)
            line = process.stdout.readline() if ready else ""
        except OSError:
            line = ""
        if not line:
            self._stop()
            raise ModelError(f"The model {request['model']!r} gave no answer. Try again; the reason is in {self._log}.")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise ModelError(reply["error"])
        return {**reply, "option_probabilities": tuple(reply["option_probabilities"])}

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            # The process ends by itself when its input closes, so it cannot outlive the app, even after kill -9.
            with self._log.open("a") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "leaml.answer_worker", str(self._cache)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    bufsize=1,
                    env=worker_environment(),
                )
        return self._process

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
