"""Clips among the items of a project: imported with their frames, shown to teachers, exported."""

import json

import pytest

from leaml.data.export import export
from leaml.data.folder import import_folder, split_of
from leaml.data.items import cover, picture_files
from leaml.data.sportu import import_sportu
from leaml.data.video import FRAMES
from leaml.errors import ImportDataError
from leaml.labelling.looks import image_vectors
from leaml.records import AnsweredQuestion, ImageId, ImageRow, Project, QuestionType
from leaml.store import Store
from leaml.teacher.pictures import data_urls
from tests.conftest import draw
from tests.video.test_frames import clip

SPORT, FOUL = "What sport does this  video show?", "Is it a foul?"


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "workspace") as opened:
        yield opened


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / "clips"
    (folder / "more").mkdir(parents=True)
    for number in range(6):
        clip(folder / f"soccer_{number}_1.mp4", 12 + number)
    clip(folder / "more" / "soccer_0_2.mp4", 20)
    clip(folder / "more" / "hockey_7.mov", 9)
    return folder


def question(clip_id, asked=SPORT, options=None, answer="A"):
    row = {"id": clip_id, "question": asked, "answer": answer, "difficulty level": "easy"}
    return row if options is None else {**row, "options": dict(zip("ABCDEFGHIJ", options, strict=False))}


