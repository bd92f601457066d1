"""Labels from a CSV file: all lines or none, and a sentence for each bad one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from leaml.cli import main
from leaml.data.export import export
from leaml.data.labels import Imported, import_labels
from leaml.errors import ImportDataError
from leaml.records import ImageId, QuestionType
from leaml.store import Store
from tests.drawn import COLOUR, PROJECT, SIDE, fill

ROUND = QuestionType("round", "Is it round?", ("yes", "no"))
GOOD = """image,question,answer,author
dot_00.png,side,LEFT,Dr. Meyer
dot_00.png,Which colour is the dot?,red,
dot_01.png,"Is it round, mostly?",yes,Dr. Meyer
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    fill(tmp_path / "work")
    with Store.open(tmp_path / "work") as opened:
        yield opened


def test_labels_are_imported_once(store: Store) -> None:
    assert import_labels(store, GOOD, author="me") == Imported(3, 0, 0)
    one, two, three = store.labels()
    assert (one.pair.answer, one.pair.type_id, one.pair.options, one.author) == (
        "left",
        "side",
        SIDE.options,
        "Dr. Meyer",
    )
    assert (two.pair.question, two.pair.answer, two.author) == (COLOUR.question, "red", "me")
    assert (three.pair.question, three.pair.type_id, three.pair.options) == ("Is it round, mostly?", None, ())
    assert import_labels(store, GOOD.replace("red", "blue"), author="me") == Imported(1, 0, 2)
    assert [label.pair.answer for label in store.labels()] == ["left", "yes", "blue"]
    assert store.verify_events()[0] == 4


def test_answers_about_test_images_are_what_models_are_tested_against(store: Store) -> None:
    asked = {(pair.image_id, pair.question) for pair in store.held_out.questions()}
    test = store.images("test")[0]
    store.save_project(replace(PROJECT, question_types=(*PROJECT.question_types, ROUND)))
    lines = f"image,question,answer\n{test.name},round,yes\ndot_00.png,round,no\n"
    assert import_labels(store, lines, author="me") == Imported(1, 1, 0)
    assert import_labels(store, lines, author="me") == Imported(0, 0, 2)
    assert [label.pair.image_id for label in store.labels("pool")] == [store.images("pool")[0].id]
    found = {(pair.image_id, pair.question): pair for pair in store.held_out.questions()}
    assert set(found) - asked == {(test.id, ROUND.question)} and found[test.id, ROUND.question].answer == "yes"
    assert store.verify_events()[0] == 2, "both are events"
    assert import_labels(store, lines.replace("yes", "no"), author="me") == Imported(0, 1, 1)
    given = next(pair for pair in store.references("test") if pair.image_id == test.id)
    other = next(option for option in given.options if option != given.answer)
    lines = f"image,question,answer\n{test.name},{given.type_id},{other}\n"
    with pytest.raises(ImportDataError, match=f"Line 2: the data came with the answer '{given.answer}', which stays"):
        import_labels(store, lines, author="me")


def test_a_whole_name_means_that_image(store: Store) -> None:
    picture = store.images("pool")[0]
    inside = replace(picture, id=ImageId("0" * 64), name=f"sub/{picture.name}", group="0" * 64)
    store.import_project(PROJECT, [inside])
    import_labels(store, f"image,question,answer\n{picture.name},side,left\n", author="me")
    assert [label.pair.image_id for label in store.labels()] == [picture.id]


def test_answers_that_were_exported_come_in_again(store: Store, tmp_path: Path) -> None:
    store.save_project(replace(PROJECT, question_types=(*PROJECT.question_types, ROUND)))
    test = store.images("test")[0]
    quoted = 'dot_00.png,"Is it round, mostly?","no, ""oval""",me'
    lines = f"image,question,answer,author,options\n{test.name},round,yes,Dr. Møller\n{quoted},yes | no | oval\n"
    import_labels(store, lines, author="me")
    assert export(store, tmp_path / "answers.csv") == 2
    content = (tmp_path / "answers.csv").read_text(encoding="utf-8")
    assert f"{test.name},Is it round?,yes,Dr. Møller,,test\n" in content.replace("\r\n", "\n")
    assert store.labels("pool")[0].pair.options == ("yes", "no", "oval")
    assert import_labels(store, content, author="somebody else") == Imported(0, 0, 2)
    store.save_project(PROJECT)
    assert import_labels(store, content, author="somebody else") == Imported(0, 0, 2), "not asked any more"
    fill(tmp_path / "other")
    with Store.open(tmp_path / "other") as other:
        other.save_project(replace(PROJECT, question_types=(*PROJECT.question_types, ROUND)))
        assert import_labels(other, content, author="somebody else") == Imported(1, 1, 0)
        assert [(row.pair, row.author) for row in other.labels()] == [(row.pair, row.author) for row in store.labels()]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_spreadsheets_of_other_countries(store: Store, mark: str) -> None:
    content = "\ufeff" + "image,question,answer\r\ndot_00.png,side,left\r\n".replace(",", mark)
    assert import_labels(store, content, author="me") == Imported(1, 0, 0)


def test_each_bad_line_is_said_and_nothing_is_imported(store: Store) -> None:
    lines = (
        "dot_99.png,side,left",
        "dot_00.png,side,above",
        "dot_01.png,,left",
        "dot_13.png,Is it round?,yes",
        "dot_02.png,side,left,me,more",
        "dot_03.png,side,left",
        "dot_03.png,side,right",
    )
    with pytest.raises(ImportDataError) as caught:
        import_labels(store, "image,question,answer,author\n" + "\n".join(lines), author="me")
    said = str(caught.value)
    for sentence in (
        "Nothing was imported.",
        "Line 2: there is no image 'dot_99.png' in this project.",
        "Line 3: 'above' is no answer to side, which has left, right.",
        "Line 4: the question is missing.",
        "Line 5: 'dot_13.png' is kept for the test, which asks the project's questions, not 'Is it round?'.",
        "Line 6: it has more fields than the first line; put quotes around a comma.",
        "Line 8: this question about this image is answered above already.",
    ):
        assert sentence in said
    assert "Line 7" not in said and store.labels() == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "It lacks image, question, answer"),
        ("image,answer\n", "It lacks question"),
        ("image,question,answer\n", "no line below"),
        ('"image"x,question,answer\ndot_00.png,side,left\n', "Line 1: it cannot be read as CSV .* Nothing was"),
        ('image,question,answer\ndot_00.png,side,"left\n', "Line 2: it cannot be read as CSV"),
        ("image,question,answer\n" + "x,side,left\n" * 15, "And 5 more"),
    ],
)
def test_files_that_cannot_be_used(store: Store, content: str, said: str) -> None:
    with pytest.raises(ImportDataError, match=said):
        import_labels(store, content, author="me")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "work")
    file = tmp_path / "labels.csv"
    file.write_text(GOOD)
    command = ["--workspace", str(tmp_path / "work"), "labels", "import"]
    assert main([*command, str(file), "--author", "Ann"]) == 0
    assert capsys.readouterr().out == "3 labels and 0 test answers imported; 0 were there already.\n"
    with Store.open(tmp_path / "work") as store:
        assert {label.author for label in store.labels()} == {"Dr. Meyer", "Ann"}
    file.write_bytes(b"image\xff")
    assert main([*command, str(file)]) == 1
    assert "UTF-8" in capsys.readouterr().err
