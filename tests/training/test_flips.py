"""Mirrored pictures and the words about them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from leaml.config import BUNDLED_MODEL, FLIPS
from leaml.models.backbone import load
from leaml.models.features import ImageFeatures
from leaml.prompts import SEVERAL, question_prompt
from leaml.records import AnsweredQuestion, Caption
from leaml.training.flips import (
    COUNTERCLOCKWISE,
    WAYS,
    ask_flipped,
    flip_id,
    flip_picture,
    flip_question,
    flip_text,
    unflip_probabilities,
    unflipped,
)
from leaml.training.objectives import Sample, answer_sample, caption_sample, flip_some

PLACES = ("left", "center", "right")


@pytest.mark.parametrize(
    ("text", "way", "expected"),
    [
        ("The cell is left of the large one.", "h", "The cell is right of the large one."),
        ("Upper-left; LEFT, Right.", "h", "Upper-right; RIGHT, Left."),
        ("Upper-left, below the fold", "v", "Lower-left, above the fold"),
        ("Upper-left, below the fold", "hv", "Lower-right, above the fold"),
        ("The rightful leftover stays.", "h", "The rightful leftover stays."),
        ("turned clockwise", "h", "turned counterclockwise"),
        ("turned clockwise", "hv", "turned clockwise"),
        ("Counter-clockwise, then clockwise", "v", "Clockwise, then counter-clockwise"),
        ("turned anticlockwise; turned clockwise", "h", "turned clockwise; turned anticlockwise"),
        ("ANTI-CLOCKWISE; counter clockwise", "h", "CLOCKWISE; clockwise"),
        ("a counter, clockwise", "h", "a counter, counterclockwise"),
        ("Links unten.", "hv", "Links unten."),
        ("top and left", "", "top and left"),
    ],
)
def test_the_words_for_sides_are_exchanged(text, way, expected):
    assert flip_text(text, way) == expected


@given(st.text(), st.sampled_from(["h", "v", "hv"]))
def test_flipping_twice_gives_the_words_back(text, way):
    once = flip_text(text, way)
    assert flip_text(once, way).casefold() == text.casefold() and len(once.split()) == len(text.split())


turns = st.lists(st.sampled_from(["turned", "left", "above", "clockwise", "{against}"]), max_size=8)


@given(turns, st.sampled_from(COUNTERCLOCKWISE), st.sampled_from(["h", "v", "hv"]))
def test_turns_flipped_twice_are_the_same_turns_however_they_are_spelt(words, against, way):
    text = " ".join(words).format(against=against)
    once = flip_text(text, way, beside=against)
    assert flip_text(once, way, beside=against) == text
    assert once.count(against) == words.count("{against}" if way == "hv" else "clockwise")


@pytest.mark.parametrize("against", COUNTERCLOCKWISE)
def test_the_two_turns_are_the_same_options_in_a_flipped_picture(against):
    options = ("clockwise", against, "neither")
    asked = question_prompt("How does it turn?", options)
    assert flip_question(asked, "clockwise", "h") == (asked, against)
    assert flip_question(asked, against, "v") == (asked, "clockwise")
    assert unflip_probabilities(options, (0.7, 0.2, 0.1), "h") == (0.2, 0.7, 0.1)


def test_options_stay_where_they_are_when_they_are_the_same_ones():
    asked = question_prompt("Where is it?", PLACES)
    assert flip_question(asked, "left", "h") == (asked, "right")
    assert flip_question(asked, "center", "h") == (asked, "center")
    assert flip_question(asked, "left", "v") == (asked, "left")


def test_options_follow_the_picture_when_they_would_be_others():
    asked = question_prompt("Which border does it touch?", ("left", "top"))
    assert flip_question(asked, "left", "hv") == (
        question_prompt("Which border does it touch?", ("right", "bottom")),
        "right",
    )
    asked = question_prompt("Is it on the left?", ("yes", "no"))
    assert flip_question(asked, "yes", "h") == (question_prompt("Is it on the right?", ("yes", "no")), "yes")


@pytest.mark.parametrize("way", ["", "h", "v", "hv"])
@pytest.mark.parametrize("options", [PLACES, ("upper left", "lower right", "elsewhere"), ("yes", "no")])
def test_probabilities_about_a_flipped_picture_come_back_to_the_options_that_were_asked(options, way):
    asked = ask_flipped(AnsweredQuestion("cell", "Is it on the left?", options, options[0]), way)
    told = {option: float(number) for number, option in enumerate(options)}
    found = tuple(told[flip_text(option, way)] for option in asked.options)
    assert unflip_probabilities(options, found, way) == tuple(told.values())
    assert (asked.image_id, asked.answer) == (flip_id("cell", way), "")
    assert asked.question == ("Is it on the right?" if "h" in way else "Is it on the left?")


def test_several_answers_stay_in_the_options_order():
    asked = question_prompt(f"Where are cells? {SEVERAL}", PLACES)
    assert flip_question(asked, "left; center", "h") == (asked, "center; right")


def test_a_step_is_flipped_by_its_number_alone_and_in_every_way():
    pair = AnsweredQuestion("a" * 64, "Where is it?", PLACES, "left")
    samples = [answer_sample(pair), caption_sample(Caption("b" * 64, "Top left.", "t", "p"))] * 40
    assert flip_some(samples, "none", seed=0, step=0) == samples
    shown = flip_some(samples, "both", seed=3, step=5)
    assert shown == flip_some(samples, "both", seed=3, step=5) != flip_some(samples, "both", seed=3, step=6)
    assert {sample.image_id for sample in shown[::2]} == {flip_id("a" * 64, way) for way in WAYS["both"]}
    answers = {(sample.image_id.partition("@")[2], sample.target) for sample in shown}
    assert {("", "left"), ("h", "right"), ("v", "left"), ("hv", "right")} <= answers
    assert {("h", "Top right."), ("v", "Bottom left.")} <= answers
    assert {s.image_id for s in flip_some(samples, "horizontal", seed=0, step=0)[::2]} == {"a" * 64, f"{'a' * 64}@h"}


def test_a_sample_that_is_not_flipped_is_left_alone():
    odd = Sample("a" * 64, "  Two  spaces? Choose one of the following options: a|b", " a ")
    assert flip_some([odd], "none", seed=0, step=0) == [odd]


@pytest.mark.parametrize("way", WAYS["both"])
def test_pictures_are_flipped_as_their_ids_say(way):
    picture = Image.new("L", (3, 2))
    picture.putdata(range(6))
    image_id = flip_id("a" * 64, way)
    pixels = torch.tensor(list(flip_picture(picture, image_id).getdata())).view(2, 3)
    expected = torch.arange(6).view(2, 3).flip([{"v": 0, "h": 1}[side] for side in way])
    assert torch.equal(pixels, expected) and unflipped(image_id) == "a" * 64


def test_a_flipped_picture_has_features_of_its_own_without_being_added(tmp_path):
    picture = Image.linear_gradient("L").rotate(90).convert("RGB")
    picture.save(tmp_path / "shade.png")
    picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "mirrored.png")
    features = ImageFeatures(load(BUNDLED_MODEL), tmp_path / "cache")
    features.add({"shade": tmp_path / "shade.png", "mirrored": tmp_path / "mirrored.png"})
    (plain,), (flipped,), (mirrored,) = features.batch(["shade", flip_id("shade", "h"), "mirrored"])
    assert torch.equal(flipped.features, mirrored.features) and not torch.equal(flipped.features, plain.features)
    kept = sorted(path.name for path in (tmp_path / "cache").rglob("*.npy"))
    assert kept == ["mirrored.npy", "shade.npy", "shade@h.npy"]


def test_every_setting_has_its_ways():
    assert set(WAYS) == set(FLIPS) and all(ways[0] == "" for ways in WAYS.values())
