"""Pairs whose question has a label: nobody is asked about them, and they come back when the label is taken back."""

from dataclasses import replace
from datetime import UTC, datetime

from leaml.data.labels import import_labels
from leaml.records import AnsweredQuestion, ImageId, Project, Reader, RunId, Slice
from leaml.store import Store, migrations
from tests.store.test_batch_accept import audited  # noqa: F401 - a fixture
from tests.store.test_queue import assert_derived, assert_remembered, halves, many
from tests.store.test_store import PLACE, SIZE, candidate, image, pair, review, store  # noqa: F401 - a fixture

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def shown(opened, **narrowed):
    return [row.id for row in opened.queue.next(99, within=Slice(**narrowed))]


def test_a_labelled_pair_is_left_out_and_comes_back_in_its_place(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(4))
    before = shown(store)
    assert len(before) == 8 and store.queue.counts().open == 8
    store.add_label(pair(1, "right"), author="ann", seconds=1.0)
    left = [one for one in before if one != "r1-1-place"]
    assert shown(store) == left and shown(store, type_id="place") == [one for one in left if one.endswith("place")]
    assert (store.queue.counts().open, store.queue.size(Slice()), store.queue.size(Slice("place"))) == (7, 7, 3)
    assert store.queue.offered("r1-1-place", Reader("bob")) is None
    assert_derived(store)
    assert_remembered(store, Reader("bob"))
    store.undo_label("ann")
    assert shown(store) == before and store.queue.counts().open == 8
    assert_remembered(store, Reader("bob"))


def test_it_is_the_same_question_by_its_words_or_by_its_type_and_about_the_same_image(store):  # noqa: F811
    free = replace(candidate(2, kind=SIZE), id="free", question="Is it round?", type_id=None)
    store.results.add_generator_run(RunId("r1"), [*many(2), free])
    other_words = replace(pair(0), question="On which side?")
    for label in (other_words, AnsweredQuestion(ImageId("i2"), "Is it round?", (), "yes"), pair(5)):
        store.add_label(label, author="ann", seconds=1.0)
    assert set(shown(store)) == {"r1-0-size", "r1-1-place", "r1-1-size"}
    store.add_label(AnsweredQuestion(ImageId("i1"), "Anything odd?", (), "no"), author="ann", seconds=1.0)
    assert len(shown(store)) == 3, "another question without a type"


def test_a_changed_label_that_is_undone_is_still_a_label(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(2))
    for answer in ("left", "right"):
        store.add_label(pair(0, answer), author="ann", seconds=1.0)
    store.undo_label("ann")
    assert "r1-0-place" not in shown(store)
    store.undo_label("ann")
    assert "r1-0-place" in shown(store)


def test_a_skipped_pair_is_skipped_again_when_its_label_is_taken_back(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(2, (PLACE,)))
    store.add_review(review(candidate(0), "skip"))
    store.add_label(pair(0), author="ann", seconds=1.0)
    assert (shown(store), store.queue.counts().skipped, store.queue.counts().open) == (["r1-1-place"], 0, 1)
    store.undo_label("ann")
    assert (shown(store), store.queue.counts().skipped) == (["r1-1-place", "r1-0-place"], 1)
    store.add_label(pair(1), author="ann", seconds=1.0)
    store.add_review(review(candidate(1), "skip"))
    assert shown(store) == ["r1-0-place"], "a skip decides nothing"
    assert_derived(store)
    assert_remembered(store, Reader("ann"))


def test_decisions_stay_and_count_whatever_is_labelled_afterwards(store):  # noqa: F811
    """The audit would look better than it is without the pairs that were rejected and then labelled."""
    store.results.add_generator_run(RunId("r1"), many(40, (PLACE,)))
    audit = next(one for one, half in halves(store).items() if half == "audit")
    (row,) = [found for found in store.queue.next(40) if found.id == audit]
    number = int(audit.split("-")[1])
    store.import_project(store.project(), [image(number)])
    store.add_review(review(row, "reject"))
    store.add_label(pair(number, "right"), author="ann", seconds=1.0)
    assert store.queue.counts().rejected == 1 and store.checks.audit().audited == 1
    store.undo_review("ann")
    assert audit not in shown(store) and store.queue.counts().open == 39, "open again, but the label counts"
    store.undo_label("ann")
    assert audit in shown(store)
    assert_derived(store)


