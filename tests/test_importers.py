"""Bringing data in and out, and what is said about data that does not fit."""

import hashlib
import json
import shutil
from collections import defaultdict

import pyarrow.parquet as pq
import pytest
from PIL import Image

from leaml.choices import CHOICES_FILE, Choices, read_choices, write_choices
from leaml.data.export import export
from leaml.data.folder import import_folder, question_type, split_of
from leaml.data.project_folder import import_project
from leaml.errors import ImportDataError
from leaml.records import QuestionType
from leaml.store import Store
from tests.conftest import draw

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


def test_a_folder_is_split_by_subfolder_and_stays_so(store, tmp_path):
    folder = tmp_path / "pictures"
    for number in range(30):
        (folder / f"patient{number}").mkdir(parents=True)
        for view in range(2):
            (folder / f"patient{number}" / f"{view}.png").write_bytes(picture(number * 2 + view))
    import_folder(store, folder, name="Mine", question_types=[question_type("Where is it?", ["a", "b"])])
    images = store.images()
    assert len(images) == 60 and 4 <= len(store.images("test")) <= 24
    assert all(image.split == split_of(image.group) == split_of(image.name.split("/")[0]) for image in images)
    assert store.project().question_types[0].id == "where_is_it"


PATIENTS = [f"patient_{number:02d}" for number in range(1, 13)]  # not one of them is the test's by chance


@pytest.mark.parametrize("names", [PATIENTS, ["a", "b"], ["patient_17", "patient_18"]])
def test_of_several_groups_some_are_on_either_side(store, tmp_path, names):
    folder = tmp_path / "pictures"
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        (folder / name / "0.png").write_bytes(picture(number))
    import_folder(store, folder, name="Mine")
    before = store.images()
    assert store.images("pool") and store.images("test")
    (folder / "z").mkdir()
    (folder / "z" / "0.png").write_bytes(picture(200))
    import_folder(store, folder, name="Mine")
    assert [image for image in store.images() if image in before] == before, "each stays where it was"


