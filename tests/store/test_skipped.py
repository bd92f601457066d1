"""Who skips a second read or a dispute gets it again after the others, can take that back, and stops nobody else."""

from dataclasses import replace

import pytest

from leaml.records import Project, Reader, RunId
from leaml.store import Store, migrations
from tests.store.test_queue import assert_derived, assert_remembered, many
from tests.store.test_store import PLACE, candidate, image, pair, review, store  # noqa: F401 - a fixture

BOB, CY = Reader("bob", second_share=1.0), Reader("cy", second_share=1.0)


def offered(opened, reader):
    return [(offer.candidate.id, offer.drawn) for offer in opened.queue.offers(reader, limit=9)]


@pytest.fixture
def disputed(store):  # noqa: F811
    """A store with two pairs: ann and bob differ about the first one, nobody has looked at the second."""
    store.results.add_generator_run(RunId("r1"), many(2, (PLACE,)))
    for author, action, drawn in (("ann", "accept", None), ("bob", "reject", "second")):
        store.add_review(replace(review(candidate(0), action, author=author), drawn=drawn))
    return store


def test_a_skipped_dispute_comes_again_after_the_others(disputed):
    (_, half) = offered(disputed, CY)[1]
    dispute, other = ("r1-0-place", "adjudication"), ("r1-1-place", half)
    assert offered(disputed, CY) == [dispute, other]
    disputed.add_review(replace(review(candidate(0), "skip", author="cy"), drawn="adjudication"))
    assert offered(disputed, CY) == [other, dispute], "it is not lost where nobody else could settle it"
    assert offered(disputed, Reader("dan")) == [dispute, other], "others are asked as before"
    assert disputed.queue.offered("r1-0-place", CY).drawn == "adjudication"
    disputed.add_review(review(candidate(1), "skip", author="cy"))
    assert offered(disputed, CY) == [dispute, other], "in the order of skipping"
    assert_derived(disputed)
    assert_remembered(disputed, CY)
    assert disputed.queue.offers(CY, limit=9, others=["r1-0-place"])[0].candidate.id == "r1-1-place"
    disputed.close()
    with Store.open(disputed.workspace) as again:
        assert offered(again, CY) == [dispute, other]


def test_undo_takes_back_the_skip_and_no_other_decision(disputed):
    disputed.add_review(review(candidate(1), "accept", author="cy"))
    disputed.add_review(replace(review(candidate(0), "skip", author="cy"), drawn="adjudication"))
    assert disputed.undo_review("cy").id == "r1-0-place"
    assert disputed.queue.counts().accepted == 2, "what was decided before it stands"
    assert disputed.undo_review("cy").id == "r1-1-place" and disputed.undo_review("cy") is None
    disputed.add_review(replace(review(candidate(0), "skip", author="cy"), drawn="adjudication"))
    disputed.add_review(replace(review(candidate(0), "accept", author="dan"), drawn="adjudication"))
    assert disputed.undo_review("cy") is None, "somebody else has settled it"
    assert_derived(disputed)


def test_a_skipped_second_read_is_left_to_another(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(2, (PLACE,)))
    store.add_review(review(candidate(0), "accept"))
    assert [found for found, _ in offered(store, BOB)] == ["r1-0-place", "r1-1-place"]
    store.add_review(replace(review(candidate(0), "skip", author="bob"), drawn="second"))
    assert [found for found, _ in offered(store, BOB)] == ["r1-1-place", "r1-0-place"]
    assert offered(store, CY)[0] == ("r1-0-place", "second"), "the agreement would lose the hard pairs"
    assert store.undo_review("bob").id == "r1-0-place" and offered(store, BOB)[0] == ("r1-0-place", "second")
    store.add_review(replace(review(candidate(0), "skip", author="bob"), drawn="second"))
    assert_derived(store)
    assert_remembered(store, BOB)
    store.add_review(replace(review(candidate(0), "edit", "right", author="cy"), drawn="second"))
    assert len(store.checks.readings()) == 1 and store.undo_review("bob") is None
    assert offered(store, Reader("dan"))[0] == ("r1-0-place", "adjudication")
    assert_derived(store)


def test_a_workspace_of_an_older_version_gets_its_skipped_second_reads_back(tmp_path, monkeypatch):
    monkeypatch.setattr("leaml.store.database.MIGRATIONS", migrations.MIGRATIONS[:-1])
    with Store.open(tmp_path) as old:
        old.import_project(Project("Discs", "Drawn", (PLACE,)), [image(0)])
        old.results.add_generator_run(RunId("r1"), many(1, (PLACE,)))
        old.add_review(review(candidate(0), "accept"))
        old.add_review(replace(review(candidate(0), "skip", author="bob"), drawn="second"))
        for question in ("Where?", "where"):
            old.add_label(replace(pair(0), question=question), author="ann", seconds=1.0)
        assert offered(old, CY) == [] and len(old.labels()) == 2
    monkeypatch.undo()
    with Store.open(tmp_path) as opened:
        assert offered(opened, CY) == offered(opened, BOB) == [("r1-0-place", "second")]
        assert [label.pair.question for label in opened.labels()] == ["where"] and opened.verify_events()[0] == 4
        assert_derived(opened)
