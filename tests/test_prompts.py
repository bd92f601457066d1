"""Questions to which several answers may be right at once."""

from dataclasses import replace

import pytest

from leaml.prompts import (
    is_correct,
    match_answer,
    pair_target,
    parse_pair,
    question_prompt,
    split_options,
    takes_several,
)
from leaml.records import AnsweredQuestion, ImageId

OPTIONS = ("polyp", "ulcer", "blood; fresh")
QUESTION = "What is seen? Choose all that apply."


def test_the_prompt_says_so_and_is_read_back() -> None:
    assert question_prompt(QUESTION, OPTIONS) == "What is seen? Choose all that apply: polyp|ulcer|blood; fresh|"
    assert split_options(question_prompt(QUESTION, OPTIONS)) == (QUESTION, OPTIONS)
    pair = parse_pair(pair_target(QUESTION, OPTIONS, "polyp; ulcer"))
    assert pair is not None and (pair.question, pair.options, pair.answer) == (QUESTION, OPTIONS, "polyp; ulcer")
    assert question_prompt("Where?", ("a", "b")) == "Where? Choose one of the following options: a|b|"


@pytest.mark.parametrize(
    ("question", "several"),
    [(QUESTION, True), ("Which? choose all that apply", True), ("Choose all that apply to it: which?", False)],
)
def test_a_question_says_itself_whether_it_takes_several(question: str, several: bool) -> None:
    assert takes_several(question) == several


@pytest.mark.parametrize(
    ("answer", "several", "kept"),
    [
        ("ulcer; Polyp", True, "polyp; ulcer"),
        ("polyp;polyp;", True, "polyp"),
        ("blood; fresh", True, "blood; fresh"),
        ("Blood;  fresh.", True, "blood; fresh"),
        ("polyp; moon", True, None),
        ("; ", True, None),
        ("polyp; ulcer", False, None),
        ("ULCER", False, "ulcer"),
    ],
)
def test_answers_are_matched(answer: str, several: bool, kept: str | None) -> None:
    assert match_answer(answer, OPTIONS, several=several) == kept


def test_an_option_of_just_this_text_comes_first() -> None:
    alike = ("P", "p", "q")
    assert match_answer(" p", alike, several=False) == "p" and match_answer("P", alike, several=True) == "P"
    assert match_answer("q; p", alike, several=True) == "p; q"
    assert match_answer("p.", alike, several=False) == "P"
    asked = AnsweredQuestion(ImageId("a"), "Which?", alike, "p", "which")
    assert is_correct("p", asked) and not is_correct("P", asked)


def test_an_answer_that_says_nothing_is_never_right() -> None:
    unsure = AnsweredQuestion(ImageId("a"), "Is it seen?", ("yes", "no", "?"), "?", "seen")
    opened = AnsweredQuestion(ImageId("a"), "What is seen?", (), "...", None)
    for answer in ("", "...", " .", "!"):
        assert match_answer(answer, unsure.options, several=True) is None
        assert not is_correct(answer, unsure) and not is_correct(answer, opened)
    both = replace(unsure, question=QUESTION, answer="yes; ?")
    assert is_correct("?", unsure) and is_correct("?; yes", both)
    assert not is_correct("yes; ...", both) and not is_correct("yes", both)


def test_several_answers_are_compared_as_sets() -> None:
    both = AnsweredQuestion(ImageId("a"), QUESTION, OPTIONS, "polyp; ulcer", "seen")
    assert is_correct("ulcer; polyp", both)
    assert not is_correct("polyp", both)
    assert not is_correct("polyp; ulcer; blood; fresh", both)
    one = AnsweredQuestion(ImageId("a"), "Which?", OPTIONS, "polyp", "which")
    assert is_correct("Polyp.", one) and not is_correct("polyp; polyp", one)
