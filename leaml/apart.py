"""Calls a module of leaml in a process of its own: for what loads torch, asked by whoever must stay light.

One JSON object goes in, one comes back; nothing stays behind. `leaml.answering` keeps its process, this does not.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from leaml.errors import LeamlError, ModelError
from leaml.jobs.environment import worker_environment

Values = dict[str, Any]
RUN = (sys.executable, "-m")
"""How a module is run, without its name."""


def call_apart(module: str, request: Values, *, timeout_s: float) -> Values:
    """Return what the module answers to a request of JSON values.

    Raises:
        ModelError: If it refuses, fails, or takes too long; with its own words.
    """
    try:
        done = subprocess.run(
            [*RUN, module],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=worker_environment(),
        )
    except subprocess.TimeoutExpired:
        raise ModelError(
            f"{module} did not answer within {timeout_s:g} s. Try again, or choose a smaller model."
        ) from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ModelError(f"{module} ended with {done.returncode}: {last}")
    reply: Values = json.loads(done.stdout.splitlines()[-1])
    if "error" in reply:
        raise ModelError(reply["error"])
    return reply


def answer_apart(answer: Callable[[Values], Values]) -> None:
    """Answer the request on standard input, as `call_apart` expects it."""
    try:
        reply = answer(json.load(sys.stdin))
    except LeamlError as error:
        reply = {"error": str(error)}
    print(json.dumps(reply), flush=True)  # the last line: libraries may have printed others
