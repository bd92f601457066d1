"""The test questions' answers: in order, and with the options' probabilities wherever there are options."""

from dataclasses import replace

import pytest

import leaml.evaluate
from leaml.config import TrainConfig
from leaml.evaluate import ANSWER_TOKENS, OPEN_TOKENS, predict
from leaml.records import AnsweredQuestion, ImageId
from leaml.training.flips import WAYS, ask_flipped, unflip_probabilities
from leaml.training.objectives import answer_sample, collate, sequence_losses
from leaml.training.train import train
from leaml.training.updates import full_update
from tests.backbones.test_chain import Silent
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


LONG = tuple(
    f"One team wears {colours} jerseys with long white sleeves, the other team wears dark jerseys with golden numbers"
    for colours in ("red and yellow", "black and blue", "plain green")
)


def test_a_long_right_option_is_written_to_its_end_and_counts(backbone, features, tmp_path):
    asked = AnsweredQuestion(ImageId("picture0"), "What do the teams wear?", LONG, LONG[1], "jerseys")
    assert len(backbone.chat.target_ids(LONG[1])) > ANSWER_TOKENS
    batch = collate(backbone, features, [answer_sample(asked)])
    update = full_update(backbone, weight_decay=0.0)

    def losses(step):
        return [iter([(sequence_losses(backbone, batch)[0].mean(), {})])]

    config = TrainConfig(steps=20, batch_size=1, learning_rate=1e-3, warmup_steps=1)
    train("x", update.optimizer, losses, config, checkpoints=tmp_path / "c", report=Silent(), device=backbone.device)
    (found,) = predict(backbone, features, [asked], lambda *_: None)
    assert (found.answer, found.correct) == (LONG[1], True)


def test_the_room_for_an_answer_is_that_of_the_longest_one_and_ordinary_questions_get_no_more(
    backbone, features, monkeypatch
):
    rooms = []

    def answered(backbone, prefix, *, max_new_tokens):
        rooms.append(max_new_tokens)
        return ["left"] * len(prefix.mask)

    monkeypatch.setattr(leaml.evaluate, "greedy", answered)
    closed = place_question("picture0", 0)
    several = replace(closed, question="What do the teams wear? Choose all that apply.", options=LONG)
    for item in (closed, replace(closed, options=LONG), several, replace(closed, options=())):
        predict(backbone, features, [item], lambda *_: None)
    size = len(backbone.chat.target_ids(LONG[0]))
    assert rooms[:2] == [ANSWER_TOKENS, max(len(backbone.chat.target_ids(option)) for option in LONG)]
    assert rooms[2] == len(backbone.chat.target_ids("; ".join(LONG))) > 2 * size and rooms[3] == OPEN_TOKENS


def test_mirrored_pictures_do_not_mend_an_answer_outside_the_options(backbone, features, monkeypatch):
    monkeypatch.setattr(leaml.evaluate, "greedy", lambda backbone, prefix, **_: ["somewhere"])
    (found,) = predict(backbone, features, [place_question("picture0", 0)], lambda *_: None, "both")
    assert (found.answer, found.correct) == ("somewhere", False)
