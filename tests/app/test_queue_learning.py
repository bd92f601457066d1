"""The queue follows what people accept, beside their decisions."""

import threading
from dataclasses import replace

from app.queue_learning import EVERY, QueueLearning
from leaml.records import RunId
from leaml.store import Store
from tests.store.test_store import PLACE, candidate, review


def wait_for_threads(before: int) -> None:
    for thread in threading.enumerate()[before:]:
        thread.join(30)


def test_the_order_changes_once_there_are_enough_decisions(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with Store.open(tmp_path) as store:
        store.results.add_generator_run(RunId("r1"), [candidate(n, n / 400, PLACE) for n in range(400)])
        learning, orders = QueueLearning(store), []
        for number in range(140):
            (row,) = store.queue.next(1)
            store.add_review(review(row, "accept" if (row.agreement or 0) > 0.9 - 0.2 * (number % 2) else "reject"))
            before = store.queue.next(60)
            threads = threading.active_count()
            learning.decided()
            wait_for_threads(threads)
            if store.queue.next(60) != before:
                orders.append(number + 1)
        assert orders[0] == 100 and len(orders) <= 2, "half as many decisions again, then anew"
        assert all(place % EVERY == 0 for place in orders)


def test_a_new_round_is_learnt_from_anew(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with Store.open(tmp_path) as store:
        learning, learnt = QueueLearning(store), []
        for number in (1, 2):
            pairs = [candidate(200 * number + n, n / 200, PLACE, round_number=number) for n in range(200)]
            store.results.add_generator_run(RunId(f"r{number}"), [replace(p, id=f"{number} {p.id}") for p in pairs])
            for place in range(120):
                (row,) = store.queue.next(1)
                store.add_review(review(row, "accept" if place % 3 else "reject"))
                threads = threading.active_count()
                learning.decided()
                if threading.active_count() > threads:
                    learnt.append((number, place + 1))
                wait_for_threads(threads)
        assert learnt == [(1, 100), (2, 100)]


def test_it_can_be_waited_for_and_begins_nothing_afterwards(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    began, may_end, ended = threading.Event(), threading.Event(), []

    def order(store: Store) -> bool:
        began.set()
        may_end.wait(30)
        ended.append(store)
        return True

    monkeypatch.setattr("app.queue_learning.order_by_acceptance", order)
    monkeypatch.setattr("app.queue_learning.LEAST_DECISIONS", 0)
    with Store.open(tmp_path) as store:
        learning = QueueLearning(store)
        for _ in range(EVERY):
            learning.decided()
        assert began.wait(30) and not ended
        threading.Timer(0.2, may_end.set).start()
        learning.close()
        assert ended == [store]
        for _ in range(EVERY):
            learning.decided()
        assert ended == [store]
        learning.close()  # a second time, as when a `with` ends after it
