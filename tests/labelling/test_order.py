"""Which question is asked next, and why; and what images look like."""

import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leaml.labelling.looks import DIMENSIONS, image_vectors
from leaml.labelling.order import Choice, Guess, LabelOrder, shuffled
from leaml.records import AnsweredQuestion, ImageId, ImageRow, QuestionType
from tests.drawn import COLOUR, SIDE

ANGLES = (0, 10, 20, 90, 100, 250)


def pool(count: int) -> list[ImageRow]:
    return [ImageRow(ImageId(f"i{n}"), f"{n}.png", "", f"{n}", "pool", 4, 3) for n in range(count)]


def circle(angles: tuple[int, ...] = ANGLES) -> np.ndarray:
    radians = np.deg2rad(np.array(angles, dtype=np.float32))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def given(image: str, kind: QuestionType, answer: str = "left") -> AnsweredQuestion:
    return AnsweredQuestion(ImageId(image), kind.question, kind.options, answer, kind.id)


def nothing(_: str) -> list[Guess]:
    return []


def test_question_types_take_turns_on_fresh_images() -> None:
    for vectors in (None, circle()):
        order = LabelOrder(pool(6), vectors)
        asked = [choice.asked for choice in order.choose((SIDE, COLOUR), [], nothing, limit=6)]
        assert Counter(kind for _, kind in asked) == {"side": 3, "colour": 3}
        assert len({image for image, _ in asked}) == 6
        assert [choice.asked for choice in order.choose((SIDE, COLOUR), [], nothing, limit=6)] == asked
        everything = order.choose((SIDE, COLOUR), [], nothing, limit=99)
        assert len({choice.asked for choice in everything}) == 12
        left = order.choose((SIDE,), [], nothing, skipped={(ImageId(f"i{n}"), "side") for n in range(6)})
        assert left == []


def test_the_image_least_like_the_labelled_ones_comes_next() -> None:
    order = LabelOrder(pool(6), circle())
    labels = [given("i0", SIDE)]
    chosen = order.choose((SIDE,), labels, nothing, limit=3)
    # From 0 degrees: 250 is 110 away, 100 is 100; then 100 is the farthest from both; then 20.
    assert [choice.asked[0] for choice in chosen] == ["i5", "i4", "i2"]
    assert {choice.reason for choice in chosen} == {"unlike"}
    again = order.choose((SIDE,), [*labels, given("i5", SIDE)], nothing)
    assert again[0].asked[0] == "i4"
    undone = order.choose((SIDE,), [given("i5", SIDE)], nothing)
    assert undone[0].asked[0] == "i3", "160 away: an undo forgets what was labelled"


def test_before_the_images_are_compared_the_order_is_shuffled_and_says_so() -> None:
    chosen = LabelOrder(pool(40)).choose((SIDE,), [], nothing, limit=40)
    assert {choice.reason for choice in chosen} == {"random"}
    names = [choice.asked[0] for choice in chosen]
    assert sorted(names) == sorted(row.id for row in pool(40)) and names != [row.id for row in pool(40)]


def test_the_first_image_is_a_typical_one() -> None:
    (choice,) = LabelOrder(pool(6), circle()).choose((SIDE,), [], nothing)
    assert choice == Choice((ImageId("i2"), "side"), "first"), "the mean points to 33 degrees"


def test_an_unsure_prediction_goes_before_a_sure_one_and_a_rare_answer_counts() -> None:
    def guesses(type_id: str) -> list[Guess]:
        figures = {"i1": (0.5, 0.5), "i2": (0.9, 0.1), "i3": (0.03, 0.97)}
        return [Guess(ImageId(image), SIDE.options, row) for image, row in figures.items()] if type_id == "side" else []

    order = LabelOrder(pool(6), circle())
    chosen = order.choose((SIDE,), [], guesses, limit=4)
    assert [choice.asked[0] for choice in chosen[:3]] == ["i1", "i2", "i3"]
    assert [choice.reason for choice in chosen] == ["unsure", "unsure", "unsure", "unlike"]
    many = [given(f"x{n}", SIDE, "left") for n in range(9)]
    second = order.choose((SIDE,), many, guesses, limit=2)[1]
    assert second == Choice((ImageId("i3"), "side"), "rare"), "“right” has no label yet"


