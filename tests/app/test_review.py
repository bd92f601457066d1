"""What a decision on the Review screen becomes."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app import review, review_text, text
from app.errors import InputError
from app.person import who
from app.services import Services
from leaml.records import (
    EVERYTHING,
    REJECT_REASONS,
    ROLES,
    AnsweredQuestion,
    Candidate,
    Caption,
    ImageId,
    Reading,
    RunId,
    Slice,
)
from leaml.store.database import now

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
    counts = services.store.queue.counts()
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


def test_empty_states(make_services: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = make_services()
    assert text.REVIEW_EMPTY in review.look(who(empty, None), review.Place())[1]
    monkeypatch.setattr(empty, "_active_kinds", lambda: {"generator"})
    assert text.REVIEW_SOON in review.look(who(empty, None), review.Place())[1]
    services = make_services(candidates=1)
    place, _ = review.look(who(services, None), review.Place())
    place = review.decide(who(services, None), place, {"act": "accept", "candidate": place.shown})
    assert text.REVIEW_DONE in review.look(who(services, None), place)[1]


def test_a_filter_narrows_the_queue_and_can_be_left(make_services: Make) -> None:
    services = make_services(candidates=4)
    person = who(services, None)
    asked = {"act": "filter", "filter_type": "colour", "filter_agreement": "", "filter_caption": "yes"}
    place, html = review.look(person, review.decide(person, review.Place(), asked))
    assert place.within == Slice("colour", captioned=True) and "Which colour" in html
    assert '<option value="colour" selected>' in html and review_text.left_here(2) in html
    for _ in range(2):
        place = review.decide(person, place, {"act": "accept", "candidate": place.shown, "answer": "red"})
        place, html = review.look(person, place)
    assert place.shown == "" and review_text.NOTHING_HERE[0] in html
    assert {event.content["filter_captioned"] for event in services.store.events() if event.content} == {True}
    place, html = review.look(person, review.decide(person, place, {"act": "show_all"}))
    assert place.shown and review_text.SHOW_ALL not in html and "left of these" not in html


def test_what_a_page_makes_up_narrows_nothing(make_services: Make) -> None:
    person = who(make_services(candidates=1), None)
    asked = {"act": "filter", "filter_type": "nonsense", "filter_agreement": "x", "filter_caption": "y"}
    assert review.decide(person, review.Place(), asked).within == EVERYTHING


def test_the_card_on_the_screen_stays_when_another_comes_before_it(make_services: Make) -> None:
    services = make_services(candidates=4)
    person = who(services, None)
    place, _ = review.look(person, review.Place())
    first = place.shown
    place, _ = review.look(person, review.decide(person, place, {"act": "accept", "candidate": first}))
    services.store.rollback.session(1, by="expert")
    assert review.look(person, place)[0] == place
    assert review.look(person, review.Place())[0].shown == first, "a page that is loaded anew begins with it"


def test_a_second_reader_sees_a_plain_card_and_a_third_that_two_differ(make_services: Make) -> None:
    services = make_services(candidates=1, users=ROLES)
    services.settings = replace(services.settings, second_reads=1.0)
    expert, reviewer, admin = (who(services, role) for role in ("expert", "reviewer", "admin"))
    for person, answer in ((expert, "left"), (reviewer, "right")):
        place, html = review.look(person, review.Place())
        assert review_text.DISPUTED not in html and person.name not in html
        place = review.decide(person, place, {"act": "accept", "candidate": place.shown, "answer": answer})
        assert review.look(person, place)[0].shown == "", "nobody reads a pair twice"
    assert services.store.answered.reviewed() == []
    place, html = review.look(admin, review.Place())
    assert review_text.DISPUTED in html and "expert" not in html and "reviewer" not in html
    assert "One reader answered “left”; another answered “right”." in html
    review.decide(admin, place, {"act": "accept", "candidate": place.shown, "answer": "right"})
    assert [pair.answer for pair in services.store.answered.reviewed()] == ["right"]
    drawn = [event.content["drawn"] for event in services.store.events() if event.content]
    assert drawn[1:] == ["second", "adjudication"]
    last = [event.content["shown"] for event in services.store.events() if event.content][-1]
    assert [found["answer"] for found in json.loads(last)["readings"]] == ["left", "right"]


def test_what_two_readers_decided_is_said_without_names() -> None:
    readings = (Reading("reject", "Where?", "left", "wrong answer"), Reading("edit", "Which side?", "Right", None))
    said = "One reader rejected it (wrong answer); another answered “Right” to “Which side?” instead."
    assert review_text.differing("Where?", readings) == said


def test_all_boxes_unticked_is_no_answer() -> None:
    with pytest.raises(InputError, match=text.NEED_ANSWER):
        decided(act="accept", answer="")


def test_the_last_decision_can_be_undone_and_its_card_comes_back(make_services: Make) -> None:
    services = make_services(candidates=2)
    person, place = who(services, None), review.Place()
    for _ in range(2):
        place, _ = review.look(person, place)
        last = place.shown
        place = review.decide(person, place, {"act": "accept", "candidate": last})
    place, html = review.look(person, place)
    assert text.REVIEW_DONE_TITLE in html and 'data-act="undo"' in html
    place, html = review.look(person, review.decide(person, place, {"act": "undo"}))
    assert place.shown == last and f'data-candidate="{last}"' in html


def test_what_was_undone_is_shown_whatever_the_queue_is_narrowed_to(make_services: Make) -> None:
    services = make_services(candidates=6)
    person = who(services, None)
    place, _ = review.look(person, review.Place())
    first = place.shown
    place = review.decide(person, place, {"act": "accept", "candidate": first})
    place, _ = review.look(person, replace(place, within=Slice(captioned=False)))
    place, _ = review.look(person, review.decide(person, place, {"act": "undo"}))
    assert place.shown == first


def test_a_decision_is_kept_with_what_was_on_the_screen(make_services: Make) -> None:
    services = make_services(candidates=2)
    person = who(services, None)
    place, html = review.look(person, review.Place())
    (candidate,) = [row for row in services.store.results.candidates() if row.id == place.shown]
    assert review_text.confidence(candidate.log_probability) in html
    other = next(option for option in candidate.options if option != candidate.answer)
    review.decide(person, place, {"act": "accept", "candidate": place.shown, "answer": other})
    (event,) = [event for event in services.store.events() if event.content["table"] == "review_events"]
    shown = json.loads(event.content["shown"])
    assert (event.content["answer"], shown["answer"], shown["question"]) == (
        other,
        candidate.answer,
        candidate.question,
    )
    caption = services.store.captions.newest(candidate.image_id)
    assert shown["caption"] == (caption.text if caption else None) and shown["agreement"] == candidate.agreement
    assert services.store.verify_events()[0] == 1


def test_a_caption_that_came_while_the_card_lay_open_was_not_seen(make_services: Make) -> None:
    services = make_services(candidates=2)
    person, seen = who(services, None), []
    for drawn_again in (False, True):
        place, _ = review.look(person, review.Place())
        (image,) = [row.image_id for row in services.store.results.candidates() if row.id == place.shown]
        services.store.captions.add([Caption(image, "Newer words.", "teacher", "Describe.", now())])
        if drawn_again:
            place, html = review.look(person, place)
            assert "Newer words." in html
        review.decide(person, place, {"act": "accept", "candidate": place.shown})
        last = [event.content["shown"] for event in services.store.events() if event.content][-1]
        seen.append(json.loads(last)["caption"])
    assert seen[0].startswith("A ") and seen[1] == "Newer words."


def labelled_on_label(services: Services, candidate_id: str) -> None:
    (row,) = [found for found in services.store.results.candidates() if found.id == candidate_id]
    pair = AnsweredQuestion(row.image_id, row.question, row.options, row.options[1], row.type_id)
    who(services, None).add_label(pair, seconds=2.0)


def test_what_is_labelled_meanwhile_is_not_reviewed(make_services: Make) -> None:
    services = make_services(candidates=4)
    person = who(services, None)
    place, html = review.look(person, review.Place())
    first = place.shown
    assert text.of(1, 4) in html
    labelled_on_label(services, first)
    late = review.decide(person, place, {"act": "accept", "candidate": first})
    assert late.message == review_text.LABELLED_MEANWHILE and services.store.queue.counts().accepted == 0
    after, html = review.look(person, place)
    assert after.shown != first and text.of(1, 3) in html
    person.undo_label()
    assert review.look(person, review.Place())[0].shown == first


def test_pairs_that_were_all_labelled_are_not_said_to_be_still_unwritten(
    make_services: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services(candidates=2)
    person = who(services, None)
    for row in services.store.results.candidates():
        labelled_on_label(services, row.id)
    html = review.look(person, review.Place())[1]
    assert review_text.ALL_LABELLED in html and text.REVIEW_EMPTY not in html
    monkeypatch.setattr(services, "writes_pairs", lambda: True)
    assert text.REVIEW_SOON in review.look(person, review.Place())[1]


def test_undo_says_why_a_labelled_pair_does_not_come_back(make_services: Make) -> None:
    services = make_services(candidates=4)
    person = who(services, None)
    place, _ = review.look(person, review.Place())
    first = place.shown
    place = review.decide(person, place, {"act": "reject", "reason": "wrong answer", "candidate": first})
    labelled_on_label(services, first)
    place, html = review.look(person, review.decide(person, place, {"act": "undo"}))
    assert place.shown != first and "so it is not asked again" in html
    assert services.store.queue.counts().rejected == 0
