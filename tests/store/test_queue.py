"""The review queue in a real store: two halves, types in turn, filters, and a derived table that never lies."""

from dataclasses import replace

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leaml.errors import StoreError
from leaml.labelling.experts import as_pair
from leaml.records import Caption, ImageId, Project, Reader, RunId, Slice
from leaml.store import Store, migrations
from leaml.store.database import Database
from leaml.store.queue import Queue
from leaml.store.workspace import STORE_FILE
from tests.store.test_store import PLACE, SIZE, candidate, image, pair, review, store  # noqa: F401 - a fixture

STANDING = """
    SELECT q.candidate_id, q.half, q.turn, r.event_id,
        CASE WHEN coalesce(r.action, 'skip') <> 'skip' OR (c.image_id, c.question) NOT IN (
            SELECT (image_id, question) FROM current_labels) THEN r.action ELSE 'labelled' END AS action,
        r.author, r.drawn, r.seconds, CASE WHEN s.author <> r.author THEN s.author END AS second_author
    FROM review_queue q JOIN candidates c ON c.id = q.candidate_id
        LEFT JOIN current_reviews r ON r.candidate_id = q.candidate_id
        LEFT JOIN second_reads s ON s.candidate_id = q.candidate_id ORDER BY q.candidate_id
"""
KEPT = """
    SELECT * EXCLUDE (image_id, image_number, type_id, chance, agreement, log_probability, margin, captioned)
    FROM review_queue
"""
DISPUTED = "SELECT candidate_id FROM {} ORDER BY candidate_id"
PASSED = """
    SELECT candidate_id, author, max(event_id) AS event_id FROM {} WHERE {} GROUP BY candidate_id, author ORDER BY ALL
"""
SKIPS = "drawn IN ('second', 'adjudication') AND action = 'skip'"


def assert_remembered(opened, reader):
    """What the queue remembers is what a new one would find."""
    fresh, remembered = Queue(opened._database), opened.queue
    assert remembered.counts() == fresh.counts()
    for within, others in ((Slice(), ()), (Slice("size"), ("r1-0-size", "r1-1-place"))):
        asked = {"limit": 3, "within": within, "others": others}
        assert remembered.offers(reader, **asked) == fresh.offers(reader, **asked)


def assert_derived(opened):
    """The queue's table says what the events say."""
    rows = opened._database.rows
    assert rows(f"{KEPT} ORDER BY candidate_id") == rows(STANDING)
    assert rows(DISPUTED.format("disputed")) == rows(DISPUTED.format("conflicts"))
    assert rows(PASSED.format("passed", "true")) == rows(PASSED.format("standing_reviews", SKIPS))


def many(count, kinds=(PLACE, SIZE)):
    """Return pairs of `count` images and some types, whose agreements are all different."""
    return [candidate(n, (n + 0.5) / count, kind) for n in range(count) for kind in kinds]


def halves(opened):
    return {
        row["candidate_id"]: row["half"] for row in opened._database.rows("SELECT candidate_id, half FROM review_queue")
    }


def test_types_and_halves_take_turns_as_decisions_come_in(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(20))
    half_of, shown = halves(store), []
    while queue := store.queue.next(1):
        shown.append(queue[0])
        store.add_review(review(queue[0], "accept"))
    assert [row.type_id for row in shown] == ["place", "size"] * 20
    for kind in ("place", "size"):
        order = [half_of[row.id] for row in shown if row.type_id == kind]
        pairs = [set(order[at : at + 2]) for at in range(0, 20, 2)]
        assert pairs == [{"audit", "informative"}] * 10
        assert len({*zip(order[::2], order[1::2], strict=True)}) == 2, "which of the two comes first cannot be guessed"
    counts = store.queue.counts()
    assert (counts.open, counts.accepted) == (0, 40)


def test_the_informative_half_begins_with_the_least_sure_and_the_audit_does_not(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(200, (PLACE,)))
    half_of, order = halves(store), store.queue.next(200)
    doubt = {
        half: [abs(row.agreement - 0.5) for row in order if half_of[row.id] == half] for half in set(half_of.values())
    }
    assert doubt["informative"] == sorted(doubt["informative"]) and len(doubt["audit"]) == 100
    assert 0.15 < sum(doubt["audit"][:40]) / 40 < 0.35, "a random sample's mean is near the whole's, .25"


