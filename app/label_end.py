"""What the Label screen shows where it has no question to ask: why that is, and what can be done about it."""

from collections.abc import Collection, Sequence

from app import label_text, text
from app.label_parts import split_button
from app.label_queue import answered_questions, asked_of
from app.person import Person
from app.view import button, empty_state, go_button
from leaml.labelling.order import Asked
from leaml.records import QuestionType, Split


def end_screen(person: Person, split: Split, types: Sequence[QuestionType], skipped: Collection[Asked]) -> str:
    """Return the screen's HTML.

    Args:
        person: Who looks.
        split: What they would answer for.
        types: The project's question types.
        skipped: Questions that this person left out.
    """
    store, undo = person.services.store, button(text.UNDO, key="u", data_act="undo")
    if not types:
        go = go_button(text.GO_PROJECT, "project")
        return empty_state(label_text.NO_QUESTIONS_TITLE, label_text.NO_QUESTIONS, go + undo)
    mine, others = _left(person, split, types, skipped)
    asks_test = split == "test" or bool(store.held_out.open_count())
    other = split_button("pool" if split == "test" else "test") if asks_test else ""
    if mine:
        again = button(label_text.show_again(mine), kind="go", key="enter", data_act="again")
        said = label_text.REST_WITH_OTHERS if others else label_text.SKIPPED_ONLY
        train = go_button(text.GO_TRAIN, "train", kind="")
        return empty_state(label_text.you_skipped(mine), said, again + train + other + undo, waits=bool(others))
    train = go_button(text.GO_TRAIN, "train")
    if others:
        return empty_state(text.REVIEW_WITH_OTHERS_TITLE, label_text.REST_WITH_OTHERS, train + other + undo, waits=True)
    said = label_text.ALL_ANSWERED[split if asks_test else None]
    if split == "pool" and not store.unlabelled_count():
        said, train = label_text.ALL_LABELLED, train + go_button(text.GO_PROJECT, "project", kind="")
    return empty_state(text.LABEL_ALL_TITLE, said, train + other + undo)


def _left(person: Person, split: Split, types: Sequence[QuestionType], skipped: Collection[Asked]) -> tuple[int, int]:
    """Return how many open questions this person skipped, and how many others have on their screens."""
    store, known = person.services.store, {kind.id for kind in types}
    answered = {(pair.image_id, pair.type_id) for pair in answered_questions(store, split)}
    settled = answered | store.answered.reviewed_questions()
    others = {asked_of(card) for card in store.leases.held_by_others("label", person.name)}

    def count(questions: Collection[Asked]) -> int:
        unanswered = [asked for asked in questions if asked[1] in known and asked not in settled]
        return sum(person.services.image(image_id).split == split for image_id, _ in unanswered)

    return count({*skipped} - others), count(others)