def test_an_image_about_which_two_models_differ_goes_before_one_that_both_are_as_sure_of() -> None:
    figures = {"i1": ((0.95, 0.05), "left"), "i2": ((0.95, 0.05), "right"), "i3": ((0.95, 0.05), None)}
    found = [Guess(ImageId(image), SIDE.options, row, written) for image, (row, written) in figures.items()]
    chosen = LabelOrder(pool(6), circle()).choose((SIDE,), [], lambda _: found, limit=3)
    assert chosen[0] == Choice((ImageId("i2"), "side"), "differ")
    assert [choice.asked[0] for choice in chosen[1:]] == ["i1", "i3"]
    assert {choice.reason for choice in chosen[1:]} == {"unsure"}


def test_ten_thousand_images_are_fast() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(10_000, 192)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = LabelOrder(pool(10_000), vectors)
    labels = [given(f"i{n}", SIDE) for n in range(200)]
    order.choose((SIDE, COLOUR), labels, nothing)
    seconds = []
    for n in range(200, 210):
        labels.append(given(f"i{n}", SIDE))
        began = time.process_time()
        order.choose((SIDE, COLOUR), labels, nothing)
        seconds.append(time.process_time() - began)
    assert sorted(seconds)[5] < 0.05


def test_vectors_of_pictures_and_of_towers(tmp_path: Path) -> None:
    images = {}
    for name, colour in (("a", (200, 30, 30)), ("b", (190, 40, 30)), ("c", (20, 20, 220))):
        Image.new("RGB", (64, 48), colour).save(tmp_path / f"{name}.jpg")
        images[ImageId(name)] = tmp_path / f"{name}.jpg"
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    images[ImageId("broken")] = tmp_path / "broken.jpg"
    found = image_vectors(images, tmp_path / "cache")
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1, 1, 0], abs=1e-3)
    assert found[0] @ found[1] > 0.9 > 0 > found[0] @ found[2]

    tower = tmp_path / "cache" / "abc"
    tower.mkdir(parents=True)
    for name, value in (("a", 1.0), ("b", -1.0), ("c", 1.1)):
        np.save(tower / f"{name}.npy", np.full((4, 8), value, dtype=np.float32))
    assert image_vectors(images, tmp_path / "cache").shape[1] == found.shape[1], "features of all images, or of none"
    np.save(tower / "broken.npy", np.full((4, 8), -0.9, dtype=np.float32))
    found = image_vectors(images, tmp_path / "cache")
    assert found.shape == (4, 8) and found[0] @ found[2] > 0.9 and found[1] @ found[3] > 0.9


@pytest.mark.parametrize(("mode", "ending"), [("RGB", "jpg"), ("L", "tif")])
def test_a_turned_picture_looks_as_it_is_shown(tmp_path: Path, mode: str, ending: str) -> None:
    picture, exif = Image.new(mode, (64, 48), "white"), Image.Exif()
    picture.paste("black", (0, 0, 32, 48))
    exif[0x0112] = 6
    images = {ImageId(name): tmp_path / f"{name}.{ending}" for name in ("noted", "turned", "lying")}
    picture.save(tmp_path / f"noted.{ending}", exif=exif)
    picture.transpose(Image.Transpose.ROTATE_270).save(tmp_path / f"turned.{ending}")
    picture.save(tmp_path / f"lying.{ending}")
    found = image_vectors(images, tmp_path / "cache")
    assert found[0] @ found[1] > 0.9 > 0 > found[0] @ found[2]


def test_a_large_pool_takes_little_memory_and_long_features_keep_their_distances(tmp_path: Path) -> None:
    tower, draw = tmp_path / "cache" / "abc", np.random.default_rng(0)
    tower.mkdir(parents=True)
    centres = draw.normal(size=(3, 1280))  # ten images around each
    features = (np.repeat(centres, 10, axis=0) + 0.3 * draw.normal(size=(30, 1280))).astype(np.float32)
    for number, row in enumerate(features):
        np.save(tower / f"i{number}.npy", np.stack([row + 1, row - 1]))
    found = image_vectors({ImageId(f"i{n}"): tmp_path for n in range(30)}, tmp_path / "cache")
    assert found.shape == (30, DIMENSIONS) and found.dtype == np.float32
    centred = features - features.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    true = centred @ centred.T
    assert true.max() > 0.9 and true.min() < -0.4
    assert found @ found.T == pytest.approx(true, abs=0.2)

    images = shuffled(pool(30))
    assert LabelOrder(images, found)._vectors is found, "no second copy"
