"""Project folders in, labels out, and what is said about data that does not fit."""

import json
import shutil
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from leaml.choices import CHOICES_FILE, Choices, read_choices, write_choices
from leaml.data.export import export
from leaml.data.folder import import_folder, split_of
from leaml.data.project_folder import import_project
from leaml.errors import ImportDataError
from leaml.records import QuestionType
from leaml.store import Store
from tests.conftest import draw
from tests.test_import_folder import MORE, put, sides

TYPES = [{"id": "place", "question": "Where?", "options": ["left", "right"]}]


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def types(*rows):
    return json.dumps({"name": "Discs", "question_types": rows})


@pytest.fixture
def project(tmp_path):
    """A project folder with four pictures, one of them for the test."""
    folder = tmp_path / "project"
    (folder / "images").mkdir(parents=True)
    for number in range(4):
        draw(folder / "images" / f"{number}.png", number)
    (folder / "project.json").write_text(json.dumps({"name": "Discs", "teacher": "me", "question_types": TYPES}))
    images = [{"file": f"{n}.png", "group": f"g{n}", "split": "test" if n == 3 else "pool"} for n in range(4)]
    (folder / "images.jsonl").write_text(lines(images))
    answers = [{"file": f"{n}.png", "question_type": "place", "answer": "left"} for n in range(4)]
    (folder / "reference.jsonl").write_text(lines(answers))
    (folder / "captions.jsonl").write_text(lines([{"file": "0.png", "caption": "A disc."}]))
    return folder


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "workspace") as opened:
        yield opened


def test_a_project_folder_comes_in_whole_and_twice_is_once(store, project):
    for _ in range(2):
        import_project(store, project)
    assert store.project().question_types == (QuestionType("place", "Where?", ("left", "right")),)
    assert [image.name for image in store.images("test")] == ["3.png"]
    assert len(store.references("pool")) == 3
    assert [caption.teacher for caption in store.captions.all()] == ["me"]
    copies = sorted(path.name for path in (store.workspace / "images").iterdir())
    assert copies == sorted(f"{image.id}.png" for image in store.images())
    assert (store.workspace / store.images()[0].path).read_bytes() == (project / "images" / "0.png").read_bytes()


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("project.json", "{", "Cannot read .*project.json"),
        ("project.json", '{"question_types": []}', "lacks the project's name"),
        ("project.json", '{"name": "x", "question_types": [{"id": "a"}]}', "lacks 'question'"),
        ("images.jsonl", '{"file": "0.png"}\n', "Line 1 of images.jsonl lacks 'group'"),
        ("images.jsonl", "nonsense\n", "Line 1 of images.jsonl is no JSON object"),
        ("images.jsonl", "\n", "lists no image"),
        ("images.jsonl", '{"file": "7.png", "group": "g", "split": "pool"}\n', "7.png does not exist"),
        ("images.jsonl", '{"file": "0.png", "group": "g", "split": "train"}\n', "split 'train'"),
        ("reference.jsonl", '{"file": "0.png", "question_type": "size", "answer": "x"}\n', "asks 'size'"),
        (
            "reference.jsonl",
            '{"file": "0.png", "question_type": "place", "answer": "up"}\n',
            "'up' is no answer to place",
        ),
        (
            "reference.jsonl",
            lines([{"file": "0.png", "question_type": "place", "answer": side} for side in ("left", "right")]),
            r"reference.jsonl answers 'Where[?]' about 0.png by 'left' and 'right'. Keep one.",
        ),
        ("captions.jsonl", '{"file": "9.png", "caption": "x"}\n', "'9.png' is not listed"),
        ("project.json", "[]", "lacks the project's name"),
        ("project.json", '{"name": 3, "question_types": []}', "project.json has 3 as its 'name'"),
        ("project.json", '{"name": "x"}', "lacks 'question_types'"),
        ("project.json", '{"name": "x", "flips": "vertical"}', "has 'vertical' as its 'flips'. Write one of none"),
        ("project.json", types("place"), "Question type 1 of project.json is no JSON object"),
        ("project.json", types({"id": "a", "question": "?", "options": "one"}), "type 1 .* has the options 'one'"),
        ("project.json", types({"id": "a", "question": "?", "options": ["x", 1]}), r"has the options \['x', 1\]"),
        ("project.json", types({"id": 1, "question": "?", "options": []}), "type 1 of project.json has 1 as its 'id'"),
        ("project.json", types(*TYPES, *TYPES), "Question type 2 of project.json has the id 'place' again"),
        (
            "project.json",
            types({"id": "a", "question": "Size?", "options": ["big"]}),
            "1 of .* has one answer only, “big”",
        ),
        (
            "project.json",
            types({"id": "a", "question": "Size?", "options": ["big", " "]}),
            "has an answer without a lett",
        ),
        (
            "project.json",
            types({"id": "a", "question": "Size?", "options": ["big", "x|y"]}),
            r"has “x\|y” with a \|, which",
        ),
        (
            "project.json",
            types({"id": "a", "question": "Size?", "options": ["big", "Big."]}),
            "answers “big” and “Big.”",
        ),
        ("project.json", types({"id": "a", "question": " ", "options": []}), "type 1 .* has an empty id or question"),
        (
            "project.json",
            types({"id": "a", "question": "Which? Choose all that apply.", "options": ["x; y", "z"]}),
            "semic",
        ),
        (
            "project.json",
            types(*TYPES, {"id": "b", "question": "WHERE", "options": []}),
            "type 2 .* “Where[?]” is there",
        ),
        ("images.jsonl", '["file", "group", "split"]\n', "Line 1 of images.jsonl is no JSON object"),
        (
            "images.jsonl",
            '\n{"file": "0.png", "group": 3, "split": "pool"}\n',
            "Line 2 of images.jsonl has 3 as its 'group'",
        ),
        ("images.jsonl", '{"file": 5, "group": "g", "split": "pool"}\n', "Line 1 of images.jsonl has 5 as its 'file'"),
        ("reference.jsonl", '{"file": "0.png", "answer": "left"}\n', "Line 1 of reference.jsonl lacks 'question_type'"),
        (
            "reference.jsonl",
            '{"file": "0.png", "question_type": "place", "answer": 2}\n',
            "Line 1 of reference.jsonl has 2 as its 'answer'",
        ),
        (
            "captions.jsonl",
            '{"file": "0.png", "caption": null}\n',
            "Line 1 of captions.jsonl has None as its 'caption'",
        ),
    ],
)
def test_parts_that_do_not_fit_are_named_and_nothing_comes_in(store, project, file, content, sentence):
    (project / file).write_text(content)
    with pytest.raises(ImportDataError, match=sentence):
        import_project(store, project)
    assert store.project() is None and store.images() == []
    assert list((store.workspace / "images").iterdir()) == []


