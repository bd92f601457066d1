"""Rounds: what they count, and that taking one back loses nothing and leaves the round before it as it was."""

from dataclasses import replace

import pytest

from leaml.errors import StoreError
from leaml.records import Reader, RunId
from tests.store.test_queue import assert_derived, many
from tests.store.test_store import PLACE, candidate, review, store  # noqa: F401 - a fixture


@pytest.fixture
def two_rounds(store):  # noqa: F811
    """A store with two rounds of six pairs; one of the first is accepted, of the second one each way."""
    first, others = many(6, (PLACE,)), many(7, (PLACE,))[1:]
    store.results.add_generator_run(RunId("r1"), first)
    store.add_review(review(first[0], "accept"))
    second = [replace(row, id=f"new {row.id}", round=2, run_id=RunId("r2"), answer="right") for row in others]
    store.results.add_generator_run(RunId("r2"), second)
    for row, action in zip(second, ("accept", "edit", "reject", "skip"), strict=False):
        store.add_review(review(row, action))
    return store


def test_they_count_pairs_and_decisions(two_rounds):
    first, second = two_rounds.rounds.all()
    assert (first.number, first.pairs, first.accepted, first.decided, first.taken_back) == (1, 6, 1, 1, False)
    assert (second.pairs, second.accepted, second.edited, second.rejected, second.decided) == (6, 1, 1, 1, 3)
    assert second.at > first.at


def test_a_round_taken_back_is_out_of_use_and_the_one_before_goes_on(two_rounds):
    before = list(two_rounds.events())
    kept = two_rounds.answered.reviewed()
    taken = two_rounds.rounds.take_back(2, by="ann")
    assert (taken.labels, taken.reviews) == (0, 4)
    assert two_rounds.rounds.taken_back() == {2} and two_rounds.rounds.all()[1].decided == 0
    assert len(two_rounds.results.candidates()) == 12 and list(two_rounds.events())[: len(before)] == before
    assert two_rounds.verify_events()[0] == len(before) + 5
    *_, last = two_rounds.events()
    assert (last.content["table"], last.content["round"], last.content["author"]) == ("round_events", 2, "ann")
    left = {row.id for row in many(6, (PLACE,))} - {"r1-0-place"}
    assert {row.id for row in two_rounds.queue.next(9)} == left == {row.id for row in two_rounds.results.pseudo_pairs()}
    assert two_rounds.queue.counts().accepted == 1 and len(kept) == 3 and len(two_rounds.answered.reviewed()) == 1
    assert_derived(two_rounds)
    assert two_rounds.results.round() == 3, "the next round gets a number of its own"


def test_only_the_latest_in_use_can_be_taken_back_and_then_the_one_before(two_rounds):
    events = list(two_rounds.events())
    for number, said in ((1, r"that is 2\. Nothing was changed"), (3, "no round 3 in use")):
        with pytest.raises(StoreError, match=said):
            two_rounds.rounds.take_back(number, by="ann")
    assert list(two_rounds.events()) == events
    two_rounds.rounds.take_back(2, by="ann")
    two_rounds.rounds.take_back(1, by="ann")
    assert two_rounds.queue.next(9) == [] and two_rounds.answered.reviewed() == []
    with pytest.raises(StoreError, match=r"no round 1 in use\. Nothing was changed; reload"):
        two_rounds.rounds.take_back(1, by="ann")
    fresh = [replace(row, id=f"third {row.id}", round=3, run_id=RunId("r3")) for row in many(2, (PLACE,))]
    two_rounds.results.add_generator_run(RunId("r3"), fresh)
    assert len(two_rounds.queue.next(9)) == 2 and [row.taken_back for row in two_rounds.rounds.all()] == [1, 1, 0]


def test_it_is_the_same_after_the_store_was_closed(two_rounds):
    two_rounds.rounds.take_back(2, by="ann")
    rounds, workspace = two_rounds.rounds.all(), two_rounds.workspace
    two_rounds.close()
    with type(two_rounds).open(workspace) as again:
        assert again.rounds.all() == rounds and len(again.queue.next(9)) == 5


def test_undo_leaves_decisions_of_an_earlier_round_alone(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), [candidate(0), candidate(1)])
    for number in (0, 1):
        store.add_review(review(candidate(number), "accept"))
    store.results.add_generator_run(RunId("r2"), [candidate(2, round_number=2)])
    assert store.undo_review("ann") is None and len(store.answered.reviewed()) == 2
    (row,) = store.queue.next(1)
    store.add_review(review(row, "accept"))
    assert store.undo_review("ann") == row and store.undo_review("ann") is None


def test_what_settled_a_dispute_of_an_earlier_round_can_be_undone(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), [candidate(0)])
    for author, action, drawn in (("ann", "accept", None), ("bob", "reject", "second")):
        store.add_review(replace(review(candidate(0), action, author=author), drawn=drawn))
    store.results.add_generator_run(RunId("r2"), [candidate(1, round_number=2)])
    store.add_review(replace(review(candidate(0), "accept", author="cy"), drawn="adjudication"))
    assert store.undo_review("cy") is not None
    assert [offer.drawn for offer in store.queue.offers(Reader("cy"), limit=1)] == ["adjudication"]