def test_the_half_is_recorded_with_the_decision_and_so_is_the_filter(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(4))
    half_of = halves(store)
    for row in store.queue.next(8):
        store.add_review(replace(review(row, "accept"), within=Slice("place", 0.25, 0.75, True)))
    contents = [event.content for event in store.events()]
    assert {content["candidate_id"]: content["drawn"] for content in contents} == half_of
    assert {(c["filter_from"], c["filter_to"], c["filter_captioned"]) for c in contents} == {(0.25, 0.75, True)}


def test_filters(store):  # noqa: F811
    rows = [*many(6), replace(candidate(5, None, PLACE), id="open", options=(), option_probabilities=())]
    store.results.add_generator_run(RunId("r1"), rows)

    def left(**narrowed):
        found = {row.id for row in store.queue.next(99, within=Slice(**narrowed))}
        assert len(found) == store.queue.size(Slice(**narrowed))
        return found

    assert left() == {row.id for row in rows}
    assert left(type_id="size") == {row.id for row in rows if row.type_id == "size"}
    assert left(at_least=0.7) == {row.id for row in rows if row.agreement and row.agreement >= 0.7}
    assert left(at_most=0.3) == {row.id for row in rows if row.agreement and row.agreement <= 0.3}
    assert left(captioned=True) == {"r1-0-place", "r1-0-size"}
    store.captions.add([Caption(ImageId("i3"), "Two discs.", "teacher", "Describe.")])
    assert left(captioned=True, type_id="place") == {"r1-0-place", "r1-3-place"}
    assert left(captioned=False, type_id="place", at_most=0.2) == {"r1-1-place"} - left(at_least=0.2)


def test_skipped_pairs_come_last_in_the_order_of_skipping(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(3))
    first, second, third, *rest = store.queue.next(9)
    for row in (second, first):
        store.add_review(review(row, "skip"))
    assert store.queue.next(9) == [third, *rest, second, first]
    assert store.queue.next(5) == [third, *rest, second]


def test_more_than_a_few_pairs_keep_their_order(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(60))
    assert [row.id for row in store.queue.next(120)][:9] == [row.id for row in store.queue.next(9)]
    assert len({row.id for row in store.queue.next(120)}) == 120


def test_a_pair_that_is_decided_or_unknown_is_not_offered(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(1))
    row, ann = store.queue.next(1)[0], Reader("ann")
    assert store.queue.offered(row.id, ann).candidate == row
    store.add_review(review(row, "skip"))
    assert store.queue.offered(row.id, ann) is not None, "a skipped pair is open"
    store.add_review(review(row, "reject"))
    assert store.queue.offered(row.id, ann) is None and store.queue.offered("nothing", ann) is None


def test_reordering_moves_the_informative_half_only(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(20, (PLACE,)))
    half_of, before = halves(store), [row.id for row in store.queue.next(40)]
    store.queue.reorder("agreement - 0.9")
    after = store.queue.next(40)
    informative = [abs(row.agreement - 0.9) for row in after if half_of[row.id] == "informative"]
    assert informative == sorted(informative) and [row.id for row in after] != before
    for order in (before, [row.id for row in after]):
        assert [half_of[candidate_id] for candidate_id in order] == [half_of[candidate_id] for candidate_id in before]


def test_reordering_brings_two_thousand_to_the_front_and_leaves_the_rest_as_it_was(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(4_300, (PLACE,)))
    half_of = halves(store)
    before = [row for row in store.queue.next(4_300) if half_of[row.id] == "informative"]
    assert len(before) == 2_150
    for row in before[:3]:
        store.add_review(review(row, "accept"))
    store.queue.reorder("agreement - 0.9")
    after = [row for row in store.queue.next(4_300) if half_of[row.id] == "informative"]
    doubt = [abs(row.agreement - 0.9) for row in after]
    assert doubt[:2_000] == sorted(doubt)[:2_000] and sorted(doubt)[2_000:] != doubt[2_000:]
    never_in_front = set(after[2_000:]) & set(before[2_003:])
    assert set(after) == set(before[3:]) and never_in_front
    assert [row for row in after if row in never_in_front] == [row for row in before if row in never_in_front]
    assert_remembered(store, Reader("ann"))


def test_quotas_say_how_often_a_type_comes_and_leave_its_own_order_alone(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(40))
    before, half_of = store.queue.next(80), halves(store)
    store.queue.set_quotas({"place": 3})
    after = store.queue.next(80)
    assert store.queue.quotas() == {"place": 3} and halves(store) == half_of
    assert [row.type_id for row in after[:40]].count("place") in range(29, 32)
    for kind in ("place", "size"):
        assert [row for row in after if row.type_id == kind] == [row for row in before if row.type_id == kind]
    store.queue.reorder("agreement - 0.5")
    assert [row.type_id for row in store.queue.next(40)].count("place") in range(29, 32)
    store.queue.set_quotas({"size": 0})
    assert [row.type_id for row in store.queue.next(80)] == ["place"] * 40 + ["size"] * 40
    store.results.add_generator_run(RunId("r2"), [replace(row, round=2, id=f"new {row.id}") for row in many(5)])
    assert [row.type_id for row in store.queue.next(10)] == ["place"] * 5 + ["size"] * 5, "they hold in later rounds"
    store.queue.set_quotas({})
    assert [row.type_id for row in store.queue.next(10)].count("size") == 5 and store.queue.quotas() == {}