def test_a_copy_that_was_damaged_is_mended_by_importing_again(store, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(picture(1))
    import_folder(store, tmp_path / "pictures", name="Mine")
    copy = store.workspace / store.images()[0].path
    copy.write_bytes(b"")  # what a power cut may leave
    import_folder(store, tmp_path / "pictures", name="Mine")
    assert copy.read_bytes() == picture(1)


def picture(value):
    from io import BytesIO

    buffer = BytesIO()
    Image.new("RGB", (40, 30), (value, 255 - value, 9)).save(buffer, "PNG")
    return buffer.getvalue()


def test_broken_pictures_are_named_and_the_rest_comes_in_only_when_asked(store, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "good.png").write_bytes(picture(1))
    (folder / "cut.png").write_bytes(picture(2)[:60])
    (folder / "text.jpg").write_text("hello")
    Image.new("RGB", (8, 8)).save(folder / "tiny.png")
    with pytest.raises(
        ImportDataError, match=r"Nothing was imported\. .*cut\.png cannot be read.*text\.jpg.*tiny\.png"
    ):
        import_folder(store, folder, name="x")
    assert store.images() == []
    assert len(import_folder(store, folder, name="x", skip_broken=True)) == 3
    assert [image.name for image in store.images()] == ["good.png"]


def test_empty_and_missing_folders_are_said(store, tmp_path):
    with pytest.raises(ImportDataError, match="holds no image or clip"):
        import_folder(store, tmp_path / "workspace", name="x")
    with pytest.raises(ImportDataError, match="There is no folder"):
        import_folder(store, tmp_path / "nowhere", name="x")


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


def test_images_that_all_lie_in_one_subfolder_are_not_one_group(store, tmp_path):
    (tmp_path / "study" / "images").mkdir(parents=True)
    for number in range(30):
        (tmp_path / "study" / "images" / f"{number}.png").write_bytes(picture(number))
    import_folder(store, tmp_path / "study", name="x")
    assert len({image.group for image in store.images()}) == 30
    assert 1 <= len(store.images("test")) <= 15


def test_more_images_leave_the_project_and_earlier_splits_as_they_were(store, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "0.png").write_bytes(picture(0))
    import_folder(store, folder, name="Mine", question_types=[question_type("Where?", ["a", "b"])])
    project, first = store.project(), store.images()[0]
    (folder / "1.png").write_bytes(picture(1))
    import_folder(store, folder, name="Mine")
    assert store.project() == project and len(store.images()) == 2
    assert store.image(first.id) == first


def put(folder, *names):
    """Save a picture under each name; equal names have equal pictures, whichever folder they are in."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), tuple(hashlib.sha256(path.name.encode()).digest()[:3])).save(path)


def sides(store):
    """Return the sides that the images of each first subfolder are on."""
    found = defaultdict(set)
    for image in store.images():
        found[image.name.split("/")[0]].add(image.split)
    return dict(found)


SOME = [f"{number}.png" for number in range(12)]
MORE = [f"more{number}.png" for number in range(12)]


def test_a_subfolder_that_held_everything_cannot_become_a_group_later(store, tmp_path):
    folder = tmp_path / "pictures"
    put(folder / "p1", *SOME)
    import_folder(store, folder, name="x")
    before = store.images()
    assert {image.split for image in before} == {"pool", "test"}
    put(folder / "p1", *MORE)
    put(folder / "p2", "last.png")
    with pytest.raises(ImportDataError, match=r"is in a group of its own already, .* in the group 'p1'"):
        import_folder(store, folder, name="x")
    for name in SOME:  # a drop folder: what came in before is there no more
        (folder / "p1" / name).unlink()
    with pytest.raises(ImportDataError, match=r"The subfolder p1 would now be a group .* came in from there"):
        import_folder(store, folder, name="x")
    assert store.images() == before
    assert len(list((store.workspace / "images").iterdir())) == len(before)


def test_a_subfolder_that_is_a_group_keeps_its_side_when_it_comes_alone(store, tmp_path):
    folder = tmp_path / "pictures"
    for patient in ("p1", "p2"):
        put(folder / patient, f"{patient}.png")
    import_folder(store, folder, name="x")
    before = sides(store)
    shutil.rmtree(folder / "p2")
    put(folder / "p1", *MORE)
    import_folder(store, folder, name="x")
    assert len(store.images()) == 14
    assert sides(store) == before and len(before["p1"]) == 1


def test_a_folder_that_is_imported_from_within_is_refused_where_its_groups_are_lost(store, tmp_path):
    folder = tmp_path / "pictures"
    put(folder, "p1/a.png", "p2/b.png", "p1/c.png")
    import_folder(store, folder, name="x")
    put(folder / "p1", *MORE)
    with pytest.raises(ImportDataError, match=r"is in the group 'p1' already, .* in a group of its own"):
        import_folder(store, folder / "p1", name="x")
    assert len(store.images()) == 3


def test_a_group_of_a_project_keeps_its_side_in_a_folder(store, project, tmp_path):
    other = {"pool": "test", "test": "pool"}[split_of("p1")]
    (project / "images.jsonl").write_text(lines([{"file": "0.png", "group": "p1", "split": other}]))
    for name in ("reference.jsonl", "captions.jsonl"):
        (project / name).unlink()
    import_project(store, project)
    put(tmp_path / "pictures", *(f"p1/{name}" for name in MORE), "p2/z.png")
    import_folder(store, tmp_path / "pictures", name="x")
    assert sides(store)["p1"] == {other}


def test_a_copy_of_a_picture_in_another_subfolder_leaves_it_where_it_is(store, tmp_path):
    folder = tmp_path / "pictures"
    put(folder, "p1/a.png", "p2/b.png")
    import_folder(store, folder, name="x")
    before = {image.id: image for image in store.images()}
    put(folder, "p0/b.png", "p3/a.png", "p3/c.png")
    import_folder(store, folder, name="x")
    after = {image.id: image for image in store.images()}
    assert len(after) == 3 and before.items() <= after.items()


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
