"""Suggestions: half of them kept back, kept with the label, and how often labels agree."""

from pathlib import Path

import pytest

from leaml.labelling.suggestions import agreement, may_be_shown
from leaml.records import AnsweredQuestion, ImageId, Suggestion
from leaml.store import Store
from tests.drawn import SIDE, fill


def test_half_of_the_questions_keep_it_back_always_the_same() -> None:
    shown = [may_be_shown(ImageId(f"i{n}"), SIDE.question) for n in range(2000)]
    assert 900 < sum(shown) < 1100
    assert shown == [may_be_shown(ImageId(f"i{n}"), SIDE.question) for n in range(2000)]
    assert shown != [may_be_shown(ImageId(f"i{n}"), "Another?") for n in range(2000)]


def test_agreement_of_both_halves() -> None:
    labels = [
        ("left", Suggestion("r1", "Left", (0.9, 0.1), True)),
        ("left", Suggestion("r1", "right", (0.4, 0.6), True)),
        ("right", Suggestion("r1", "left", (0.6, 0.4), False)),
    ]
    shown, hidden = agreement(labels, shown=True), agreement(labels, shown=False)
    assert (shown.labels, shown.agreeing, hidden.labels, hidden.agreeing) == (2, 1, 1, 0)
    assert shown.share is not None and (shown.share.value, shown.share.low) == (0.5, pytest.approx(0.095, abs=0.01))
    assert agreement([], shown=True).share is None


def test_what_was_suggested_is_kept_with_the_label_and_in_the_chain(tmp_path: Path) -> None:
    fill(tmp_path)
    suggestion = Suggestion("r0004", "right", (0.25, 0.75), False)
    with Store.open(tmp_path) as store:
        one, two = store.images("pool")[:2]
        for image, given in ((one, suggestion), (two, None)):
            pair = AnsweredQuestion(image.id, SIDE.question, SIDE.options, "left", SIDE.id)
            store.add_label(pair, author="me", seconds=1.0, suggestion=given)
        assert store.suggested_labels() == [("left", suggestion)]
        contents = [event.content for event in store.events()]
        assert contents[0] is not None and "suggestion" in contents[0]
        assert contents[1] is not None and "suggestion" not in contents[1], "older hashes stay as they are"
        assert store.verify_events()[0] == 2