def test_a_project_that_comes_again_keeps_the_questions_that_people_changed(store, project):
    import_project(store, project)
    edited = (QuestionType("place", "where", ("left", "right", "middle")), QuestionType("size", "How large?"))
    store.save_project(replace(store.project(), question_types=edited))
    coming = [*TYPES, {"id": "size", "question": "How many?", "options": ["one", "two"]}]
    (project / "project.json").write_text(types(*coming))
    with (project / "reference.jsonl").open("a") as file:
        file.write(lines([{"file": "1.png", "question_type": "size", "answer": "two"}]))
    import_project(store, project)
    assert store.project().question_types == (*edited, QuestionType("size_2", "How many?", ("one", "two")))
    assert [pair.type_id for pair in store.references("pool")].count("size_2") == 1
    assert len(store.references()) == 5, "a question in the same words has one answer"


def test_a_reference_answer_that_would_change_is_named_and_nothing_comes_in(store, project):
    import_project(store, project)
    before = store.references()
    content = (project / "reference.jsonl").read_text().splitlines()
    content[2] = content[2].replace("left", "right")
    (project / "reference.jsonl").write_text("\n".join(content))
    draw(project / "images" / "9.png", 9)
    with (project / "images.jsonl").open("a") as file:
        file.write(lines([{"file": "9.png", "group": "g9", "split": "pool"}]))
    said = r"'Where\?' about 2\.png is 'left' already, and would now be 'right'\. Write the former one"
    with pytest.raises(ImportDataError, match=said):
        import_project(store, project)
    assert store.references() == before and len(store.images()) == 4


def test_how_pictures_may_be_mirrored_comes_along_until_people_choose(store, project):
    settings = json.loads((project / "project.json").read_text())
    (project / "project.json").write_text(json.dumps({**settings, "flips": "horizontal"}))
    import_project(store, project)
    assert read_choices(store.workspace) == Choices(flips="horizontal")
    write_choices(store.workspace, Choices(flips="none"))
    import_project(store, project)
    assert read_choices(store.workspace) == Choices()


def test_a_project_that_does_not_say_so_mirrors_nothing(store, project):
    import_project(store, project)
    assert not (store.workspace / CHOICES_FILE).exists()


def test_a_line_ends_at_its_newline_and_nowhere_else(store, project):
    caption = "A disc.\u2028Round.\x85 And pale."
    row = json.dumps({"file": "0.png", "caption": caption}, ensure_ascii=False)
    (project / "captions.jsonl").write_bytes(f"{row}\r\n".encode())
    import_project(store, project)
    assert [found.text for found in store.captions.all()] == [caption]


def test_a_file_in_another_encoding_is_named(store, project):
    row = json.dumps({"file": "0.png", "caption": "R\xf6ntgen"}, ensure_ascii=False)
    (project / "captions.jsonl").write_bytes(b"\n" + row.encode("latin-1"))
    with pytest.raises(ImportDataError, match=r"Line 2 of captions\.jsonl is not in UTF-8: .* Save the file in UTF-8"):
        import_project(store, project)


