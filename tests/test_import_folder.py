"""A plain folder of images: what is a group, what is left out, and what is said about what cannot come in."""

import os
import shutil
from collections import defaultdict
from hashlib import sha256
from io import BytesIO

import pytest
from PIL import Image

from leaml.data.folder import import_folder, split_of
from leaml.errors import ImportDataError
from leaml.records import QuestionType
from leaml.store import Store

WHERE = QuestionType("where", "Where is it?", ("a", "b"))
SOME = [f"{number}.png" for number in range(12)]
MORE = [f"more{number}.png" for number in range(12)]
PATIENTS = [f"patient_{number:02d}" for number in range(1, 13)]  # not one of them is the test's by chance


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "workspace") as opened:
        yield opened


def picture(value):
    buffer = BytesIO()
    Image.new("RGB", (40, 30), (value, 255 - value, 9)).save(buffer, "PNG")
    return buffer.getvalue()


def put(folder, *names):
    """Save a picture under each name; equal names have equal pictures, whichever folder they are in."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), tuple(sha256(path.name.encode()).digest()[:3])).save(path)


def sides(store):
    """Return the sides that the images of each first subfolder are on."""
    found = defaultdict(set)
    for image in store.images():
        found[image.name.split("/")[0]].add(image.split)
    return dict(found)


def test_a_folder_is_split_by_subfolder_and_stays_so(store, tmp_path):
    folder = tmp_path / "pictures"
    for number in range(30):
        (folder / f"patient{number}").mkdir(parents=True)
        for view in range(2):
            (folder / f"patient{number}" / f"{view}.png").write_bytes(picture(number * 2 + view))
    import_folder(store, folder, name="Mine", question_types=[WHERE])
    images = store.images()
    assert len(images) == 60 and 4 <= len(store.images("test")) <= 24
    assert all(image.split == split_of(image.group) == split_of(image.name.split("/")[0]) for image in images)
    assert store.project().question_types == (WHERE,)


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


def test_broken_pictures_are_named_and_nothing_comes_in(store, tmp_path):
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


def test_empty_and_missing_folders_are_said(store, tmp_path):
    with pytest.raises(ImportDataError, match="holds no image or clip"):
        import_folder(store, tmp_path / "workspace", name="x")
    with pytest.raises(ImportDataError, match=r"images holds this workspace's copies\. Name the folder they came from"):
        import_folder(store, tmp_path / "workspace" / "images", name="x")
    with pytest.raises(ImportDataError, match="There is no folder"):
        import_folder(store, tmp_path / "nowhere", name="x")


def test_a_folder_that_holds_workspaces_brings_none_of_their_copies(store, tmp_path):
    for name in ("a.tif", "p/b.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), "red" if name == "a.tif" else "blue").save(tmp_path / name)
    for _ in range(2):
        import_folder(store, tmp_path, name="x")
        assert sorted(image.name for image in store.images()) == ["a.tif", "p/b.tif"]
    assert len(list((store.workspace / "images").iterdir())) == 4, "each with the PNG that browsers show"
    with Store.open(tmp_path / "another") as other:
        import_folder(other, tmp_path, name="y")
        assert len(other.images()) == 2


@pytest.mark.parametrize("name", [b"caf\xe9.png", b"d\xe9j\xe0/vu.png"])
def test_a_name_that_is_not_in_utf8_is_said(store, tmp_path, name):
    put(tmp_path / "pictures", "good.png")
    path = tmp_path / "pictures" / os.fsdecode(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(picture(1))
    with pytest.raises(
        ImportDataError, match=r"Nothing was imported\. The name of .*\\xe.*\.png is not in UTF-8\. Rename it"
    ):
        import_folder(store, tmp_path / "pictures", name="x")
    assert store.images() == []
    with pytest.raises(ImportDataError, match=r"The name of \\xe9tude is not in UTF-8"):
        import_folder(store, tmp_path / "pictures", name=os.fsdecode(b"\xe9tude"))


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
    import_folder(store, folder, name="Mine", question_types=[WHERE])
    project, first = store.project(), store.images()[0]
    (folder / "1.png").write_bytes(picture(1))
    import_folder(store, folder, name="Mine")
    assert store.project() == project and len(store.images()) == 2
    assert store.image(first.id) == first


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


def test_a_copy_of_a_picture_in_another_subfolder_leaves_it_where_it_is(store, tmp_path):
    folder = tmp_path / "pictures"
    put(folder, "p1/a.png", "p2/b.png")
    import_folder(store, folder, name="x")
    before = {image.id: image for image in store.images()}
    put(folder, "p0/b.png", "p3/a.png", "p3/c.png")
    import_folder(store, folder, name="x")
    after = {image.id: image for image in store.images()}
    assert len(after) == 3 and before.items() <= after.items()
