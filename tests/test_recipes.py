"""What is trained with, where nobody says otherwise."""

import pytest

from leaml.config import BUNDLED_MODEL, SelectionConfig
from leaml.errors import ConfigError
from leaml.recipes import generator_recipe, model_recipe
from leaml.records import METHODS


def test_pairs_are_learnt_by_lora_and_the_rest_by_what_they_are_named_for():
    moves = {method: model_recipe(method).moves for method in METHODS}
    assert moves == {
        "zero_shot": "full",
        "full_finetune": "full",
        "lora": "lora",
        "leaml": "lora",
        "leaml_reviewed": "lora",
    }
    rates = {method: model_recipe(method).train.learning_rate for method in METHODS}
    assert rates["lora"] == rates["leaml_reviewed"] == rates["leaml"] > rates["full_finetune"]


def test_what_learns_pairs_goes_on_from_the_generator_where_that_was_measured():
    starts = {method: model_recipe(method).starts_from for method in METHODS}
    assert {method for method, start in starts.items() if start == "generator"} == {"leaml", "leaml_reviewed"}
    assert {model_recipe(method, model="some/model").starts_from for method in METHODS} == {"pretrained"}
    own, other = generator_recipe(), generator_recipe(model="some/model")
    assert (own.judge_starts_from, own.answered_by) == ("generator", "judge")
    assert (other.judge_starts_from, other.answered_by) == ("pretrained", "generator")
    assert own.judge.steps == model_recipe("leaml").train.steps


def test_an_update_that_a_person_asks_for_holds_and_brings_its_rate():
    chosen = model_recipe("leaml_reviewed", update="full")
    assert chosen.moves == "full" and chosen.train.learning_rate == model_recipe("full_finetune").train.learning_rate
    with pytest.raises(ConfigError, match="which lora is named for"):
        model_recipe("lora", update="full")


def test_models_that_were_not_measured_take_small_steps():
    for method in METHODS:
        other, own = model_recipe(method, model="some/model"), model_recipe(method)
        assert other.model == "some/model" and other.train.learning_rate < own.train.learning_rate / 20
    other = generator_recipe(model="some/model")
    assert other.train.learning_rate == 1e-5
    assert (other.judge_update, other.judge.learning_rate) == ("lora", 1e-4)
    assert other.contrast == 0 < generator_recipe().contrast


def test_a_generator_that_moves_all_weights_takes_smaller_steps():
    some, every = generator_recipe(selection=SelectionConfig(0.25)), generator_recipe(selection=None)
    assert (some.model, some.selection, every.selection) == (BUNDLED_MODEL, SelectionConfig(0.25), None)
    assert every.train.learning_rate < some.train.learning_rate
    assert generator_recipe().selection == SelectionConfig()


def test_pairs_that_nobody_looked_at_count_as_much_as_people_would_accept_them():
    weightings = {method: model_recipe(method).mixture.weighting for method in METHODS}
    assert model_recipe("leaml").mixture.pseudo_share == 0.5
    assert weightings["leaml"] == "acceptance" and set(weightings.values()) == {"acceptance", "equal"}