def test_a_workspace_without_an_order_gets_one_and_keeps_its_decisions(tmp_path, monkeypatch):
    monkeypatch.setattr("leaml.store.database.MIGRATIONS", migrations.MIGRATIONS[:6])
    old = Database(tmp_path / STORE_FILE)
    with old.transaction("fill it") as cursor:
        old.insert("candidates", [candidate(0), candidate(1)], type(candidate(0)), cursor)
    values = {"image_id": "i0", "question": "Where?", "options": ["left", "right"], "answer": "left", "author": "ann"}
    old.append("review_events", {**values, "candidate_id": "r1-0-place", "action": "accept", "seconds": 1.5})
    old.rows("INSERT INTO event_hashes VALUES (1, 'kept as it is')")
    old.close()
    monkeypatch.undo()
    with Store.open(tmp_path) as opened:
        assert [row.id for row in opened.queue.next(9)] == ["r1-1-place"]
        assert [found.answer for found in opened.answered.reviewed()] == ["left"]
        assert opened.queue.counts().median_seconds == 1.5
        assert_derived(opened)
        (event,) = opened.events()
        assert event.content["author"] == "ann" and "drawn" not in event.content and event.hash == "kept as it is"


def decide(opened, offer, name, act, read):
    """Decide about an offer; `read` tells who has decided a pair last."""
    action = {"right": "edit", "none": "accept"}.get(act, act)
    answer = offer.candidate.options[1] if act == "right" else None
    if offer.drawn == "second":
        assert read[offer.candidate.id] != name, "a second read is another person's"
    elif action != "skip" and offer.drawn != "adjudication":  # which may be taken back, and then waits again
        read[offer.candidate.id] = name
    opened.add_review(replace(review(offer.candidate, action, answer, author=name), drawn=offer.drawn))


ACTS = st.tuples(
    st.sampled_from(("ann", "bob", "cy")),
    st.sampled_from(("accept", "right", "reject", "skip", "undo", "none", "label", "unlabel")),
)


@settings(max_examples=25, deadline=None)
@example(
    steps=[*((name, "accept") for name in ("ann", "bob", "cy", "ann")), ("cy", "undo"), ("bob", "accept")], share=1.0
)
@example(
    steps=[*((name, "accept") for name in ("ann", "bob", "cy", "ann")), ("cy", "undo"), ("bob", "right")], share=1.0
)
@example(
    steps=[
        *(("ann", "accept"), ("cy", "accept"), ("bob", "right"), ("ann", "accept")),
        *(("ann", "undo"), ("bob", "undo"), ("ann", "accept")),
    ],
    share=0.5,
)
@given(steps=st.lists(ACTS, max_size=30), share=st.sampled_from((0.0, 0.5, 1.0)))
def test_whatever_people_do_the_queue_says_what_the_events_say(tmp_path_factory, steps, share):
    with Store.open(tmp_path_factory.mktemp("w")) as opened:
        opened.import_project(Project("Discs", "Drawn", (PLACE, SIZE)), [image(n) for n in range(3)])
        opened.results.add_generator_run(RunId("r1"), many(3))
        read = {}
        for name, act in steps:
            reader = Reader(name, adjudicates=name == "cy", second_share=share)
            if act == "undo":
                opened.undo_review(name)
            elif act == "unlabel":
                opened.undo_label(name)
            elif offers := opened.queue.offers(reader, limit=4):
                offer = offers[0]
                assert opened.queue.offered(offer.candidate.id, reader) == offer
                if act == "label":
                    opened.add_label(as_pair(offer.candidate), author=name, seconds=1.0)
                else:
                    decide(opened, offer, name, act, read)
            assert_derived(opened)
            assert_remembered(opened, reader)
        opened.verify_events()