def test_a_dispute_about_a_labelled_question_needs_nobody(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(2, (PLACE,)))
    for author, action, drawn in (("ann", "accept", None), ("bob", "reject", "second")):
        store.add_review(replace(review(candidate(0), action, author=author), drawn=drawn))
    store.add_review(review(candidate(1), "accept", author="ann"))
    third, second = Reader("cy"), Reader("bob", second_share=1.0)
    assert [offer.drawn for offer in store.queue.offers(third, limit=4)] == ["adjudication"]
    for number in (0, 1):
        store.add_label(pair(number), author="ann", seconds=1.0)
    assert store.queue.offers(third, limit=4) == []
    assert [offer.candidate.id for offer in store.queue.offers(second, limit=4)] == ["r1-1-place"], "a measurement"
    store.undo_label("ann")
    store.undo_label("ann")
    assert [offer.drawn for offer in store.queue.offers(third, limit=4)] == ["adjudication"]
    assert_derived(store)


def test_a_batch_leaves_it_out(audited):  # noqa: F811
    within = Slice("place", at_least=0.5)
    asked, size = audited.queue.next(1, within=within)[0], audited.checks.audit(within).open
    number = int(asked.id.split("-")[1])
    audited.import_project(audited.project(), [image(number)])
    audited.add_label(pair(number), author="ann", seconds=1.0)
    assert audited.checks.audit(within).open == size - 1
    assert audited.batches.accept("place", at_least=0.5, by="eve").accepted == size - 1
    assert_derived(audited)


def test_many_labels_at_once_and_their_roll_back(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(6, (PLACE, SIZE)))
    before = shown(store)
    lines = [f"{number}.jpg,{kind.id},{kind.options[0]}" for number in range(6) for kind in (PLACE, SIZE)]
    import_labels(store, "\n".join(["image,question,answer", *lines[:-1]]), author="ann")
    assert shown(store) == ["r1-5-size"] and store.queue.counts().open == 1
    assert_remembered(store, Reader("bob"))
    store.add_review(review(candidate(5, kind=SIZE), "accept"))
    assert store.rollback.person("ann", LONG_AGO, by="eve").labels == 11
    assert shown(store) == before and store.queue.counts().open == 12
    assert_derived(store)
    assert_remembered(store, Reader("bob"))


def test_more_labels_than_ids_are_written_out(store, monkeypatch):  # noqa: F811
    monkeypatch.setattr("leaml.store.queue.LOOKED_UP", 3)
    monkeypatch.setattr("leaml.store.queue_order.LOOKED_UP", 3)
    store.results.add_generator_run(RunId("r1"), many(6))
    store.add_labels([(pair(number), "ann") for number in range(5)])
    assert store.queue.counts().open == 7 == len(shown(store))
    assert store.rollback.person("ann", LONG_AGO, by="eve").labels == 5
    assert store.queue.counts().open == 12 == len(shown(store))
    assert_derived(store)
    assert_remembered(store, Reader("bob"))


def test_it_stays_so_when_the_order_is_made_anew(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(3))
    second = [replace(row, id=f"new {row.id}", round=2, run_id=RunId("r2")) for row in many(3)]
    store.results.add_generator_run(RunId("r2"), second)
    store.add_label(pair(0), author="ann", seconds=1.0)
    store.queue.set_quotas({"size": 3})
    assert len(shown(store)) == 5 and "new r1-0-place" not in shown(store)
    store.queue.reorder("agreement - 0.5")
    assert len(shown(store)) == 5
    store.rounds.take_back(2, by="ann")
    assert len(shown(store)) == 5 and "r1-0-place" not in shown(store), "the round before it, labelled meanwhile"
    assert_derived(store)


def test_a_workspace_of_an_older_version_is_carried_over(tmp_path, monkeypatch):
    step = next(n for n, sql in enumerate(migrations.MIGRATIONS) if isinstance(sql, str) and "DROP TABLE IF" in sql)
    monkeypatch.setattr("leaml.store.database.MIGRATIONS", migrations.MIGRATIONS[:step])
    with Store.open(tmp_path) as old:
        old.import_project(Project("Discs", "Drawn", (PLACE,)), [image(0), image(1)])
        old.results.add_generator_run(RunId("r1"), many(2, (PLACE,)))
        old.add_label(pair(0), author="ann", seconds=1.0)
        old._database.rows("UPDATE review_queue SET action = NULL")  # older versions set nothing aside
    monkeypatch.undo()
    with Store.open(tmp_path) as opened:
        assert shown(opened) == ["r1-1-place"] and opened.queue.counts().open == 1
        assert_derived(opened)
        opened.undo_label("ann")
        assert len(shown(opened)) == 2
