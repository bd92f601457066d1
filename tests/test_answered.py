"""A question about an image is asked once and has one answer, whether it was labelled, reviewed, or both."""

import json
from dataclasses import replace

import pytest

from leaml.data.export import export
from leaml.errors import ConfigError
from leaml.experts import label_from_references
from leaml.freeze import freeze
from leaml.records import AnsweredQuestion, ImageId, Review, RunId
from leaml.snapshot import read_snapshot
from tests.test_store import PLACE, SIZE, candidate, pair, review, store  # noqa: F401 - a fixture


@pytest.fixture
def contradicted(store):  # noqa: F811
    """A store with three accepted pairs; the first one's question was labelled otherwise afterwards."""
    store.results.add_generator_run(RunId("r1"), [candidate(n) for n in range(3)])
    for number in range(3):
        store.add_review(review(candidate(number), "accept"))
    store.add_label(pair(0, "right"), author="ann", seconds=1.0)
    return store


def test_of_a_label_and_a_reviewed_pair_the_label_counts(contradicted, tmp_path):
    assert contradicted.reviewed_pairs() == [pair(1), pair(2)]
    assert export(contradicted, tmp_path / "pairs.jsonl") == 3
    rows = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert [(row["image_id"], row["answer"], row["source"]) for row in rows] == [
        *(("i0", "right", "label"), ("i1", "left", "review"), ("i2", "left", "review"))
    ]
    freeze(contradicted, tmp_path / "data")
    assert read_snapshot(tmp_path / "data").reviewed == (pair(1), pair(2))
    questions = {(ImageId("i1"), "place"), (ImageId("i2"), "place")}
    assert contradicted.answered.count_reviewed() == 2 and contradicted.answered.reviewed_questions() == questions
    contradicted.undo_label("ann")
    assert contradicted.answered.count_reviewed() == 3
    assert contradicted.reviewed_pairs() == [pair(0), pair(1), pair(2)], "it is still there, and counts again"


def test_a_question_whose_words_were_changed_is_the_same_question(contradicted):
    contradicted.add_label(replace(pair(1, "right"), question="Where does it lie?"), author="ann", seconds=1.0)
    assert contradicted.reviewed_pairs() == [pair(2)]
    free = AnsweredQuestion(ImageId("i2"), "Anything odd?", (), "no", None)
    contradicted.add_label(free, author="ann", seconds=1.0)  # has no type, as the edited pair has none
    edited = replace(free, question="What else?", answer="nothing")
    contradicted.add_review(Review(candidate(2).id, "edit", edited, None, "ann", 1.0))
    assert contradicted.reviewed_pairs() == [edited]
    assert contradicted.answered.count_reviewed() == 1 and contradicted.answered.reviewed_questions() == set()


def test_a_reviewed_question_is_no_pseudo_pair(store):  # noqa: F811
    """A pair whose words were changed may ask what another one of its round asks."""
    store.results.add_generator_run(RunId("r1"), [candidate(0), candidate(0, kind=SIZE), candidate(1)])
    store.add_review(Review(candidate(0, kind=SIZE).id, "edit", pair(0, "right"), None, "ann", 1.0))
    assert store.results.pseudo_pairs() == [candidate(1)]
    store.undo_review("ann")
    assert len(store.results.pseudo_pairs()) == 3


def test_the_reference_answers_label_neither_what_is_labelled_nor_what_is_reviewed(store):  # noqa: F811
    assert store.answered.references_left() == [pair(0), pair(1)] and store.answered.count_references_left() == 2
    store.results.add_generator_run(RunId("r1"), [candidate(1)])
    store.add_review(review(candidate(1), "edit", "right"))
    assert store.answered.references_left() == [pair(0)] and store.answered.count_references_left() == 1
    assert label_from_references(store, count=2, seed=0) == 1
    assert [label.pair for label in store.labels()] == [pair(0)] and store.answered.count_references_left() == 0
    with pytest.raises(ConfigError, match="no reference answer left"):
        label_from_references(store, count=1, seed=0)
