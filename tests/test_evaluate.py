"""The test questions' answers: in order, and with the options' probabilities wherever there are options."""

from dataclasses import replace

import pytest

import leaml.evaluate
from leaml.evaluate import predict
from leaml.flips import WAYS, ask_flipped, unflip_probabilities
from tests.conftest import place_question


def test_an_open_question_takes_no_other_questions_probabilities(backbone, features):
    closed = [place_question(f"picture{number}", number) for number in range(4)]
    opened = replace(closed[1], question="What is to be seen in this picture, and where?", options=(), answer="a disc")
    questions = [closed[0], opened, closed[2], replace(opened, question="Colour?"), closed[3]]
    steps = []
    found = predict(backbone, features, questions, lambda done, total: steps.append((done, total)))
    assert [(row.image_id, row.question) for row in found] == [(item.image_id, item.question) for item in questions]
    assert [len(row.option_probabilities) for row in found] == [3, 0, 3, 0, 3]
    assert steps[-1] == (5, 5)
    alone = predict(backbone, features, [closed[0]], lambda *_: None)[0]
    assert found[0].option_probabilities == pytest.approx(alone.option_probabilities, abs=1e-4)
    assert found[0].answer == alone.answer


def test_a_model_that_knows_mirrored_pictures_answers_by_the_mean_over_all_of_them(backbone, features):
    questions = [place_question(f"picture{number}", number) for number in range(6)]
    opened = replace(questions[1], question="What is to be seen in this picture?", options=(), answer="a disc")
    steps = []
    found = predict(backbone, features, [*questions, opened], lambda *done: steps.append(done), "both")
    looks = []
    for way in WAYS["both"]:
        rows = predict(backbone, features, [ask_flipped(item, way) for item in questions], lambda *_: None)
        looks.append([unflip_probabilities(row.options, row.option_probabilities, way) for row in rows])
    for place, row in enumerate(found[:-1]):
        means = [sum(look[place][option] for look in looks) / 4 for option in range(3)]
        assert row.option_probabilities == pytest.approx(means, abs=1e-3)
        assert row.answer == row.options[means.index(max(means))]
        assert row.correct == (row.answer == questions[place].answer)
    assert found[-1] == predict(backbone, features, [opened], lambda *_: None)[0]
    assert steps[-1] == (28, 28) and steps == sorted(steps)


def test_mirrored_pictures_do_not_mend_an_answer_outside_the_options(backbone, features, monkeypatch):
    monkeypatch.setattr(leaml.evaluate, "greedy", lambda backbone, prefix, **_: ["somewhere"])
    (found,) = predict(backbone, features, [place_question("picture0", 0)], lambda *_: None, "both")
    assert (found.answer, found.correct) == ("somewhere", False)
