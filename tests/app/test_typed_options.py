"""Answers to choose from that a person types: on Review in an edit, on Label with a question of their own."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from app import label, label_text, review
from app.errors import InputError
from app.person import who
from app.services import Services
from leaml.records import AnsweredQuestion
from tests.app.test_label import press
from tests.app.test_review import SHOWN

NO_CHOICE = [
    ("Is it round?", "yes", "yes", "“yes” alone is nothing to choose from"),
    ("Which?", "a | a", "a", "are the same"),
    ("Which?", "Left, left.", "left", "are the same"),
    ("Which? Choose all that apply.", "a; b | c", "c", "semicolon"),
]


@pytest.mark.parametrize(("question", "options", "answer", "said"), NO_CHOICE)
def test_what_is_no_choice_is_refused_in_an_edit(question: str, options: str, answer: str, said: str) -> None:
    typed = {"act": "edit", "edit_question": question, "edit_options": options, "edit_answer": answer}
    with pytest.raises(InputError, match=said):
        review.read_decision(SHOWN, typed, author="expert")


@pytest.mark.parametrize(("question", "options", "answer", "said"), NO_CHOICE)
def test_what_is_no_choice_is_refused_in_a_question_of_ones_own(
    make_services: Callable[..., Services], question: str, options: str, answer: str, said: str
) -> None:
    services = make_services()
    place = label.arrive(who(services, None), label.Place())
    with pytest.raises(InputError, match=said):
        press(services, place, "own", own_question=question, own_options=options, own_answer=answer)
    assert services.store.labels() == []


def test_a_semicolon_is_like_any_other_sign_where_one_answer_is_right() -> None:
    typed = {"act": "edit", "edit_question": "Which?", "edit_options": "a; b | c", "edit_answer": "a; b"}
    assert review.read_decision(SHOWN, typed, author="expert").pair.options == ("a; b", "c")


def test_answers_that_were_there_before_may_stay(make_services: Callable[..., Services]) -> None:
    alike = replace(SHOWN, options=("P", "p"), answer="P")
    typed = {"act": "edit", "edit_question": alike.question, "edit_options": "P | p", "edit_answer": "p"}
    assert review.read_decision(alike, typed, author="expert").pair.answer == "p"
    services = make_services()
    place = label.arrive(who(services, None), label.Place())
    assert place.asked is not None
    own = AnsweredQuestion(place.asked[0], "Is it round?", ("yes",), "yes")
    services.store.add_label(own, author="expert", seconds=1.0)
    shown = press(services, place, "show", event=services.store.labels()[0].event_id)
    press(services, shown, "own", own_options="yes", own_answer="yes")
    with pytest.raises(InputError, match=label_text.OPTION_TWICE):
        press(services, shown, "own", own_options="yes | Yes", own_answer="yes")
