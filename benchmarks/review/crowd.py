"""Many reviewers at one real app through HTTP: every decision that was confirmed must be there, once.

Each sends what a page sends that opens the Review tab and decides. With a card on it such a page asks for nothing by
itself, as tests/browser/test_ticks.py shows. Left out are its images, what it asks for once while it is loaded, and
what it would ask for every few seconds once its person has opened Train or Compare: the counts in its header.
"""

import random
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

from gradio_client import Client

from benchmarks.review.serving import serve
from benchmarks.review.workspace import PASSWORD
from leaml.store import Store

ANSWER_S = 120.0
PROCESSES = 5
"""That the people are spread over: in one, they would wait for each other instead of for the app."""
HALVES = ("informative", "audit")


@dataclass
class Crowd:
    """What the reviewers saw.

    Attributes:
        waits_s: From sending a decision to the next card, one a decision.
        confirmed: Person, pair and action of each decision that the app confirmed.
        troubles: What went wrong for somebody.
    """

    waits_s: list[float] = field(default_factory=list)
    confirmed: list[tuple[str, str, str]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def add(self, other: "Crowd") -> None:
        """Add what others saw."""
        self.waits_s += other.waits_s
        self.confirmed += other.confirmed
        self.troubles += other.troubles


class Reviewer:
    """One signed-in browser tab on the Review screen, without the browser."""

    def __init__(self, url: str, name: str) -> None:
        """Sign in and find the screen's events."""
        self.name = name
        # Passwords are checked one at a time, so the last of many waits long to sign in.
        patient = {"timeout": ANSWER_S}
        self._client = Client(
            url, auth=(name, PASSWORD), download_files=False, verbose=False, httpx_kwargs=patient,
            # Nothing is encrypted on localhost, but otherwise the client reads all certificates at every request.
            analytics_enabled=False, ssl_verify=False,
        )  # fmt: skip
        ids = {part["props"].get("elem_id"): part["id"] for part in self._client.config["components"]}
        self._open = self._event(ids["tab-review"], "select")
        self._act = self._event(ids["review-panel"], "act")

    def look(self) -> str:
        """Open the screen; return the id of the pair on the card, empty where there is none."""
        return _shown(self._send(self._open, None))

    def decide(self, **data: object) -> tuple[str, bool]:
        """Press a button; return the next pair's id, and whether the decision was confirmed."""
        html = self._send(self._act, data)
        return _shown(html), ">Saved<" in html

    def close(self) -> None:
        """Leave."""
        self._client.close()

    def _event(self, component: int, name: str) -> dict[str, Any]:
        events = self._client.config["dependencies"]
        return next(event for event in events if [component, name] in [list(target) for target in event["targets"]])

    def _send(self, event: dict[str, Any], data: dict[str, object] | None) -> str:
        client, session = self._client, {"fn_index": event["id"], "session_hash": self._client.session_hash}
        payload = {"data": [None] * len(event["inputs"]), "event_data": data, "trigger_id": event["targets"][0][0]}
        event_id = client.send_data(payload, session, client.protocol, None)
        messages, until = client.pending_messages_per_event[event_id], time.monotonic() + ANSWER_S
        while time.monotonic() < until:
            if not messages:
                time.sleep(0.01)
                continue
            message = messages.popleft()
            if message is None:
                raise RuntimeError("the app closed the stream")
            if message["msg"] == "process_completed":
                with client.pending_lock:
                    del client.pending_messages_per_event[event_id]
                if not message["success"]:
                    raise RuntimeError(str(message["output"]))
                return str(message["output"]["data"][1])
        raise RuntimeError(f"no answer within {ANSWER_S:.0f} s")


def review_together(workspace: Path, names: list[str], *, seconds: float, pace_s: float, log: Path) -> Crowd:
    """Let everybody review at a person's pace for some time, after all have signed in."""
    processes = get_context("spawn")
    together, stop, told = processes.Barrier(len(names) + 1), processes.Event(), processes.SimpleQueue()
    all_together = Crowd()
    with serve(workspace, log) as app:
        for first in range(min(PROCESSES, len(names))):
            given = (app.url, names[first::PROCESSES], pace_s, together, stop, told)
            processes.Process(target=_review_in_a_room, args=given, daemon=True).start()
        together.wait()
        time.sleep(seconds)
        stop.set()
        for _ in range(min(PROCESSES, len(names))):
            all_together.add(told.get())
    return all_together


def lost_and_doubled(workspace: Path, crowd: Crowd) -> tuple[int, int]:
    """Return how many confirmed decisions the store lacks, and how many pairs or decisions it has twice."""
    with Store.open(workspace) as store:
        contents = [event.content for event in store.events() if event.content is not None]
        store.verify_events()
    kept = Counter((row["author"], row["candidate_id"], row["action"]) for row in contents)
    lost = sum((Counter(crowd.confirmed) - kept).values())
    first_reads = Counter(row["candidate_id"] for row in contents if row["drawn"] in HALVES and row["action"] != "skip")
    doubled = sum(count - 1 for count in first_reads.values()) + sum((kept - Counter(set(kept))).values())
    return lost, doubled


def _review_in_a_room(
    url: str, names: list[str], pace_s: float, together: Barrier, stop: Event, told: "SimpleQueue[Crowd]"
) -> None:
    """Let some people review in this process, and tell what they saw."""
    crowd = Crowd()
    threads = [
        threading.Thread(target=_review, args=(crowd, url, name, pace_s, together, stop), daemon=True) for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put(crowd)


def _review(crowd: Crowd, url: str, name: str, pace_s: float, together: Barrier, stop: Event) -> None:
    reviewer, shown, draw = None, "", random.Random(name)
    try:
        reviewer = Reviewer(url, name)
        shown = reviewer.look()
    except Exception as error:  # a thread's only way to say so: whatever it is, the benchmark must report it
        crowd.troubles.append(f"{name}: {error!r}")
    together.wait()
    try:
        while reviewer and shown and not stop.wait(pace_s * draw.uniform(0.5, 1.5)):
            action, decided = draw.choice(("accept", "accept", "reject")), shown
            began = time.perf_counter()
            values = {"candidate": decided, "answer": "one", "reason": "not useful", "seconds": pace_s}
            shown, saved = reviewer.decide(act=action, **values)
            crowd.waits_s.append(time.perf_counter() - began)
            if not saved:
                crowd.troubles.append(f"{name}: {decided} was not confirmed")
            else:
                crowd.confirmed.append((name, decided, action))
    except Exception as error:
        crowd.troubles.append(f"{name}: {error!r}")
    if reviewer:
        reviewer.close()


def _shown(html: str) -> str:
    found = re.search(r'data-candidate="([^"]*)"', html)
    return found[1] if found else ""
