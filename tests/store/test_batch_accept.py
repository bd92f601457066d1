"""Batches in a real store: only after an audit has passed, and reversible as one."""

from dataclasses import replace

import pytest

from leaml.errors import StoreError
from leaml.records import Reader, RunId, Slice
from tests.store.test_queue import assert_derived, many
from tests.store.test_store import PLACE, SIZE, candidate, review, store  # noqa: F401 - a fixture


@pytest.fixture
def audited(store):  # noqa: F811
    """A store with 300 pairs of a type; everything below .5 is wrong. The first 160 pairs shown are reviewed."""
    store.results.add_generator_run(RunId("r1"), [*many(300, (PLACE,)), candidate(0, 0.99, SIZE)])
    decide(store, 160)
    return store


def decide(opened, count, **within):
    for row in opened.queue.next(count, within=Slice("place", **within)):
        action, answer = ("accept", None) if row.agreement >= 0.5 else ("edit", "right")
        opened.add_review(replace(review(row, action, answer), within=Slice("place", **within)))


def test_the_audit_of_a_slice_is_its_random_sample(audited):
    everything, high = audited.checks.audit(Slice("place")), audited.checks.audit(Slice("place", at_least=0.5))
    assert everything.audited == 80 and 0.3 < everything.precision.value < 0.7 and not everything.passed
    assert 25 <= high.audited <= 55 and high.precision.value == 1.0
    assert everything.open == 140 and high.open < everything.open
    assert audited.checks.audit(Slice("size")).precision is None


def test_a_narrower_filter_says_nothing_about_a_wider_slice(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(300, (PLACE,)))
    decide(store, 80, at_least=0.9)
    assert store.checks.audit(Slice("place", at_least=0.9)).audited in range(9, 22), "of 30 pairs about half"
    assert store.checks.audit(Slice("place", at_least=0.95)).audited > 0
    assert store.checks.audit(Slice("place", at_least=0.5)).audited == 0


def test_a_batch_waits_for_its_audit(audited):
    for type_id, at_least, why in (
        ("place", 0.1, "lower end"),
        ("size", 0.5, "0 of them were audited"),
        ("place", 0.99, "at least 30"),
    ):
        before = audited.verify_events()
        with pytest.raises(StoreError, match=why):
            audited.batches.accept(type_id, at_least=at_least, by="eve")
        assert audited.verify_events() == before
    for row in audited.queue.next(1, within=Slice("place", at_least=0.5)):
        audited.add_review(review(row, "skip", author="bob"))
    batch_size = audited.checks.audit(Slice("place", at_least=0.5)).open
    batch = audited.batches.accept("place", at_least=0.5, by="eve")
    assert (batch.accepted, batch.standing, batch.author, batch.type_id) == (batch_size, batch_size, "eve", "place")
    counts = audited.queue.counts()
    assert counts.skipped == 1 and counts.accepted > batch_size
    assert audited.checks.audit(Slice("place", at_least=0.5)).open == 0
    with pytest.raises(StoreError, match="No pair"):
        audited.batches.accept("place", at_least=0.5, by="eve")
    assert_derived(audited)


def test_undo_leaves_a_batch_alone(audited):
    batch = audited.batches.accept("place", at_least=0.5, by="eve")
    assert audited.undo_review("eve") is None
    assert next(found for found in audited.batches.all() if found.number == batch.number).standing == batch.accepted


def test_a_batch_is_taken_back_as_one_and_audits_nothing(audited):
    before, reviewed = audited.checks.audit(Slice("place", at_least=0.5)), audited.answered.reviewed()
    batch = audited.batches.accept("place", at_least=0.5, by="eve")
    during = audited.checks.audit(Slice("place", at_least=0.5))
    assert (during.audited, during.precision) == (before.audited, before.precision)
    offers = audited.queue.offers(Reader("bob", second_share=1.0), limit=500, within=Slice("place"))
    assert {offer.drawn for offer in offers} == {"second", "audit", "informative"}
    in_batch = {event.content["candidate_id"] for event in audited.events() if event.content.get("batch")}
    assert len(in_batch) == batch.accepted and not in_batch & {offer.candidate.id for offer in offers}
    taken = audited.rollback.batch(batch.number, by="eve")
    assert (taken.labels, taken.reviews) == (0, batch.accepted)
    assert audited.answered.reviewed() == reviewed
    assert audited.checks.audit(Slice("place", at_least=0.5)) == before
    assert [found.standing for found in audited.batches.all()] == [0]
    assert audited.verify_events()[0] == 160 + 2 * batch.accepted
    assert [session.author for session in audited.rollback.sessions()] == ["ann"]
    assert_derived(audited)
