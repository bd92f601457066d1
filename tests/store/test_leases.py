"""Leases in a real store: one card, one person, for ten minutes."""

import threading
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaml.store import Store, leases
from leaml.store.database import now
from leaml.store.leases import LEASE

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
@given(
    st.lists(
        st.tuples(st.sampled_from("xyz"), st.sampled_from(("review", "label")), st.integers(0, 9), st.booleans()),
        max_size=25,
    )
)
def test_whoever_asks_when_nobody_else_has_it(tmp_path_factory, steps):
    """Whenever the app is restarted in between, and whatever is asked for of the other kind."""
    clock, held = now(), {}
    real, folder = leases.now, tmp_path_factory.mktemp("w")
    leases.now = lambda: clock
    store = Store.open(folder)
    try:
        for person, kind, minutes, restart in steps:
            clock += timedelta(minutes=minutes)
            if restart:
                store.close()
                store = Store.open(folder)
            card = store.leases.give(kind, person, first_free)
            held.pop((kind, person), None)
            others = {other for (of_kind, _), (other, until) in held.items() if of_kind == kind and until > clock}
            assert card not in others and (card is not None or others == set(CARDS))
            assert store.leases.held_by_others(kind, person) == others
            if card is not None:
                held[kind, person] = (card, clock + LEASE)
    finally:
        store.close()
        leases.now = real


def test_a_card_that_could_not_be_given_is_nobodys(tmp_path, monkeypatch):
    with Store.open(tmp_path) as store:
        assert store.leases.give("review", "ann", first_free) == "a"
        monkeypatch.setattr(leases, "LEASE", "no time")
        with pytest.raises(TypeError):
            store.leases.give("review", "bob", first_free)
        monkeypatch.undo()
        assert store.leases.held_by_others("review", "cy") == {"a"}
        assert store.leases.give("review", "cy", first_free) == "b"
