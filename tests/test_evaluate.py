"""The test questions' answers: in order, and with the options' probabilities wherever there are options."""

from dataclasses import replace

import pytest

from leaml.evaluate import predict
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