def test_two_readers_who_differ_wait_for_a_third(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), [candidate(0)])
    ann, bob, cy, admin = (
        Reader(name, second_share=1.0, adjudicates=name == "ann") for name in ("a", "bob", "cy", "ann")
    )
    store.add_review(replace(review(candidate(0), "accept", author="a"), within=Slice()))
    assert store.queue.offers(ann, limit=4) == [] and store.answered.reviewed() == [pair(0)]
    (offer,) = store.queue.offers(bob, limit=4)
    assert offer.drawn == "second" and store.queue.offers(replace(bob, second_share=0.0), limit=4) == []
    store.add_review(replace(review(candidate(0), "edit", "right", author="bob"), drawn="second"))
    assert store.answered.reviewed() == [], "not trained on while two differ"
    assert store.queue.offers(ann, limit=4) == [] == store.queue.offers(bob, limit=4)
    for third in (cy, admin):
        assert [found.drawn for found in store.queue.offers(third, limit=4)] == ["adjudication"]
    store.add_review(replace(review(candidate(0), "skip", author="cy"), drawn="adjudication"))
    assert len(store.queue.offers(cy, limit=4)) == len(store.queue.offers(admin, limit=4)) == 1
    store.add_review(replace(review(candidate(0), "edit", "right", author="ann"), drawn="adjudication"))
    assert store.answered.reviewed() == [pair(0, "right")] and store.queue.offers(admin, limit=4) == []
    assert_derived(store)


def test_a_conflict_of_an_earlier_round_is_still_decided(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), [candidate(0)])
    store.add_review(review(candidate(0), "accept", author="ann"))
    store.add_review(replace(review(candidate(0), "reject", author="bob"), drawn="second"))
    store.results.add_generator_run(RunId("r2"), [candidate(1, round_number=2)])
    offers = store.queue.offers(Reader("cy"), limit=4)
    assert [(offer.candidate.id, offer.drawn) for offer in offers][:1] == [("r1-0-place", "adjudication")]


@pytest.mark.parametrize("answers", [("left", "left"), ("right", "right")])
def test_two_readers_who_agree_are_no_conflict(store, answers):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), [candidate(0)])
    for author, answer, drawn in zip(("ann", "bob"), answers, (None, "second"), strict=True):
        action = "accept" if answer == "left" else "edit"
        store.add_review(replace(review(candidate(0), action, answer, author=author), drawn=drawn))
    assert store.answered.reviewed() == [pair(0, answers[0])]
    assert store.queue.offers(Reader("cy", second_share=1.0), limit=4) == []


@pytest.mark.parametrize("act", ["decide", "undo", "new round", "captions", "reorder"])
def test_what_fails_is_forgotten(store, monkeypatch, act):  # noqa: F811
    """The commit itself fails, when everything was written and remembered already."""
    store.results.add_generator_run(RunId("r1"), many(4))
    first, second, *_ = store.queue.next(9)
    store.add_review(review(first, "accept"))
    before = (store.queue.counts(), store.queue.next(9), store.label_counts(), store.project())
    acts = {
        "decide": lambda: store.add_review(review(second, "reject")),
        "undo": lambda: store.undo_review("ann"),
        "new round": lambda: store.results.add_generator_run(RunId("r2"), [candidate(7, round_number=2)]),
        "captions": lambda: store.captions.add([Caption(ImageId("i3"), "Discs.", "teacher", "Describe.")]),
        "reorder": lambda: store.queue.reorder("agreement"),
    }
    real = Database._cursor

    class Failing:
        def __init__(self, cursor):
            self.cursor = cursor

        def __getattr__(self, name):
            return getattr(self.cursor, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.cursor.close()

        def commit(self):
            raise duckdb.IOException("IO Error: Could not write file: No space left on device")

    monkeypatch.setattr(Database, "_cursor", lambda database: Failing(real(database)))
    with pytest.raises(StoreError, match=r"disk of .* is full"):
        acts[act]()
    monkeypatch.undo()
    assert (store.queue.counts(), store.queue.next(9), store.label_counts(), store.project()) == before
    assert_derived(store)
    assert_remembered(store, Reader("ann"))
    store.add_review(review(second, "accept"))
    assert store.verify_events()[0] == 2 and store.queue.counts().accepted == 2


def test_cards_of_others_are_left_out_however_many_they_are(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), many(60))
    order = [row.id for row in store.queue.next(120)]
    for row in store.queue.next(3):
        store.add_review(review(row, "skip"))
    for held in (0, 1, 70, 110, 117, 118, 119, 120):
        left = [row for row in [*order[3:], *order[:3]] if row not in order[3 : 3 + held]]
        found = store.queue.offers(Reader("ann"), limit=4, others=set(order[3 : 3 + held]))
        assert [offer.candidate.id for offer in found] == left[:4]