def test_one_group_on_both_sides_is_refused(store, project):
    rows = [{"file": f"{n}.png", "group": "same", "split": s} for n, s in ((0, "pool"), (1, "test"))]
    (project / "images.jsonl").write_text(lines(rows))
    with pytest.raises(ImportDataError, match="'same' is in the pool and in the test"):
        import_project(store, project)


def test_a_full_disk_is_said(store, project, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ImportDataError, match=r"No space left on device\. Free some space"):
        import_project(store, project)
    assert list((store.workspace / "images").iterdir()) == [] and store.images() == []


def test_labels_are_exported_in_each_format(store, project, tmp_path):
    import_project(store, project)
    with pytest.raises(ImportDataError, match="nothing to export yet"):
        export(store, tmp_path / "out.jsonl")
    store.add_label(store.references("pool")[0], author="ann", seconds=1.0)
    for ending in (".jsonl", ".json", ".parquet"):
        assert export(store, tmp_path / f"out{ending}") == 1
    row = json.loads((tmp_path / "out.jsonl").read_text())
    assert (row["question"], row["answer"], row["source"]) == ("Where?", "left", "label")
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == [row]
    conversation = json.loads((tmp_path / "out.json").read_text())[0]["conversations"]
    assert conversation[0]["value"] == "<image>\nWhere? Choose one of the following options: left|right|"
    with pytest.raises(ImportDataError, match=r"endings are \.parquet, \.jsonl, \.json, \.csv"):
        export(store, tmp_path / "out.xlsx")


def test_a_project_with_a_broken_picture_leaves_no_copies(store, project):
    (project / "images" / "2.png").write_bytes(b"no picture")
    with pytest.raises(ImportDataError, match=r"2\.png cannot be read"):
        import_project(store, project)
    assert list((store.workspace / "images").iterdir()) == []


def test_a_file_outside_the_project_is_refused(store, project, tmp_path):
    draw(tmp_path / "secret.png", 1)
    for name in ("../../secret.png", str(tmp_path / "secret.png")):
        (project / "images.jsonl").write_text(lines([{"file": name, "group": "g", "split": "pool"}]))
        with pytest.raises(ImportDataError, match=r"secret\.png.* outside"):
            import_project(store, project)


def test_a_group_of_a_project_keeps_its_side_in_a_folder(store, project, tmp_path):
    other = {"pool": "test", "test": "pool"}[split_of("p1")]
    (project / "images.jsonl").write_text(lines([{"file": "0.png", "group": "p1", "split": other}]))
    for name in ("reference.jsonl", "captions.jsonl"):
        (project / name).unlink()
    import_project(store, project)
    put(tmp_path / "pictures", *(f"p1/{name}" for name in MORE), "p2/z.png")
    import_folder(store, tmp_path / "pictures", name="x")
    assert sides(store)["p1"] == {other}


def test_a_project_keeps_its_groups_on_their_side_over_several_imports(store, project):
    for name in ("reference.jsonl", "captions.jsonl"):
        (project / name).unlink()

    def bring(*rows):
        (project / "images.jsonl").write_text(
            lines([dict(zip(("file", "group", "split"), row, strict=True)) for row in rows])
        )
        import_project(store, project)

    bring(("0.png", "pat1", "pool"))
    copies = list((store.workspace / "images").iterdir())
    with pytest.raises(ImportDataError, match=r"1\.png would be in the test, but the group 'pat1' is in the pool"):
        bring(("1.png", "pat1", "test"))
    with pytest.raises(ImportDataError, match=r"0\.png would be in the test"):
        bring(("0.png", "pat1", "test"), ("1.png", "pat1", "test"))
    with pytest.raises(ImportDataError, match=r"0\.png is in the group 'pat1' already, .* in the group 'pat2'"):
        bring(("0.png", "pat2", "pool"))
    assert len(store.images()) == 1 and list((store.workspace / "images").iterdir()) == copies
    bring(("0.png", "pat1", "pool"), ("1.png", "pat1", "pool"))
    assert [(image.group, image.split) for image in store.images()] == [("pat1", "pool")] * 2


def test_the_same_picture_is_not_on_both_sides(store, project):
    shutil.copy(project / "images" / "0.png", project / "images" / "3.png")
    with pytest.raises(ImportDataError, match=r"0\.png and 3\.png are the same picture, one in the pool and one in"):
        import_project(store, project)
    assert store.images() == []


def test_another_project_wants_another_workspace(store, project):
    import_project(store, project)
    (project / "project.json").write_text(json.dumps({"name": "Stars", "question_types": TYPES}))
    with pytest.raises(ImportDataError, match=r"holds the project 'Discs' already.*Import 'Stars' into another one"):
        import_project(store, project)
    assert store.project().name == "Discs"
