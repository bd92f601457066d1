"""Which sampled texts become candidates, and reading pairs back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaml.pairs.quality import PairChecker, SampledText, choose_pairs
from leaml.prompts import match_option, pair_target, parse_pair, question_prompt, split_options
from leaml.records import AnsweredQuestion, ImageId, QuestionType

PLACE = QuestionType("place", "Where is it?", ("left", "right"))
LABEL = AnsweredQuestion(ImageId("x"), PLACE.question, PLACE.options, "left", "place")

words = st.text(st.characters(whitelist_categories=("L", "N")), min_size=1, max_size=12)


@given(question=words, options=st.lists(words, max_size=6, unique=True), answer=words)
def test_what_is_written_is_read_back(question, options, answer):
    pair = parse_pair(pair_target(question, options, answer))
    assert pair is not None
    assert (pair.question, pair.options, pair.answer) == (question, tuple(options), answer)
    assert split_options(question_prompt(question, options)) == (question, tuple(options))


@pytest.mark.parametrize(
    ("text", "answer"),
    [("<q>A?<q><a>b<a>", "b"), ("noise <q>A?</q> <a>b</a> more", "b"), ("<q>A?<q><a>b", None), ("<q><q><a>b<a>", None)],
)
def test_both_closing_tags_are_read_and_incomplete_pairs_are_not(text, answer):
    pair = parse_pair(text)
    assert (pair.answer if pair else None) == answer


def test_only_a_whole_option_names_it():
    assert match_option(" Left. ", ("left", "left upper")) == "left"
    assert match_option("lef", ("left", "right")) is None


def sample(answer, options=PLACE.options, question=PLACE.question, log_probability=-1.0):
    return SampledText(ImageId("i"), pair_target(question, options, answer), log_probability)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SampledText(ImageId("i"), "hello", -1), "no complete pair"),
        (sample("left", question="What colour?"), "question that nobody asked"),
        (sample("left", options=("left", "top")), "other options than the question has"),
        (sample("top"), "answer outside its options"),
    ],
)
def test_unusable_pairs_are_turned_down_with_a_reason(text, reason):
    assert PairChecker([PLACE], [LABEL]).check(text) == reason


def test_free_questions_are_kept_where_experts_ask_free_questions():
    free = AnsweredQuestion(ImageId("x"), "Anything odd?", (), "no", None)
    result = PairChecker([PLACE], [LABEL, free]).check(sample("red", options=(), question="What colour?"))
    assert not isinstance(result, str) and result.type_id is None


@pytest.mark.parametrize("options", [("yes",), ("1", "1", "2"), ("yes", "Yes", "no"), ("?", "!")])
def test_a_free_question_whose_options_are_no_choice_is_turned_down_and_counted(options):
    free = AnsweredQuestion(ImageId("x"), "Anything odd?", ("yes", "no"), "no", None)
    checker, asked = PairChecker([PLACE], [LABEL, free]), "Is it a cell?"
    pairs, refused = choose_pairs(checker, [sample(options[0], options=options, question=asked)])
    assert pairs == [] and refused == {"no list of different options": 1}
    (kept,), refused = choose_pairs(checker, [sample("1", options=("1", "2"), question=asked)])
    assert kept.pair.options == ("1", "2") and not refused


def test_the_experts_own_options_may_be_alike():
    alike = QuestionType("kind", "Which?", ("P", "p"))
    result = PairChecker([alike], [LABEL]).check(sample("p", options=alike.options, question=alike.question))
    assert not isinstance(result, str) and result.pair.answer == "p"


def test_the_answer_written_most_often_is_kept():
    texts = [sample("left", log_probability=-0.1), sample("right"), sample("Right "), sample("nowhere")]
    pairs, refused = choose_pairs(PairChecker([PLACE], [LABEL]), texts)
    assert [(p.pair.answer, p.votes) for p in pairs] == [("right", 2)]
    assert refused == {"answer outside its options": 1}
    tie, _ = choose_pairs(PairChecker([PLACE], [LABEL]), texts[:2])
    assert tie[0].pair.answer == "left"


def test_an_edited_pair_does_not_let_free_questions_in():
    edited = replace(LABEL, question="Where exactly is it?", type_id=None)
    asked = sample("red", options=(), question="What colour?")
    assert PairChecker([PLACE], [LABEL, edited], labels=[LABEL]).check(asked) == "question that nobody asked"
    own = replace(LABEL, question="Anything odd?", type_id=None)
    assert not isinstance(PairChecker([PLACE], [LABEL, own, edited], labels=[LABEL, own]).check(asked), str)