def test_a_folder_may_hold_pictures_and_clips(store, clips):
    draw(clips / "more" / "still.png", 1)
    (clips / "more" / "broken.mp4").write_text("no video")
    with pytest.raises(ImportDataError, match=r"Nothing was imported\. Cannot read the video broken\.mp4"):
        import_folder(store, clips, name="Clips")
    assert store.images() == []
    (clips / "more" / "broken.mp4").unlink()
    import_folder(store, clips, name="Clips")
    images = {image.name: image for image in store.images()}
    assert len(images) == 9 and (images["soccer_0_1.mp4"].width, images["soccer_0_1.mp4"].height) == (64, 48)
    path = store.workspace / images["soccer_0_1.mp4"].path
    frames = picture_files(path)
    assert path.suffix == ".mp4" and len(frames) == FRAMES and cover(path) == frames[FRAMES // 2]
    assert picture_files(store.workspace / images["more/still.png"].path)[0].suffix == ".png"
    vectors = image_vectors({row.id: store.workspace / row.path for row in images.values()}, store.workspace / "cache")
    assert vectors.shape[0] == 9 and vectors.any(axis=1).all(), "a clip looks like the frame in its middle"


def test_a_teacher_is_sent_the_frames(clips):
    urls = data_urls(clips / "soccer_0_1.mp4", longest_side_px=32, image_format="jpeg")
    assert len(urls) == FRAMES and len(set(urls)) > 1 and all(url.startswith("data:image/jpeg;base64,") for url in urls)


def test_a_pair_about_a_clip_is_exported_as_a_video(store, clips, tmp_path):
    import_folder(store, clips, name="Clips", question_types=[QuestionType("which", "Which?", ("a", "b"))])
    image = store.images("pool")[0]
    store.add_label(AnsweredQuestion(image.id, "Which?", ("a", "b"), "a", "which"), author="me", seconds=1.0)
    export(store, tmp_path / "out.json")
    (row,) = json.loads((tmp_path / "out.json").read_text())
    assert row["video"] == image.name and row["conversations"][0]["value"].startswith("<video>\nWhich?")


def test_sportu_questions_are_reference_answers(store, clips, tmp_path):
    rows = [question(f"soccer_{n}_1", options=["Soccer", f"Other {n % 2}"]) for n in range(6)]
    rows += [question("soccer_0_2", options=["Soccer", "Other 1"]), question("absent_1", options=["Soccer", "Golf"])]
    rows += [question("hockey_7", FOUL, ["Yes", "No"], "B"), question("hockey_7", "Why?", answer="He fell.")]
    (tmp_path / "mc.json").write_text(json.dumps(rows))
    assert import_sportu(store, clips, [tmp_path / "mc.json"], name="SPORTU") == 1
    assert import_sportu(store, clips, [tmp_path / "mc.json"], name="SPORTU") == 1, "again changes nothing"
    images = {image.name: image for image in store.images()}
    assert len(images) == 8 and images["soccer_0_1.mp4"].group == images["soccer_0_2.mp4"].group == "soccer_0"
    (kind,) = store.project().question_types  # what few clips are asked is no type
    assert kind.id == "what_sport_does_this_video_show" and kind.options == ("Soccer", "Other 0", "Other 1", "Golf")
    found = {(row.image_id, row.question): row for row in store.references()}
    assert len(found) == 9
    sport = found[images["soccer_1_1.mp4"].id, "What sport does this video show?"]
    assert (sport.options, sport.answer, sport.type_id) == (("Soccer", "Other 1"), "Soccer", kind.id)
    assert found[images["hockey_7.mov"].id, FOUL].answer == "No"
    assert found[images["hockey_7.mov"].id, "Why?"] == AnsweredQuestion(
        images["hockey_7.mov"].id, "Why?", (), "He fell.", None
    )


def test_numbers_among_sportus_answers_are_texts(store, clips, tmp_path):
    asked = "How many players are shown?"
    rows = [question(f"soccer_{n}_1", asked, [2, 4, "five", 2.5], "ABCDAB"[n]) for n in range(6)]
    rows += [question("hockey_7", "How many are hurt?", answer=1)]
    (tmp_path / "mc.json").write_text(json.dumps(rows))
    import_sportu(store, clips, [tmp_path / "mc.json"], name="SPORTU")
    (kind,) = store.project().question_types
    assert kind.options == ("2", "4", "five", "2.5")
    answers = [(row.options, row.answer) for row in store.references()]
    counted = [answer for options, answer in answers if options == kind.options]
    assert sorted(counted) == sorted(["2", "4", "five", "2.5", "2", "4"]) and ((), "1") in answers


def test_recordings_of_a_scene_stay_on_one_side_over_several_imports(store, clips, tmp_path):
    (tmp_path / "q.json").write_text(json.dumps([question(f"soccer_{n}_1") for n in range(6)]))
    other = {"pool": "test", "test": "pool"}[split_of("soccer_0")]
    store.import_project(Project("x", ""), [ImageRow(ImageId("i"), "i.mp4", "images/i.mp4", "soccer_0", other, 64, 48)])
    import_sportu(store, clips, [tmp_path / "q.json"], name="x")
    assert {image.split for image in store.images() if image.group == "soccer_0"} == {other}
    (tmp_path / "flat").mkdir()
    clip(tmp_path / "flat" / "soccer_0_2.mp4", 20)
    import_folder(store, tmp_path / "flat", name="x")
    (tmp_path / "q.json").write_text(json.dumps([question("soccer_0_2")]))
    with pytest.raises(ImportDataError, match=r"is in a group of its own already, .* in the group 'soccer_0'"):
        import_sportu(store, clips, [tmp_path / "q.json"], name="x")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[", r"Cannot read .*q\.json: .* It is to be one of SPORTU's JSON files\."),
        ('{"id": "a"}', r"q\.json is no list of questions\."),
        ('[{"id": "a", "question": " "}]', r"Question 1 of q\.json lacks 'question'\."),
        (json.dumps([question("a", options=["x"], answer="C")]), r"has the answer 'C', which is none of its options\."),
        (
            json.dumps([question("a", options=["x", ["y"]])]),
            r"Question 1 of q\.json has \['y'\] among its answers\. Write",
        ),
        (json.dumps([question("a", options=["x", None])]), r"has None among its answers\."),
        (json.dumps([question("a", answer=True)]), r"has True among its answers\."),
        (json.dumps([question("b")]), r"None of the 1 clips is in .*clips, such as b\.mp4\. Download"),
    ],
)
def test_what_is_not_sportu(store, clips, tmp_path, content, sentence):
    (tmp_path / "q.json").write_text(content)
    with pytest.raises(ImportDataError, match=sentence):
        import_sportu(store, clips, [tmp_path / "q.json"], name="x")
    assert store.images() == [] and store.project() is None
