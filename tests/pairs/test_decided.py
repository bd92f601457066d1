"""What people decided keeps pairs from coming back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaml.pairs.decided import Decided
from leaml.records import REJECT_REASONS, AnsweredQuestion, ImageId, Rejection

ASKED = "Where is it?"


def answered(image, answer="left", question=ASKED):
    return AnsweredQuestion(ImageId(image), question, ("left", "right"), answer, "place")


def rejected(image, reason, answer="left", question=ASKED):
    return Rejection(ImageId(image), question, answer, reason)


def objections(decided, *pairs):
    return [decided.objection(ImageId(image), question, answer) for image, question, answer in pairs]


def test_what_is_answered_is_not_asked_again_of_that_image():
    decided = Decided([answered("a")], [])
    again, other = ("a", " where is IT? ", "right"), ("b", ASKED, "left")
    assert objections(decided, again, other) == ["answered already", None]
    assert objections(decided, ("a", "What colour?", "red")) == [None]


def test_a_question_whose_words_were_changed_is_not_asked_again():
    decided = Decided([answered("a")], [])
    assert decided.objection(ImageId("a"), "Where does it lie?", "left", "place") == "answered already"
    assert decided.objection(ImageId("a"), "How large is it?", "left", "size") is None
    assert Decided([replace(answered("a"), type_id=None)], []).objection(ImageId("a"), "Else?", "left", None) is None


def test_a_wrong_answer_does_not_come_back_and_another_may():
    decided = Decided([], [rejected("a", "wrong answer")])
    assert objections(decided, ("a", ASKED, "Left."), ("a", ASKED, "right")) == ["rejected before", None]


@pytest.mark.parametrize("reason", [reason for reason in REJECT_REASONS if reason != "wrong answer"] + [None])
def test_for_every_other_reason_the_image_is_left_alone_with_the_question(reason):
    decided = Decided([], [rejected("a", reason)])
    assert objections(decided, ("a", ASKED, "right"), ("b", ASKED, "right")) == ["rejected before", None]


def test_a_question_that_is_at_fault_thrice_goes_unless_it_was_answered_as_often():
    faults = [rejected(image, "not useful") for image in "abc"]
    here = ("z", ASKED, "left")
    assert objections(Decided([], faults[:2]), here) == [None]
    assert objections(Decided([], faults), here) == ["question that was rejected often"]
    assert objections(Decided([answered(image) for image in "def"], faults), here) == [None]
    elsewhere = [rejected(image, "not visible") for image in "abc"]  # says nothing about other images
    assert objections(Decided([], elsewhere), here) == [None]


images = st.sampled_from("abcd")
answers = st.sampled_from(["left", "right"])


@given(
    kept=st.lists(st.builds(answered, images, answers)),
    refused=st.lists(st.builds(rejected, images, st.sampled_from(REJECT_REASONS), answers)),
    image=images,
    answer=answers,
)
def test_no_decided_pair_ever_returns(kept, refused, image, answer):
    objection = Decided(kept, refused).objection(ImageId(image), ASKED, answer)
    known = any(pair.image_id == image for pair in kept)
    same = any(row.image_id == image and (row.reason != "wrong answer" or row.answer == answer) for row in refused)
    assert (objection is not None) or not (known or same)
    if objection is None:
        assert sum(row.reason in ("unclear question", "wrong options", "not useful") for row in refused) < 3 or kept
