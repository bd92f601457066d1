"""What a decision on the Review screen becomes."""

from collections.abc import Callable
from typing import Any

import pytest

from app import review, text
from app.errors import InputError
from app.person import who
from app.services import Services
from leaml.records import REJECT_REASONS, Candidate, ImageId, RunId

Make = Callable[..., Services]
SHOWN = Candidate(
    "c1", ImageId("i"), "Which side?", ("left", "right"), "left", "side", -0.1, 0.3, (0.3, 0.7), RunId("r0001"), 1
)


def decided(**data: Any) -> Any:
    return review.read_decision(SHOWN, {"seconds": 3, **data}, author="expert")


def test_accept_edit_reject_skip() -> None:
    assert decided(act="accept", answer="left").action == "accept"
    changed = decided(act="accept", answer="right")
    assert (changed.action, changed.pair.answer, changed.pair.type_id) == ("edit", "right", "side")
    assert decided(act="skip").action == "skip"
    for reason in REJECT_REASONS:
        rejected = decided(act="reject", reason=reason)
        assert (rejected.action, rejected.reason, rejected.pair.answer) == ("reject", reason, "left")


def test_a_typed_edit_that_changes_nothing_is_an_accept() -> None:
    same = {"edit_question": "Which side? ", "edit_options": "left|right", "edit_answer": "left"}
    assert decided(act="edit", **same).action == "accept"


def test_another_question_has_no_type() -> None:
    pair = decided(act="edit", edit_question="Which half?", edit_options="left | right", edit_answer="left").pair
    assert (pair.question, pair.type_id) == ("Which half?", None)


@pytest.mark.parametrize(
    "data",
    [
        {"act": "edit", "edit_question": " ", "edit_answer": "left"},
        {"act": "edit", "edit_question": "Q?", "edit_options": "a | b", "edit_answer": "c"},
        {"act": "edit", "edit_question": "Q?", "edit_answer": ""},
        {"act": "reject", "reason": "because"},
        {"act": "accept", "answer": "up"},
    ],
)
def test_what_cannot_stand_is_refused(data: dict[str, str]) -> None:
    with pytest.raises(InputError):
        decided(**data)


def test_a_stale_decision_changes_nothing(make_services: Make) -> None:
    services = make_services(candidates=4)
    place, html = review.look(who(services, None), review.Place())
    first = place.shown
    assert f'data-candidate="{first}"' in html
    place = review.decide(who(services, None), place, {"act": "accept", "candidate": first})
    place, _ = review.look(who(services, None), place)
    assert place.shown != first
    for stale in (first, "nonsense", ""):
        assert (
            review.decide(who(services, None), place, {"act": "reject", "reason": "duplicate", "candidate": stale})
            == place
        )
    counts = services.store.review_counts()
    assert (counts.accepted, counts.rejected, counts.open) == (1, 0, 3)


def test_undo_shows_the_pair_again(make_services: Make) -> None:
    services = make_services(candidates=4)
    place, _ = review.look(who(services, None), review.Place())
    first = place.shown
    place, _ = review.look(
        who(services, None), review.decide(who(services, None), place, {"act": "accept", "candidate": first})
    )
    place, _ = review.look(who(services, None), review.decide(who(services, None), place, {"act": "undo"}))
    assert place.shown == first
    place = review.decide(who(services, None), place, {"act": "undo"})
    assert place.message == text.NOTHING_TO_UNDO


def test_empty_states(make_services: Make) -> None:
    assert text.REVIEW_EMPTY in review.look(who(make_services(), None), review.Place())[1]
    services = make_services(candidates=1)
    place, _ = review.look(who(services, None), review.Place())
    place = review.decide(who(services, None), place, {"act": "accept", "candidate": place.shown})
    assert text.REVIEW_DONE in review.look(who(services, None), place)[1]
