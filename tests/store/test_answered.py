"""A question about an image is asked once and has one answer, whether it was labelled, reviewed, or both."""

import json
from dataclasses import replace

import pytest

from leaml.data.export import export
from leaml.data.labels import Imported, import_labels
from leaml.errors import ConfigError, ImportDataError
from leaml.freeze import freeze
from leaml.labelling.experts import label_from_references
from leaml.records import AnsweredQuestion, ImageId, Review, RunId
from leaml.snapshot import read_snapshot
from tests.store.test_store import PLACE, SIZE, candidate, pair, review, store  # noqa: F401 - a fixture


@pytest.fixture
def contradicted(store):  # noqa: F811
    """A store with three accepted pairs; the first one's question was labelled otherwise afterwards."""
    store.results.add_generator_run(RunId("r1"), [candidate(n) for n in range(3)])
    for number in range(3):
        store.add_review(review(candidate(number), "accept"))
    store.add_label(pair(0, "right"), author="ann", seconds=1.0)
    return store


def test_of_a_label_and_a_reviewed_pair_the_label_counts(contradicted, tmp_path):
    assert contradicted.answered.reviewed() == [pair(1), pair(2)]
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
    assert contradicted.answered.reviewed() == [pair(0), pair(1), pair(2)], "it is still there, and counts again"


def test_a_question_whose_words_were_changed_is_the_same_question(contradicted):
    contradicted.add_label(replace(pair(1, "right"), question="Where does it lie?"), author="ann", seconds=1.0)
    assert contradicted.answered.reviewed() == [pair(2)]
    free = AnsweredQuestion(ImageId("i2"), "Anything odd?", (), "no", None)
    contradicted.add_label(free, author="ann", seconds=1.0)  # has no type, as the edited pair has none
    edited = replace(free, question="What else?", answer="nothing")
    contradicted.add_review(Review(candidate(2).id, "edit", edited, None, "ann", 1.0))
    assert contradicted.answered.reviewed() == [edited]
    assert contradicted.answered.count_reviewed() == 1 and contradicted.answered.reviewed_questions() == set()


def reworded(number, answer):
    """Return an answer to the question of `pair`, whose words were changed since."""
    return replace(pair(number, answer), question="where, in the image?")


def test_a_label_that_is_corrected_after_its_question_was_reworded_is_one_label(store):  # noqa: F811
    store.add_label(pair(0), author="ann", seconds=1.0)
    store.add_label(AnsweredQuestion(ImageId("i0"), "place", (), "no", None), author="ann", seconds=1.0)
    store.add_label(reworded(0, "right"), author="ann", seconds=1.0)
    free, given = store.labels()
    assert (free.pair.type_id, given.pair) == (None, reworded(0, "right")), "words like a type's id are no type"
    assert store.label_counts() == {None: 1, "place": 1}
    assert store.earlier_answers([given]) == {given.event_id: ["left"]}
    assert store.undo_label("ann").pair == reworded(0, "right") and store.labels()[0].pair == pair(0)


def test_a_reviewed_pair_whose_question_was_reworded_counts_once(store):  # noqa: F811
    other = replace(candidate(0), id="r1-0-other", question="where, in the image?", answer="right")
    store.results.add_generator_run(RunId("r1"), [candidate(0), other])
    for row in (candidate(0), other):
        store.add_review(review(row, "accept"))
    assert store.answered.reviewed() == [reworded(0, "right")] and store.answered.count_reviewed() == 1


def test_a_test_question_that_the_data_answer_is_not_asked_again_in_other_words(store):  # noqa: F811
    project = store.project()
    before, asked = store.held_out.questions(), store.held_out.open_count()
    (known,) = {pair.image_id for pair in before}
    changed = replace(PLACE, question="where, in the image?")
    store.save_project(replace(project, question_types=(changed, *project.question_types[1:])))
    assert store.held_out.open_count() == asked, "its reference answer is to the same question"
    store.add_label(replace(reworded(8, "right"), image_id=known), author="ann", seconds=1.0)
    assert store.held_out.questions() == before, "what came with the data goes first"
    row = f"image,question,answer\n{store.image(known).name},place,{{}}\n"
    with pytest.raises(ImportDataError, match="the data came with the answer 'left', which stays"):
        import_labels(store, row.format("right"), author="ann")
    assert import_labels(store, row.format("left"), author="ann") == Imported(0, 0, 1)


def test_an_import_knows_a_question_by_its_type(store):  # noqa: F811
    store.add_label(pair(0), author="ann", seconds=1.0)
    project = store.project()
    changed = replace(PLACE, question="where, in the image?")
    store.save_project(replace(project, question_types=(changed, *project.question_types[1:])))
    twice = "image,question,answer,author\n0.jpg,Where?,left,ann\n0.jpg,place,right,ann\n"
    with pytest.raises(ImportDataError, match="Line 3: this question about this image is answered above already"):
        import_labels(store, twice, author="ann")
    assert import_labels(store, "image,question,answer\n0.jpg,place,right\n", author="ann") == Imported(1, 0, 0)
    assert [label.pair for label in store.labels()] == [reworded(0, "right")]


def test_unlabelled_are_the_pools_images_without_a_label(store, tmp_path):  # noqa: F811
    for number in (0, 8):
        store.add_label(pair(number), author="ann", seconds=1.0)
    assert [image.id for image in store.answered.unlabelled()] == ["i1", "i2", "i3", "i4", "i5"]
    freeze(store, tmp_path / "data")
    assert list(read_snapshot(tmp_path / "data").unlabelled) == ["i1", "i2", "i3", "i4", "i5"]


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
