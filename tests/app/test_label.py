"""What the Label screen asks next, and what its buttons do."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app import label, label_text, project, text
from app.errors import InputError
from app.person import who
from app.screen import typed_options
from app.services import Services
from app.view import WAITS
from leaml.answering import Answer
from leaml.freeze import freeze
from leaml.labelling.suggestions import may_be_shown
from leaml.records import AnsweredQuestion, QuestionType, Review, RunId
from leaml.snapshot import read_snapshot
from leaml.store.leases import LEASE, now
from leaml.store.results import ModelRow
from tests.drawn import PROJECT, SIDE

Make = Callable[..., Services]


def press(services: Services, place: label.Place, act: str, **data: object) -> label.Place:
    shown = {"image": place.asked[0], "type": place.asked[1]} if place.asked else {}
    return label.arrive(
        who(services, None), label.decide(who(services, None), place, {**shown, "act": act, "seconds": 2.5, **data})
    )


def test_it_is_said_why_an_image_was_chosen(make_services: Make) -> None:
    services = make_services()
    services.label_queue.wait()
    place = label.arrive(who(services, None), label.Place())
    assert place.why == "first" and label_text.WHY["first"] in label.draw(who(services, None), place)
    after = press(services, place, "save", answer=answer_to(services, place))
    assert after.why == "unlike" and label_text.WHY["unlike"] in label.draw(who(services, None), after)
    back = press(services, after, "undo")
    assert back.why is None, "a person's choice needs no reason"
    assert "Chosen because" not in label.draw(who(services, None), back)


def test_a_question_that_a_run_is_unsure_of_comes_first(make_services: Make) -> None:
    services = make_services(candidates=6)
    services.label_queue.wait()
    place = label.arrive(who(services, None), label.Place())
    assert place.asked is not None and place.why == "unsure"
    asked = {(candidate.image_id, candidate.type_id) for candidate in services.store.results.candidates()}
    assert place.asked in asked


def test_save_moves_on_and_undo_comes_back(make_services: Make) -> None:
    services = make_services()
    first = label.arrive(who(services, None), label.Place())
    second = press(services, first, "save", answer=answer_to(services, first))
    assert second.asked != first.asked
    assert services.label_count() == 1
    back = press(services, second, "undo")
    assert (back.asked, back.chosen) == (first.asked, answer_to(services, first))
    assert services.label_count() == 0
    assert 'aria-checked="true"' in label.draw(who(services, None), back)


def test_a_press_on_a_card_that_is_gone_changes_nothing(make_services: Make) -> None:
    services = make_services()
    first = label.arrive(who(services, None), label.Place())
    second = press(services, first, "save", answer=answer_to(services, first))
    assert first.asked is not None
    late = {"image": first.asked[0], "type": first.asked[1], "answer": answer_to(services, first)}
    assert press(services, second, "save", **late) == second
    assert services.label_count() == 1


def test_skip_leaves_out_and_switch_stays_on_the_image(make_services: Make) -> None:
    services = make_services()
    first = label.arrive(who(services, None), label.Place())
    second = press(services, first, "skip")
    assert second.asked != first.asked
    assert second.asked is not None
    other = "colour" if second.asked[1] == "side" else "side"
    assert press(services, second, "switch", to=other).asked == (second.asked[0], other)


@pytest.mark.parametrize("answer", ["", "purple"])
def test_no_answer_and_a_strange_answer_are_refused(make_services: Make, answer: str) -> None:
    services = make_services()
    place = label.arrive(who(services, None), label.Place())
    with pytest.raises(InputError, match="Choose an answer first" if not answer else "not one of the options"):
        press(services, place, "save", answer=answer)
    assert services.label_count() == 0


def test_the_reference_answers_label_up_to_the_budget(make_services: Make) -> None:
    services = make_services()
    place = label.arrive(who(services, None), label.Place())
    place = press(services, place, "save", answer=answer_to(services, place))
    assert text.label_for_me(5) in label.draw(who(services, None), place)
    place = press(services, place, "fill")
    assert services.label_count() == 6
    assert label_text.ENOUGH[None] in label.draw(who(services, None), place)


def test_undo_takes_back_what_was_labelled_last_whoever_did_it(make_services: Make) -> None:
    services = make_services()
    place = label.arrive(who(services, None), label.Place())
    mine = answer_to(services, place)
    place = press(services, place, "save", answer=mine)
    place = press(services, press(services, place, "fill"), "undo")
    assert place.message == text.taken_back_for_you(5) and services.label_count() == 1
    assert services.labels_on_offer() == 5
    place = press(services, place, "undo")
    assert place.message == text.taken_back(mine) and services.label_count() == 0


def test_the_reference_answers_are_not_taken_back_once_a_person_went_on(make_services: Make) -> None:
    services = make_services()
    place = press(services, label.arrive(who(services, None), label.Place()), "fill")
    mine = answer_to(services, place)
    place = press(services, press(services, place, "save", answer=mine), "undo")
    assert place.message == text.taken_back(mine) and services.label_count() == 6


@pytest.mark.parametrize(
    ("typed", "options"),
    [("yes, no", ("yes", "no")), ("a | b, or c |", ("a", "b, or c")), ("yes", ("yes",)), (" , ", ())],
)
def test_answers_are_typed_with_bars_or_else_with_commas_between(typed: str, options: tuple[str, ...]) -> None:
    assert typed_options(typed) == options


def test_nothing_to_offer_without_reference_answers(make_services: Make) -> None:
    services = make_services(references=False)
    assert services.labels_on_offer() == 0
    assert "for me" not in label.draw(who(services, None), label.arrive(who(services, None), label.Place()))


def test_answers_for_the_test_are_given_apart(make_services: Make) -> None:
    services = make_services(references=False)
    me, test = who(services, None), {image.id for image in services.store.images("test")}
    place = press(services, label.arrive(me, label.Place()), "split", to="test")
    shown = label.draw(me, place)
    assert place.asked is not None and place.asked[0] in test
    assert label_text.WHY_TEST in shown and text.of(0, 8) in shown and 'data-local="own"' not in shown
    assert label.suggest(me, place, {"image": place.asked[0], "type": place.asked[1]}).suggested is None
    seen = set()
    assert label_text.ENOUGH["test"] not in shown
    while place.asked is not None:
        seen.add(place.asked)
        place = press(services, place, "save", answer=answer_to(services, place))
    assert len(seen) == 8 and {image_id for image_id, _ in seen} == test, "each question about each test image once"
    assert label_text.ALL_ANSWERED["test"] in label.draw(me, place)
    assert label_text.SPLITS["pool"] in label.draw(me, place)
    assert len(services.store.held_out.questions()) == 8 and services.label_count() == 0
    assert "zero_shot" not in services.obstacles(), "there is something to test against"

    place = press(services, place, "split", to="pool")
    assert place.asked is not None and place.asked[0] not in test
    back = press(services, place, "undo")
    assert back.split == "test" and back.asked in seen and len(services.store.held_out.questions()) == 7


def test_what_the_data_answer_is_not_asked_for_the_test(make_services: Make) -> None:
    services = make_services()
    me = who(services, None)
    assert label_text.SPLITS["test"] not in label.draw(me, label.arrive(me, label.Place()))
    services.save_questions((*PROJECT.question_types, NOTE), author="me")
    place = press(services, label.arrive(me, label.Place()), "split", to="test")
    assert place.asked is not None and place.asked[1] == NOTE.id


def test_the_side_goes_with_the_image(make_services: Make) -> None:
    services = make_services(references=False)
    me = who(services, None)
    place = press(services, label.arrive(me, label.Place()), "save", answer="left")
    place = press(services, press(services, place, "split", to="test"), "skip")
    (given,) = services.store.labels("pool")
    shown = press(services, place, "show", event=given.event_id)
    assert shown.split == "pool"
    back = press(services, shown, "undo")
    assert back.split == "test" and back.asked is not None
    assert services.image(back.asked[0]).split == "test", "what was skipped there"
    own = {"own_question": "Is it round?", "own_options": "", "own_answer": "yes"}
    with pytest.raises(InputError, match=re.escape(label_text.TEST_ASKS_THE_PROJECTS)):
        press(services, back, "own", **own)
    assert len(services.store.labels()) == 1


def test_a_test_without_open_questions_still_shows_its_answers_and_the_way_back(make_services: Make) -> None:
    services = make_services()
    me = who(services, None)
    services.save_questions((*PROJECT.question_types, NOTE), author="me")
    place = press(services, label.arrive(me, label.Place()), "split", to="test")
    other = press(services, place, "switch", to=SIDE.id)
    assert other.message == label_text.ANSWERED_BY_THE_DATA and other.asked == place.asked
    after = press(services, place, "save", answer="a scratch")
    services.save_questions(PROJECT.question_types, author="me")
    left = label.arrive(me, after)
    assert left.asked is None and label_text.SPLITS["pool"] in label.draw(me, left)
    (given,) = services.store.labels("test")
    shown = press(services, left, "show", event=given.event_id)
    assert text.of(1, 1) in label.draw(me, shown) and label_text.SPLITS["pool"] in label.draw(me, shown)


def test_no_model_learns_from_answers_for_the_test(make_services: Make, tmp_path: Path) -> None:
    services = make_services(references=False)
    first = label.arrive(who(services, None), label.Place())
    place = press(services, press(services, first, "save", answer=answer_to(services, first)), "split", to="test")
    press(services, place, "save", answer=answer_to(services, place))
    freeze(services.store, tmp_path / "snapshot")
    found = read_snapshot(tmp_path / "snapshot")
    assert place.asked is not None and first.asked is not None
    assert [pair.image_id for pair in found.evaluation] == [place.asked[0]]
    assert [pair.image_id for pair in found.labels] == [first.asked[0]]


def test_empty_states_say_what_to_do(make_services: Make) -> None:
    empty = make_services(filled=False)
    assert text.LABEL_EMPTY in label.draw(who(empty, None), label.arrive(who(empty, None), label.Place()))
    full = make_services(pool=1)
    place = label.arrive(who(full, None), label.Place())
    for _ in range(2):
        place = press(full, place, "save", answer=answer_to(full, place))
    html = label.draw(who(full, None), place)
    assert text.LABEL_ALL_TITLE in html and label_text.ALL_LABELLED in html
    assert re.findall(r'data-tab="(\w+)"', html) == ["train", "project"] and WAITS not in html


def test_a_project_that_asks_no_questions_leads_to_where_they_are_typed(make_services: Make) -> None:
    services = make_services()
    services.save_questions((), author="me")
    html = label.draw(who(services, None), label.arrive(who(services, None), label.Place()))
    assert html.count(label_text.QUESTIONS) == 1 and 'data-tab="project"' in html and 'data-tab="train"' not in html
    assert text.LABEL_ALL_TITLE not in html


def test_what_was_skipped_is_not_said_to_be_answered_and_comes_back(make_services: Make) -> None:
    services = make_services(pool=2)
    me = who(services, None)
    place = press(services, label.arrive(me, label.Place()), "skip")
    place = press(services, place, "skip")
    while place.asked is not None:
        place = press(services, place, "save", answer=answer_to(services, place))
    html = label.draw(me, place)
    assert "You skipped 2 questions" in html and label_text.SKIPPED_ONLY in html
    assert text.LABEL_ALL_TITLE not in html and WAITS not in html
    again = press(services, place, "again")
    assert again.asked is not None and again.skipped == frozenset()
    last = press(services, press(services, again, "save", answer=answer_to(services, again)), "skip")
    assert "You skipped 1 question<" in label.draw(me, last)


def test_what_was_skipped_of_the_other_split_stays_skipped(make_services: Make) -> None:
    services = make_services(pool=1, test=1, references=False)
    me = who(services, None)
    first = label.arrive(me, label.Place())
    place = press(services, press(services, first, "skip"), "split", to="test")
    while place.asked is not None:
        place = press(services, place, "skip")
    assert "You skipped 2 questions" in label.draw(me, place), "of the test"
    assert press(services, place, "again").skipped == {first.asked}


def test_the_rest_is_said_to_be_with_others_until_they_leave_it(
    make_services: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services(pool=1, users=("admin", "expert"))
    ann, bob = who(services, "admin"), who(services, "expert")
    hers = label.arrive(ann, label.Place())
    his = label.arrive(bob, label.Place())
    assert his.asked is not None and his.asked != hers.asked
    skipped = label.arrive(bob, replace(his, asked=None, skipped=frozenset({his.asked})))
    html = label.draw(bob, skipped)
    assert "You skipped 1 question<" in html and label_text.REST_WITH_OTHERS in html and WAITS in html
    sent = {"image": his.asked[0], "type": his.asked[1], "act": "save", "answer": answer_to(services, his)}
    done = label.arrive(bob, label.decide(bob, his, {**sent, "seconds": 1.0}))
    html = label.draw(bob, done)
    assert text.REVIEW_WITH_OTHERS_TITLE in html and label_text.REST_WITH_OTHERS in html
    assert text.LABEL_ALL_TITLE not in html and WAITS in html
    monkeypatch.setattr("leaml.store.leases.now", lambda: now() + LEASE)
    assert label.arrive(bob, done).asked == hers.asked


def test_who_labels_every_image_is_told_that_none_is_left_to_write_about(make_services: Make) -> None:
    services = make_services(pool=6)
    me = who(services, None)
    place = label.arrive(me, label.Place())
    for count in range(6):
        assert label_text.NO_IMAGE_LEFT not in label.draw(me, place), count
        place = press(services, place, "save", answer=answer_to(services, place))
    html = label.draw(me, place)
    assert label_text.NO_IMAGE_LEFT in html and label_text.ENOUGH[None] not in html


def answer_to(services: Services, place: label.Place) -> str:
    """Return the first answer of the question shown."""
    about = services.store.project()
    assert about is not None and place.asked is not None
    return next(kind.options[0] for kind in about.question_types if kind.id == place.asked[1])


SEEN = QuestionType("seen", "What is there? Choose all that apply.", ("dot", "cell", "scale bar"))
NOTE = QuestionType("note", "What stands out?")


def ask_only(services: Services, kind: QuestionType) -> label.Place:
    about = services.store.project()
    assert about is not None
    services.store.save_project(replace(about, question_types=(kind,)))
    return label.arrive(who(services, None), label.Place())


def test_several_answers_are_kept_in_the_options_order(make_services: Make) -> None:
    services = make_services()
    place = ask_only(services, SEEN)
    html = label.draw(who(services, None), place)
    assert html.count('role="checkbox"') == 3 and 'role="radio"' not in html
    with pytest.raises(InputError, match="not one of the options"):
        press(services, place, "save", answer="dot; moon")
    after = press(services, place, "save", answer="scale bar; dot")
    assert services.store.labels()[0].pair.answer == "dot; scale bar"
    again = label.draw(who(services, None), press(services, after, "undo"))
    assert again.count('aria-checked="true"') == 2


def test_only_one_answer_where_the_question_takes_one(make_services: Make) -> None:
    services = make_services()
    place = label.arrive(who(services, None), label.Place())
    with pytest.raises(InputError, match="not one of the options"):
        press(services, place, "save", answer="left; right")


def test_an_open_question_is_answered_by_typing(make_services: Make) -> None:
    services = make_services()
    place = ask_only(services, NOTE)
    assert 'name="answer"' in label.draw(who(services, None), place)
    with pytest.raises(InputError, match="Type the answer"):
        press(services, place, "save", answer="  ")
    after = press(services, place, "save", answer=' a "red" <dot> ')
    assert services.store.labels()[0].pair.answer == 'a "red" <dot>'
    assert 'value="a &quot;red&quot; &lt;dot&gt;"' in label.draw(who(services, None), press(services, after, "undo"))


def test_a_label_of_the_list_is_shown_again_and_changed(make_services: Make) -> None:
    services = make_services()
    first = label.arrive(who(services, None), label.Place())
    assert label_text.HISTORY not in label.draw(who(services, None), first)
    second = press(services, first, "save", answer=answer_to(services, first))
    third = press(services, second, "own", own_question="Is it round?", own_options="yes | no", own_answer="yes")
    own, chosen = services.store.recent_labels("expert", limit=5)
    assert label.draw(who(services, None), third).count('data-act="show"') == 2

    shown = press(services, third, "show", event=str(chosen.event_id))
    assert (shown.asked, shown.chosen) == (first.asked, chosen.pair.answer)
    other = next(option for option in chosen.pair.options if option != chosen.pair.answer)
    after = press(services, shown, "save", answer=other)
    assert after.asked not in (None, first.asked)
    assert f"<b>{other}</b><small>before: {chosen.pair.answer}</small>" in label.draw(who(services, None), after)

    shown = press(services, after, "show", event=str(own.event_id))
    html = label.draw(who(services, None), shown)
    assert (
        'value="Is it round?" name="own_question" autocomplete="off" dir="auto" readonly' in html
        and 'data-opens="own"' in html
    )
    changed = press(services, shown, "own", own_question="ignored", own_options="yes | no", own_answer="no")
    assert changed.own is None and changed.asked is not None
    assert [found.pair.answer for found in services.store.recent_labels("expert", limit=5)] == ["no", other]
    assert len(list(services.store.events())) == 4, "a change is an event of its own"

    gone = press(services, changed, "show", event=str(chosen.event_id))
    assert gone.message == label_text.LABEL_GONE


@pytest.fixture
def suggesting(make_services: Make, monkeypatch: pytest.MonkeyPatch) -> Services:
    """Services with a trained model that answers .3, .7 to whatever it is asked."""
    services = make_services()
    model = ModelRow(RunId("r0002"), "lora", "runs/r0002/model.safetensors", 1, 1, 0, datetime.now(UTC))
    services.store.results.add_model(model, [])
    found = Answer("right", (0.3, 0.7), 0.1, 0.0)
    monkeypatch.setattr(services.answerer, "ask", lambda *_, **__: [found])
    services.store.save_project(replace(PROJECT, question_types=(SIDE,)))
    return services


def ask_model(services: Services, place: label.Place, **data: str) -> label.Place:
    assert place.asked is not None
    return label.suggest(who(services, None), place, {"image": place.asked[0], "type": place.asked[1], **data})


def test_a_suggestion_is_shown_on_request_for_half_of_the_questions(suggesting: Services) -> None:
    person = who(suggesting, None)
    place = label.arrive(person, label.Place())
    for _ in range(12):
        assert place.asked is not None
        html = label.draw(person, place)
        assert "<i>.70</i>" not in html and label_text.SUGGEST in html, "never by default"
        asked = ask_model(suggesting, place, answer="left")
        html = label.draw(person, asked)
        shown = may_be_shown(place.asked[0], SIDE.question)
        assert ("<i>.70</i>" in html, label_text.KEPT_BACK in html) == (shown, not shown)
        assert html.count('aria-checked="true"') == 1, "what was chosen stays chosen"
        place = press(suggesting, asked, "save", answer="right")
    halves = [suggestion.shown for _, suggestion in suggesting.store.suggested_labels()]
    assert len(halves) == 12 and 1 <= sum(halves) <= 11
    html = project.draw(person)
    assert label_text.INSIGHTS in html and f"{sum(halves)} of {sum(halves)} answers agree" in html


def test_a_suggestion_belongs_to_its_question_alone(suggesting: Services) -> None:
    place = label.arrive(who(suggesting, None), label.Place())
    after = press(suggesting, ask_model(suggesting, place), "skip")
    assert after.suggestion is None
    press(suggesting, after, "save", answer="left")
    assert suggesting.store.suggested_labels() == []
    assert label_text.INSIGHTS not in project.draw(who(suggesting, None))


def test_without_a_model_nothing_is_suggested(make_services: Make) -> None:
    services = make_services()
    place = label.arrive(who(services, None), label.Place())
    assert label_text.SUGGEST not in label.draw(who(services, None), place)
    with pytest.raises(InputError, match="no model yet"):
        ask_model(services, place)


def test_an_answer_that_somebody_else_gave_meanwhile_stays(
    make_services: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services(users=["admin", "expert"])
    services.label_queue.wait()
    ann, bob = who(services, "admin"), who(services, "expert")
    place = label.arrive(ann, label.Place())
    monkeypatch.setattr("leaml.store.leases.now", lambda: now() + LEASE)
    same = label.arrive(bob, label.Place())
    assert same.asked == place.asked and place.asked is not None
    shown = {"image": place.asked[0], "type": place.asked[1], "seconds": 1.0, "act": "save"}
    later = label.arrive(bob, label.decide(bob, same, {**shown, "answer": answer_to(services, same)}))
    assert later.asked != same.asked, "nobody holds the first any more"
    late = label.decide(ann, place, {**shown, "answer": "right"})
    assert late.message == label_text.ANSWERED_MEANWHILE
    (kept,) = services.store.labels("pool")
    assert (kept.author, kept.pair.answer) == ("expert", answer_to(services, same))
    told = label.decide(
        ann,
        replace(place, asked=(place.asked[0], "other")),
        {**shown, "type": "other", "act": "switch", "to": place.asked[1]},
    )
    assert told.message == label_text.ANSWERED_BY_ANOTHER and told.asked == (place.asked[0], "other")


def test_another_question_that_is_answered_already_is_shown_to_be_changed(make_services: Make) -> None:
    services = make_services()
    first = label.arrive(who(services, None), label.Place())
    assert first.asked is not None
    answer = answer_to(services, first)
    second = press(services, first, "save", answer=answer)
    back = press(services, replace(second, asked=(first.asked[0], "none"), chosen=None), "switch", to=first.asked[1])
    assert (back.asked, back.chosen, back.message) == (first.asked, answer, label_text.SHOWN_AGAIN)


def test_what_a_review_has_settled_is_not_asked(make_services: Make) -> None:
    services = make_services(candidates=6)
    services.label_queue.wait()
    person = who(services, None)
    place = label.arrive(person, label.Place())
    (candidate,) = [c for c in services.store.results.candidates() if (c.image_id, c.type_id) == place.asked]
    pair = AnsweredQuestion(
        candidate.image_id, candidate.question, candidate.options, candidate.answer, candidate.type_id
    )
    services.store.add_review(Review(candidate.id, "accept", pair, None, "ann", 1.0))
    assert label.arrive(person, label.Place()).asked != place.asked


def test_undo_puts_a_question_of_ones_own_back_into_its_form(make_services: Make) -> None:
    services = make_services()
    me = who(services, None)
    first = label.arrive(me, label.Place())
    own = {"own_question": "Is it round?", "own_options": "yes | no", "own_answer": "yes"}
    stays = press(services, first, "own", **own)
    assert "data-opens" not in label.draw(me, stays)
    back = press(services, stays, "undo")
    html = label.draw(me, back)
    assert (back.asked, back.message) == (first.asked, text.taken_back("yes")) and back.serial > stays.serial
    assert 'value="Is it round?" name="own_question" autocomplete="off" dir="auto">' in html, "and may be changed"
    assert 'value="yes | no" name="own_options"' in html and 'value="yes" name="own_answer"' in html
    assert 'data-opens="own"' in html and services.store.labels() == []
    saved = press(services, back, "own", **own | {"own_question": "Is it oval?"})
    assert [found.pair.question for found in services.store.labels()] == ["Is it oval?"]
    assert saved.asked == first.asked and "data-opens" not in label.draw(me, saved)


def test_a_question_of_ones_own_comes_back_beside_its_image(make_services: Make) -> None:
    services = make_services()
    me = who(services, None)
    first = label.arrive(me, label.Place())
    own = {"own_question": "Is it round?", "own_options": "", "own_answer": "yes"}
    press(services, first, "own", **own)
    other = next(image.id for image in services.store.images("pool") if first.asked and image.id != first.asked[0])
    elsewhere = label.arrive(me, label.Place(asked=(other, SIDE.id)))
    back = press(services, elsewhere, "undo")
    assert back.asked is not None and first.asked is not None and back.asked[0] == first.asked[0]
    assert 'value="Is it round?"' in label.draw(me, back)
    after = press(services, back, "skip")
    assert after.draft is None and "data-opens" not in label.draw(me, after), "the form is closed on the next card"


def test_the_last_question_of_ones_own_is_offered_for_the_next_image(make_services: Make) -> None:
    services = make_services()
    place = label.arrive(who(services, None), label.Place())
    own = {"own_question": "Is it round?", "own_options": "yes | no", "own_answer": "yes"}
    place = press(services, press(services, place, "own", **own), "skip")
    html = label.draw(who(services, None), place)
    assert 'value="Is it round?" name="own_question" autocomplete="off" dir="auto">' in html
    assert 'value="yes | no" name="own_options"' in html and 'value="" name="own_answer"' in html
    assert "data-opens" not in html, "closed until somebody asks"
    place = press(services, place, "own", **own)
    assert [row.pair.question for row in services.store.labels()] == ["Is it round?"] * 2


def test_a_question_of_ones_own_replaces_nobodys_answer(make_services: Make) -> None:
    services = make_services(users=("admin", "expert"))
    ann, bob = who(services, "admin"), who(services, "expert")
    place = label.arrive(ann, label.Place())
    typed = {"act": "own", "own_question": "Which stain?", "own_options": "", "own_answer": "Giemsa", "seconds": 1.0}
    project, (image_id, type_id) = services.store.project(), place.asked
    kind = next(kind for kind in project.question_types if kind.id == type_id)
    sent = {"image": image_id, "type": type_id}
    place = label.decide(ann, place, {**sent, **typed})
    with pytest.raises(InputError, match="one of this project's questions"):
        label.decide(ann, place, {**sent, **typed, "own_question": kind.question})
    other = label.Place(asked=(image_id, next(k.id for k in project.question_types if k.id != type_id)))
    with pytest.raises(InputError, match="admin has answered “Which stain"):
        label.decide(bob, other, {"image": other.asked[0], "type": other.asked[1], **typed, "own_answer": "Wright"})
    label.decide(ann, place, {**sent, **typed, "own_answer": "Wright"})
    (kept,) = services.store.labels("pool")
    assert (kept.author, kept.pair.answer) == ("admin", "Wright"), "one may change one's own"


def test_undo_brings_back_what_was_skipped_and_only_then_takes_an_answer_back(make_services: Make) -> None:
    services = make_services()
    first = label.arrive(who(services, None), label.Place())
    second = press(services, first, "save", answer=answer_to(services, first))
    third = press(services, second, "skip")
    now = press(services, third, "skip")
    for shown in (third, second):
        now = press(services, now, "undo")
        assert (now.asked, now.chosen, services.label_count()) == (shown.asked, None, 1)
    assert press(services, now, "undo").asked == first.asked and services.label_count() == 0


def test_what_was_skipped_before_an_answer_stays_skipped(make_services: Make) -> None:
    services = make_services()
    place = press(services, label.arrive(who(services, None), label.Place()), "skip")
    saved = press(services, place, "save", answer=answer_to(services, place))
    back = press(services, saved, "undo")
    assert back.asked == place.asked and services.label_count() == 0


def test_what_is_chosen_stays_when_more_labels_are_listed(make_services: Make) -> None:
    services = make_services()
    place = label.arrive(who(services, None), label.Place())
    answer = answer_to(services, place)
    more = press(services, place, "more", answer=answer)
    (chosen,) = re.findall('<[^>]*aria-checked="true"[^>]*>', label.draw(who(services, None), more))
    assert f'data-value="{answer}"' in chosen
    after = press(services, more, "save", answer=answer)
    assert 'aria-checked="true"' not in label.draw(who(services, None), after), "the next card has nothing chosen"


def test_all_of_ones_labels_can_be_listed(make_services: Make) -> None:
    services = make_services()
    place = label.arrive(who(services, None), label.Place())
    for number in range(label.LISTED + 1):
        place = press(services, place, "own", own_question=f"Is it {number}?", own_options="", own_answer="yes")
    html = label.draw(who(services, None), place)
    assert html.count('data-act="show"') == label.LISTED and 'data-act="more"' in html
    html = label.draw(who(services, None), press(services, place, "more"))
    assert html.count('data-act="show"') == label.LISTED + 1 and 'data-act="more"' not in html


@pytest.mark.parametrize(("sent", "kept"), [(2.5, 2.5), (-3.0, 0.0), (float("nan"), 0.0), (float("inf"), 0.0)])
def test_a_time_that_is_none_is_not_kept(make_services: Make, sent: float, kept: float) -> None:
    services = make_services()
    place = label.arrive(who(services, None), label.Place())
    press(services, place, "save", answer=answer_to(services, place), seconds=sent)
    assert [found.seconds for found in services.store.labels()] == [kept]
