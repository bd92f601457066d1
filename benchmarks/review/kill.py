"""The app is killed in the middle of a burst of decisions, many times: what was confirmed must be there afterwards.

Killed means SIGKILL: nothing is flushed or closed. Not covered: a computer that loses power.
"""

import contextlib
import random
import threading
from pathlib import Path

from benchmarks.review.crowd import Crowd, Reviewer, lost_and_doubled
from benchmarks.review.serving import serve

BURST = (5, 25)
"""The app is killed as soon as so many decisions were confirmed, between these."""
PATIENCE_S = 120.0


def kill_in_bursts(workspace: Path, names: list[str], *, times: int, log: Path) -> tuple[Crowd, int, int]:
    """Kill the app `times` times; return what was confirmed in all, and how much of it was lost or doubled.

    Raises:
        AuditError: If the hash chain is broken after a kill.
    """
    confirmed, lost, doubled, draw = Crowd(), 0, 0, random.Random(times)
    # What the clients say when their app is gone goes into a file.
    with log.with_suffix(".clients").open("w") as said, contextlib.redirect_stderr(said):
        for _ in range(times):
            _burst(workspace, names, confirmed, draw.randint(*BURST), log)
            lost, doubled = lost_and_doubled(workspace, confirmed)
    return confirmed, lost, doubled


def _burst(workspace: Path, names: list[str], seen: Crowd, count: int, log: Path) -> None:
    """Let everybody decide as fast as they can, and kill the app when so many decisions were confirmed."""
    with serve(workspace, log) as app:
        reviewers = [Reviewer(app.url, name) for name in names]
        confirmed = threading.Semaphore(0)
        threads = [threading.Thread(target=_decide, args=(one, seen, confirmed), daemon=True) for one in reviewers]
        for thread in threads:
            thread.start()
        for _ in range(count):
            if not confirmed.acquire(timeout=PATIENCE_S):
                raise RuntimeError(f"Nothing was confirmed within {PATIENCE_S:g} s:\n{log.read_text()}")
        app.process.kill()
        app.process.wait()
        for thread in threads:
            thread.join(2)  # who waits for an answer of the killed app waits for nothing


def _decide(reviewer: Reviewer, seen: Crowd, confirmed: threading.Semaphore) -> None:
    try:
        shown = reviewer.look()
        while shown:
            decided = shown
            shown, saved = reviewer.decide(act="accept", candidate=decided, answer="one", seconds=1.0)
            if saved:
                seen.confirmed.append((reviewer.name, decided, "accept"))
                confirmed.release()
    except Exception:  # however the connection breaks when the app is killed: what matters is what was confirmed
        return
