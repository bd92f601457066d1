"""One reviewer, no browser: how long opening, the next card and a decision take. A process of its own, for its memory.

Processor time is measured too: unlike the wall clock, other work on the same computer hardly changes it.

`python -m benchmarks.review.walk WORKSPACE CARDS` prints the figures as JSON.
"""

import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

from app import review
from app.person import Person, who
from app.services import Services
from app.settings import Settings
from leaml.store import Store

ACTS = ("accept", "accept", "accept", "reject", "skip")


class Timer:
    """How long blocks take: by the clock, and of the processor, all threads of the process together."""

    def __init__(self) -> None:
        """Begin without any."""
        self.wall_s: list[float] = []
        self.cpu_s: list[float] = []

    def __enter__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall_s.append(time.perf_counter() - self._began[0])
        self.cpu_s.append(time.process_time() - self._began[1])


def main(argv: list[str]) -> None:
    """Walk through the cards."""
    workspace, cards = Path(argv[0]), int(argv[1])
    began = time.perf_counter()
    with Store.open(workspace) as store:
        store.queue.next(1)
        opening_s = time.perf_counter() - began
    services = Services.open(Settings(workspace=workspace, sample=False))
    person, place = who_reviews(services), review.Place()
    nexts, commits = Timer(), Timer()
    for number in range(cards):
        with nexts:
            place, _ = review.look(person, place)
        offer = services.store.queue.offered(place.shown, person.reader)
        assert offer is not None
        data = {"act": ACTS[number % len(ACTS)], "answer": "one", "reason": "duplicate", "seconds": 2.0}
        decision = review.read_decision(offer.candidate, data, author=person.name)
        with commits:
            person.add_review(replace(decision, drawn=offer.drawn))
        place = replace(place, shown="")
    memory_bytes = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    services.close()
    figures = {
        "opening_s": opening_s, "next_s": nexts.wall_s, "next_cpu_s": nexts.cpu_s, "commit_s": commits.wall_s,
        "commit_cpu_s": commits.cpu_s, "memory_bytes": memory_bytes,
    }  # fmt: skip
    print(json.dumps(figures))


def who_reviews(services: Services) -> Person:
    """Return the one at the computer, or the first of its users."""
    users = services.store.users.all()
    return who(services, users[0].name if users else None)


if __name__ == "__main__":
    main(sys.argv[1:])
