"""One reviewer, no browser: how long opening, the next card and a decision take. A process of its own, for its memory.

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


def main(argv: list[str]) -> None:
    """Walk through the cards."""
    workspace, cards = Path(argv[0]), int(argv[1])
    began = time.perf_counter()
    with Store.open(workspace) as store:
        store.queue.next(1)
        opening_s = time.perf_counter() - began
    services = Services.open(Settings(workspace=workspace, sample=False))
    person, place = who_reviews(services), review.Place()
    next_s, commit_s = [], []
    for number in range(cards):
        began = time.perf_counter()
        place, _ = review.look(person, place)
        next_s.append(time.perf_counter() - began)
        offer = services.store.queue.offered(place.shown, person.reader)
        assert offer is not None
        data = {"act": ACTS[number % len(ACTS)], "answer": "one", "reason": "duplicate", "seconds": 2.0}
        decision = review.read_decision(offer.candidate, data, author=person.name)
        began = time.perf_counter()
        person.add_review(replace(decision, drawn=offer.drawn))
        commit_s.append(time.perf_counter() - began)
        place = replace(place, shown="")
    memory_bytes = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    services.close()
    figures = {"opening_s": opening_s, "next_s": next_s, "commit_s": commit_s, "memory_bytes": memory_bytes}
    print(json.dumps(figures))


def who_reviews(services: Services) -> Person:
    """Return the one at the computer, or the first of its users."""
    users = services.store.users.all()
    return who(services, users[0].name if users else None)


if __name__ == "__main__":
    main(sys.argv[1:])
