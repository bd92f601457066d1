"""Leases in a real store: one card, one person, for ten minutes."""

import threading
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from leaml import leases
from leaml.database import now
from leaml.leases import LEASE
from leaml.store import Store

CARDS = ["a", "b", "c"]


def first_free(others):
    return next((card for card in CARDS if card not in others), None)


def test_a_lease_survives_a_restart_and_ends_by_itself(tmp_path, monkeypatch):
    with Store.open(tmp_path) as store:
        assert store.leases.give("review", "ann", first_free) == "a"
        assert store.leases.give("label", "bob", first_free) == "a", "labelling and reviewing do not meet"
    with Store.open(tmp_path) as store:
        assert store.leases.give("review", "bob", first_free) == "b"
        assert store.leases.give("review", "ann", first_free) == "a"
        monkeypatch.setattr(leases, "now", lambda: now() + LEASE - timedelta(seconds=30))
        assert store.leases.held_by_others("review", "bob") == {"a"}
        monkeypatch.setattr(leases, "now", lambda: now() + LEASE)
        assert store.leases.give("review", "bob", first_free) == "a"
        assert store._database.rows("SELECT count(*) AS n FROM leases") == [{"n": 1}], "what is over is swept away"


def test_people_at_once_get_different_cards(tmp_path):
    with Store.open(tmp_path) as store:
        given_out = {}

        def ask(person):
            given_out[person] = store.leases.give("review", person, first_free)

        threads = [threading.Thread(target=ask, args=(f"p{number}",)) for number in range(5)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    assert sorted(given_out.values(), key=str) == [None, None, "a", "b", "c"]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 9)), max_size=25))
def test_whoever_asks_when_nobody_else_has_it(tmp_path_factory, steps):
    clock, held = now(), {}
    real = leases.now
    leases.now = lambda: clock
    try:
        with Store.open(tmp_path_factory.mktemp("w")) as store:
            for person, minutes in steps:
                clock += timedelta(minutes=minutes)
                card = store.leases.give("review", person, first_free)
                held.pop(person, None)
                others = {other for other, until in held.values() if until > clock}
                assert card not in others and (card is not None or others == set(CARDS))
                held[person] = (card, clock + LEASE)
    finally:
        leases.now = real
