"""Options that nobody has seen before."""

import numpy as np
import pytest

from assets.pretraining.texts.dressing import dressed
from assets.pretraining.texts.lists import MOST, ORDINALS, list_question, repeat_request
from assets.pretraining.texts.questions import Question

GLOSSES = [(word, f"the meaning of {word}") for word in ("apple", "bridge", "cello", "drum", "eagle", "fern", "glue")]


@pytest.mark.parametrize("seed", range(60))
def test_a_list_question_is_answered_by_the_list(seed):
    question = list_question(np.random.default_rng(seed), GLOSSES)
    assert 2 <= len(question.options) <= MOST
    assert len(set(question.options)) == len(question.options)
    place = question.options.index(question.answer)
    for number, name in enumerate(ORDINALS):
        if f"comes {name}?" in question.text or f"the {name} o" in question.text:
            assert place == number
    if " last" in question.text:
        assert place == len(question.options) - 1
    if "letter" in question.text or "begins" in question.text or "starts with" in question.text:
        first = [option[0].lower() for option in question.options]
        assert first.count(question.answer[0].lower()) == 1
    if "the meaning of" in question.text:
        assert f"the meaning of {question.answer}?" in question.text


def test_every_list_length_occurs():
    lengths = {len(list_question(np.random.default_rng(seed), []).options) for seed in range(200)}
    assert lengths == set(range(2, MOST + 1))


def test_dressing_changes_all_options_alike_and_keeps_the_answer():
    question = Question("across", "Where?", ("left", "center", "right"), "right")
    seen = [dressed(np.random.default_rng(seed), question) for seed in range(80)]
    assert all(q.options.index(q.answer) == 2 and len(set(q.options)) == 3 for q in seen)
    assert len({q.options for q in seen}) > 12
    for q in seen:
        words = {option.casefold().replace(bare, "") for option, bare in zip(q.options, question.options, strict=True)}
        assert len(words) == 1


def test_yes_and_no_get_no_words_around_them():
    question = Question("border", "Cut off?", ("no", "yes"), "no")
    options = {o for seed in range(60) for o in dressed(np.random.default_rng(seed), question).options}
    assert {o.casefold() for o in options} == {"yes", "no"}


def test_a_request_to_repeat_is_answered_with_its_words():
    for seed in range(20):
        request = repeat_request(np.random.default_rng(seed), GLOSSES)
        assert request.text.endswith(f": {request.answer}") and not request.options
