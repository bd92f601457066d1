"""`kill -9` in the middle of a burst of review decisions, 30 times: what was confirmed is there, and the chain holds.

The processes hold a real store and do what the Review screen does: give out a card, save the decision, confirm it.
`python -m benchmarks.review --kills 30` does the same to the whole app.
"""

import multiprocessing
import random
import threading
import time
from collections import Counter

from leaml.labelling.experts import as_pair
from leaml.records import Reader, Review
from leaml.store import Store
from leaml.store.database import Database, now
from leaml.store.workspace import STORE_FILE

TIMES, PEOPLE = 30, ("ann", "bob", "cy")
PAIRS = """INSERT INTO candidates SELECT 'r1-' || n, 'i' || n, 'Where?', ['left', 'right'], 'left', 'place', -0.5, 0.5,
    [0.5, 0.5], 'r1', 1 FROM range(20000) numbers(n)"""


def burst(workspace, told):
    """Decide as three people at once until killed; say which decision was saved after it was."""
    store, telling = Store.open(workspace), threading.Lock()

    def decide(name):
        reader = Reader(name)
        while True:
            found = []

            def choose(others):
                found[:] = store.queue.offers(reader, limit=1, others=others)  # noqa: B023 - called at once
                return found[0].candidate.id  # noqa: B023

            store.leases.give("review", name, choose)
            (offer,) = found
            pair = as_pair(offer.candidate)
            store.add_review(Review(offer.candidate.id, "accept", pair, None, name, 1.0, offer.drawn))
            with telling:
                told.send((name, offer.candidate.id))

    for name in PEOPLE:
        threading.Thread(target=decide, args=(name,)).start()


def confirmed_before_kill(context, workspace, seconds):
    """Return what a process confirmed that was killed some time after its first confirmation."""
    heard, told = context.Pipe(duplex=False)
    process = context.Process(target=burst, args=(workspace, told))
    process.start()
    told.close()
    confirmed = [heard.recv()]
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if heard.poll(left):
            confirmed.append(heard.recv())
    process.kill()
    process.join()
    try:
        while True:
            confirmed.append(heard.recv())
    except EOFError:  # what was being said when it was killed was not confirmed
        return confirmed


def test_thirty_kills_lose_nothing_that_was_confirmed(tmp_path):
    database = Database(tmp_path / STORE_FILE)
    with database.transaction("make pairs") as cursor:
        cursor.execute(PAIRS)
        cursor.execute("INSERT INTO ingested_runs VALUES ('r1', 'generator', ?)", [now()])
    database.close()
    Store.open(tmp_path).close()  # puts the pairs in order
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["leaml.store", "tests.store.test_kill"])
    draw, confirmed, moments = random.Random(0), Counter(), set()
    for _ in range(TIMES):
        confirmed.update(confirmed_before_kill(context, tmp_path, draw.uniform(0.0, 0.3)))
        with Store.open(tmp_path) as store:
            count, _ = store.verify_events()
            kept = Counter((event.content["author"], event.content["candidate_id"]) for event in store.events())
            assert confirmed <= kept, "a confirmed decision is gone"
            assert len({candidate for _, candidate in kept}) == count, "a pair was given to two people"
            assert store.queue.counts().accepted == count, "the queue does not say what the events say"
            moments.add(count)
    assert len(moments) == TIMES and sum(confirmed.values()) > 3 * TIMES
