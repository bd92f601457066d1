"""What can be trained when, what comes next, and bringing images in."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest
from PIL import Image

from app import compare, compare_text, mask_text, neighbours_text, project, rounds_text, text, train
from app.errors import InputError
from app.person import who
from app.rounds import rounds_card
from app.services import Services
from leaml.answering import Answer, Asked
from leaml.config import GeneratorConfig, generator_run
from leaml.errors import ImportDataError, ModelError, RunError, UserError
from leaml.labelling.experts import as_pair
from leaml.records import METHODS, AnsweredQuestion, Prediction, QuestionType, Review, RunId
from leaml.store import Store
from leaml.store.neighbours import Neighbour
from leaml.store.results import ModelRow
from tests.drawn import PROJECT, SIDE, fill
from tests.runs import put_run, worked_on

Make = Callable[..., Services]
NOTE = QuestionType("note", "What stands out?")
HOLD = """
import sys
from pathlib import Path
from leaml.store import Store

with Store.open(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Catch what is queued instead of training."""
    configs: list[dict[str, Any]] = []

    def submit(self: object, config: dict[str, Any], *write: Callable[[Path], None]) -> RunId:
        configs.append(config)
        return RunId(f"r{len(configs):04d}")

    monkeypatch.setattr("leaml.jobs.Jobs.submit", submit)
    return configs


def test_buttons_say_why_they_are_not_available(make_services: Make) -> None:
    services = make_services()
    needs_labels = dict.fromkeys(("generator", "full_finetune", "lora", "leaml", "leaml_reviewed"), text.NEEDS_LABELS)
    assert services.obstacles() == needs_labels
    services.label_for_me()
    assert services.obstacles() == dict.fromkeys(("leaml", "leaml_reviewed"), text.NEEDS_GENERATOR)
    reviewing = make_services(candidates=2)
    reviewing.label_for_me()
    assert reviewing.obstacles() == {"leaml_reviewed": text.NEEDS_REVIEW}
    pairs = reviewing.store.queue.next(2)
    for pair in pairs:
        reviewing.store.add_review(Review(pair.id, "reject", as_pair(pair), "not useful", "me", 1.0))
    assert reviewing.obstacles() == dict.fromkeys(("leaml", "leaml_reviewed"), text.NEEDS_GENERATOR)
    reviewing.store.add_review(Review(pairs[0].id, "accept", as_pair(pairs[0]), None, "me", 1.0))
    assert reviewing.obstacles() == {}, "all pairs are decided, and one can be learnt from"
    assert make_services(references=False).obstacles()["zero_shot"] == text.NEEDS_TEST
    assert make_services(test=0).obstacles()["zero_shot"] == text.NEEDS_TEST_IMAGES
    empty = make_services(filled=False).obstacles()
    assert (empty["generator"], empty["zero_shot"]) == (text.NEEDS_IMAGES, text.NEEDS_IMAGES)


def test_all_queues_what_can_run(make_services: Make, submitted: list[dict[str, Any]]) -> None:
    services = make_services()
    services.label_for_me()
    assert services.start_methods(METHODS) == 3
    assert [config["finetune"]["method"] for config in submitted] == ["zero_shot", "full_finetune", "lora"]


def test_steps_on_the_command_line_reach_the_runs(make_services: Make, submitted: list[dict[str, Any]]) -> None:
    services = make_services()
    services.label_for_me()
    services.settings = type(services.settings)(services.settings.workspace, generator_steps=3, finetune_steps=2)
    services.start_generator()
    services.start_methods(("lora",))
    generator, model = submitted
    assert (generator["generator"]["train"]["steps"], generator["generator"]["judge"]["steps"]) == (3, 3)
    assert model["finetune"]["train"]["steps"] == 2


def test_a_generator_without_labels_is_refused(make_services: Make, submitted: list[dict[str, Any]]) -> None:
    with pytest.raises(InputError, match="Needs labels"):
        make_services().start_generator()
    assert submitted == []


def test_the_train_screen_redraws_only_what_changed(make_services: Make) -> None:
    services = make_services()
    first = train.draw(who(services, None), {})
    assert text.TRAIN_GENERATOR in first[1]
    second = train.draw(who(services, None), first[0])
    assert all(isinstance(value, dict) and value.get("__type__") == "update" for value in second[1:])
    services.label_for_me()
    third = train.draw(who(services, None), first[0])
    assert isinstance(third[1], str)


def test_a_damaged_run_is_said_on_train_and_closes_nothing_else(make_services: Make, tmp_path: Path) -> None:
    folder = tmp_path / "work0" / "runs" / "r0002"
    (folder / "output").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(generator_run(GeneratorConfig(round=1)).to_json()))
    (folder / "outcome.json").write_text(json.dumps({"status": "done"}))
    (folder / "output" / "candidates.parquet").write_bytes(b"PAR1 cut short")
    services = make_services(candidates=2)
    assert services.open_count() == 2 and services.label_for_me()
    assert "Cannot read the table candidates.parquet" in train.draw(who(services, None), {})[1]


def test_resuming_an_unknown_run_is_an_error_for_people(make_services: Make) -> None:
    with pytest.raises(RunError, match="r9999"):
        train.decide(who(make_services(), None), {"act": "resume", "run": "r9999"})


def test_the_loop_names_one_next_step(make_services: Make) -> None:
    services = make_services(candidates=0)
    assert following(services) == "label"
    services.label_for_me()
    assert following(services) == "train"
    assert following(make_services(candidates=3)) == "review"
    empty = make_services(filled=False)
    assert text.NO_PROJECT in project.draw(who(empty, None))


def following(services: Services) -> str:
    (step,) = [step for step in project.loop_steps(services) if step.state == "next"]
    return step.id


def test_own_images_fill_an_empty_workspace(make_services: Make, tmp_path: Path) -> None:
    pictures = make_services()
    folder = pictures.settings.workspace / "images"
    services = make_services(filled=False)
    said = project.import_typed(who(services, None), "Dots", str(folder), "Is a dot there? | yes | no")
    assert said == (text.imported(16, "Dots"), None)
    found = services.store.project()
    assert found is not None
    assert found.question_types[0].options == ("yes", "no")


def test_own_images_never_mix_with_a_project(make_services: Make) -> None:
    services = make_services()
    folder = services.settings.workspace / "images"
    done = project.import_typed(who(services, None), "My Dots!", str(folder), "Is a dot there? | yes | no")
    other = services.settings.workspace.parent / f"{services.settings.workspace.name}-my-dots"
    assert str(other) in done.sentence and done.opens == other
    assert len(services.store.images()) == 16
    with Store.open(other) as store:
        assert len(store.images()) == 16


def test_names_that_lead_to_one_workspace_never_mix_projects(make_services: Make, tmp_path: Path) -> None:
    services = make_services()
    pictures, later = services.settings.workspace / "images", tmp_path / "later"
    later.mkdir()
    Image.new("RGB", (60, 40)).save(later / "one.png")
    import_folder = partial(project.import_typed, who(services, None), questions="Is a dot there? | yes | no")
    import_folder("Study 1", str(pictures))
    taken = neighbours_text.name_taken("Study 1", str(services.settings.workspace.parent / "work0-study-1"))
    with pytest.raises(InputError, match=re.escape(taken)):
        import_folder("study-1", str(later))
    with pytest.raises(InputError, match=text.NAME_WITHOUT_LETTERS):
        import_folder("?!", str(later))
    with Store.open(tmp_path / "work0-study-1") as store:
        assert len(store.images()) == 16
    assert sorted(path.name for path in tmp_path.iterdir()) == ["later", "work0", "work0-study-1"]
    again = import_folder("Study 1", str(later))
    assert again.sentence == text.imported_elsewhere(17, "Study 1", str(again.opens))


def test_another_project_is_opened_from_the_page(make_services: Make) -> None:
    services = make_services()
    me, home = who(services, None), services.settings.workspace
    (home.parent / "notes").mkdir()
    assert services.neighbours() == []
    project.import_typed(me, "My Dots!", str(home / "images"), "Is a dot there? | yes | no")
    other = home.parent / f"{home.name}-my-dots"
    assert services.neighbours() == [Neighbour(other, "My Dots!")]
    assert neighbours_text.TITLE in project.draw(me) and f'data-workspace="{other}"' in project.draw(me)
    with pytest.raises(InputError, match=re.escape(neighbours_text.cannot_open(str(home.parent / "notes")))):
        project.decide(me, {"act": "open", "workspace": str(home.parent / "notes")})
    assert services.following is None and not services.leaving.is_set()
    project.decide(me, {"act": "open", "workspace": str(other)})
    assert services.leaving.wait(5) and services.following == other


def test_a_project_that_another_app_has_open_is_not_opened(make_services: Make) -> None:
    services = make_services()
    me, other = who(services, None), services.settings.workspace.parent / "other"
    fill(other)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(other)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None and holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    assert services.neighbours() == [Neighbour(other, "other", "in use")]
    assert neighbours_text.OBSTACLES["in use"] in project.draw(me)
    with pytest.raises(InputError, match="can be opened now"):
        project.decide(me, {"act": "open", "workspace": str(other)})
    holder.stdin.close()
    assert holder.wait(20) == 0
    assert services.neighbours() == [Neighbour(other, PROJECT.name)]


def test_projects_that_nobody_would_come_back_from_are_not_opened(make_services: Make) -> None:
    services = make_services()
    home = services.settings.workspace.parent
    newer = "INSERT INTO migrations SELECT max(number) + 1, now() FROM migrations"
    for name, change in (("newer", newer), ("users", "")):
        fill(home / name)
        with Store.open(home / name) as store:
            if not change:
                store.users.add("ann", "admin", "a long password")
        if change:
            with duckdb.connect(str(home / name / "leaml.duckdb")) as connection:
                connection.execute(change)
    found = {neighbour.workspace.name: neighbour.obstacle for neighbour in services.neighbours()}
    assert found == {"newer": "newer", "users": "users"}
    shown = project.draw(who(services, None))
    assert (
        neighbours_text.OBSTACLES["newer"] in shown
        and neighbours_text.OBSTACLES["users"] in shown
        and 'data-act="open"' not in shown
    )


def test_more_images_of_the_open_project_stay_with_it(make_services: Make, tmp_path: Path) -> None:
    services = make_services()
    (tmp_path / "more").mkdir()
    Image.new("RGB", (60, 40)).save(tmp_path / "more" / "one.png")
    done = project.import_typed(who(services, None), PROJECT.name, str(tmp_path / "more"), "Is it? | yes | no")
    assert done == (text.imported(17, PROJECT.name), None) and services.neighbours() == []


def test_where_people_sign_in_nobody_opens_another_project(make_services: Make) -> None:
    services = make_services()
    fill(services.settings.workspace.parent / "other")
    assert len(services.neighbours()) == 1
    services.needs_sign_in = True
    assert services.neighbours() == []
    with pytest.raises(InputError):
        services.open_next(services.settings.workspace.parent / "other")


@pytest.mark.parametrize(
    ("name", "folder", "questions", "said"),
    [
        ("", "/x", "Q?", text.NO_PROJECT_NAME),
        ("N", " ", "Q?", text.NO_FOLDER),
        ("N", "/x", "", "at least one question"),
    ],
)
def test_a_half_filled_form_is_refused(make_services: Make, name: str, folder: str, questions: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        project.import_typed(who(make_services(filled=False), None), name, folder, questions)


def test_a_folder_that_is_not_there(make_services: Make) -> None:
    with pytest.raises(ImportDataError, match="/nowhere"):
        project.import_typed(who(make_services(filled=False), None), "N", "/nowhere", "Is it? | yes | no")


def add_model(
    services: Services, run_id: str, method: str, right: int, *, round_number: int = 1, pairs: int = 0
) -> None:
    rows = [
        Prediction(pair.image_id, str(pair.type_id), pair.question, pair.options, pair.answer, "?", n < right, ())
        for n, pair in enumerate(services.store.held_out.questions())
    ]
    path = f"runs/{run_id}/output/model.safetensors"
    row = ModelRow(RunId(run_id), method, path, round_number, 6, pairs, datetime.now(UTC))
    services.store.results.add_model(row, rows)


def test_compare_rests_on_what_all_models_were_asked(make_services: Make) -> None:
    services = make_services()
    add_model(services, "r0001", "full_finetune", 2)
    services.save_questions((*PROJECT.question_types, NOTE), author="me")
    test = services.store.images("test")[0]
    services.store.add_label(AnsweredQuestion(test.id, NOTE.question, (), "a scratch", NOTE.id), author="me", seconds=1)
    add_model(services, "r0002", "leaml", 6)
    found = services.evaluations()
    assert {name: len(answers) for name, answers in found.answers.items()} == {"full_finetune": 8, "leaml": 8}
    one, other = (found.answers[method] for method in ("leaml", "full_finetune"))
    assert [answer.image_id for answer in one] == [answer.image_id for answer in other]
    said = "8 test questions about 4 images; 1 more when Full fine-tuning is tested again"
    assert said in compare.results(services)[0]
    add_model(services, "r0003", "full_finetune", 2)
    assert len(services.evaluations().answers["leaml"]) == 9, "asked by now"


def test_a_model_of_another_test_is_left_out_and_named(make_services: Make) -> None:
    services = make_services(references=False)
    test = services.store.images("test")
    pair = AnsweredQuestion(test[0].id, SIDE.question, SIDE.options, "left", SIDE.id)
    services.store.add_label(pair, author="me", seconds=1)
    add_model(services, "r0001", "lora", 1)
    services.store.add_label(replace(pair, answer="right"), author="me", seconds=1)
    assert compare_text.TESTS_DIFFER in compare.results(services)[0], "its answer was changed since"
    for image in test[1:]:
        services.store.add_label(replace(pair, image_id=image.id), author="me", seconds=1)
    add_model(services, "r0002", "full_finetune", 1)
    add_model(services, "r0003", "leaml", 3)
    found = services.evaluations()
    assert {name: len(answers) for name, answers in found.answers.items()} == {"full_finetune": 4, "leaml": 4}
    assert found.behind == ("lora",)
    html = compare.results(services)[0]
    assert "4 test questions about 4 images; LoRA was tested on other questions" in html
    assert "<td>LoRA" not in html


def test_models_are_tested_again_but_for_those_on_their_way(
    make_services: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services()
    add_model(services, "r0001", "full_finetune", 2)
    add_model(services, "r0002", "lora", 2)
    assert compare_text.test_again(["LoRA"]) not in compare.results(services)[0], "nothing has changed"
    services.save_questions((*PROJECT.question_types, NOTE), author="me")
    test = services.store.images("test")[0]
    services.store.add_label(AnsweredQuestion(test.id, NOTE.question, (), "a scratch", NOTE.id), author="me", seconds=1)
    tested: list[str] = []
    monkeypatch.setattr("app.services.retest", lambda _, __, run_id: tested.append(run_id))
    assert "Test 2 models again" in compare.results(services)[0]
    html = compare.results(services, may=False)[0]
    assert "Test 2 models again" not in html and compare_text.ASK_AN_ADMIN in html
    monkeypatch.setattr(services, "_active_kinds", lambda: {"lora"})
    html = compare.results(services)[0]
    assert "Test Full fine-tuning again" in html and compare_text.testing(["LoRA"]) in html
    assert who(services, None).test_again() == 1 and tested == ["r0001"]
    assert compare_text.tested_again(0).startswith("All models have been tested on the current questions")
    assert compare_text.tested_again(1).startswith("One model is being tested on the current questions. The Train")


def test_models_that_were_asked_nothing_in_common_are_not_compared(make_services: Make) -> None:
    services = make_services(references=False)
    one, other = services.store.images("test")[:2]
    pair = AnsweredQuestion(one.id, SIDE.question, SIDE.options, "left", SIDE.id)
    services.store.add_label(pair, author="me", seconds=1)
    add_model(services, "r0001", "full_finetune", 1)
    services.store.undo_label("me")
    services.store.add_label(replace(pair, image_id=other.id), author="me", seconds=1)
    add_model(services, "r0002", "leaml", 1)
    services.store.add_label(pair, author="me", seconds=1)
    assert services.evaluations().behind == ("full_finetune", "leaml")
    assert compare_text.TESTS_DIFFER in compare.results(services)[0]


def test_rounds_are_compared_on_the_same_questions(make_services: Make) -> None:
    services = make_services(candidates=2, references=False)
    test = sorted(services.store.images("test"), key=lambda image: image.id)
    pair = AnsweredQuestion(test[0].id, SIDE.question, SIDE.options, "left", SIDE.id)
    services.store.add_label(pair, author="me", seconds=1)
    add_model(services, "r0002", "leaml", 1, pairs=2)
    services.store.add_label(replace(pair, image_id=test[1].id), author="me", seconds=1)
    add_model(services, "r0004", "leaml", 1, round_number=2, pairs=2)
    by_round = services.round_accuracy()
    assert {number: interval.value for number, interval in by_round.items()} == {1: 1.0, 2: 1.0}
    untested = ModelRow(RunId("r0005"), "leaml_reviewed", "x", 2, 6, 1, datetime.now(UTC))
    services.store.results.add_model(untested, [])  # `leaml run finetune` does not test
    assert services.round_accuracy() == by_round


def test_compare_shows_the_newest_of_each_method_and_the_majority(make_services: Make) -> None:
    services = make_services()
    assert compare_text.NO_MODELS in compare.results(services)[0]
    services.label_for_me()
    add_model(services, "r0001", "full_finetune", 2)
    add_model(services, "r0002", "leaml", 6)
    html, figure = compare.results(services)
    assert figure is not None and len(figure.data) == 3
    assert text.MAJORITY[0] in html
    assert "LEAML" in html and "Full fine-tuning" in html and "95% interval" in html
    add_model(services, "r0003", "full_finetune", 7)
    assert services.latest_models()["full_finetune"].run_id == "r0003"


def test_two_rivals_are_compared_where_none_of_ours_was_tested(make_services: Make) -> None:
    services = make_services()
    add_model(services, "r0001", "zero_shot", 2)
    assert compare_text.ONE_MODEL in compare.results(services)[0]
    add_model(services, "r0002", "full_finetune", 7)
    assert "Full fine-tuning and Base model cannot be told apart" in compare.results(services)[0]
    add_model(services, "r0003", "leaml", 7)
    assert "LEAML and Full fine-tuning cannot be told apart" in compare.results(services)[0]


def test_rounds_are_compared_and_the_last_one_is_taken_back(make_services: Make) -> None:
    services = make_services(candidates=4, users=("admin", "expert"))
    rows = [
        replace(row, id=f"new {row.id}", round=2, run_id=RunId("r0005")) for row in services.store.results.candidates()
    ]
    add_model(services, "r0002", "leaml_reviewed", 3, pairs=4)
    services.store.results.add_generator_run(RunId("r0005"), rows)
    services.store.add_review(Review(rows[0].id, "accept", as_pair(rows[0]), None, "expert", 1.0))
    add_model(services, "r0006", "leaml", 2, round_number=2, pairs=4)
    add_model(services, "r0007", "leaml_reviewed", 6, round_number=2, pairs=1)
    assert {number: round(found.value, 2) for number, found in services.round_accuracy().items()} == {1: 0.38, 2: 0.75}
    admin, expert = who(services, "admin"), who(services, "expert")
    html = rounds_card(services.store.rounds.all(), services.round_accuracy(), may=True)
    assert html.count("<details") == html.count('data-round="2"') == 1 and rounds_text.really(2, 1) in html
    assert "<details" not in rounds_card(services.store.rounds.all(), {}, may=False)
    with pytest.raises(UserError):
        train.decide(expert, {"act": "round_back", "round": "2"})
    folder = put_run(services.settings.workspace, "r0008", generator_run(GeneratorConfig()), done=False)
    with worked_on(folder), pytest.raises(InputError, match="Stop it first"):
        train.decide(admin, {"act": "round_back", "round": "2"})
    train.decide(admin, {"act": "round_back", "round": "2"})
    assert services.latest_models().keys() == {"leaml_reviewed"}
    assert services.latest_models()["leaml_reviewed"].run_id == "r0002"
    html = rounds_card(services.store.rounds.all(), services.round_accuracy(), may=True)
    assert rounds_text.TAKEN_BACK in html and 'data-round="1"' in html and 'data-round="2"' not in html
    assert rounds_card([], {}, may=True) == ""


def test_compare_steps_through_images_and_asks_again(make_services: Make) -> None:
    services = make_services()
    place = compare.arrive(services, compare.Place())
    assert place.sides == ("base", "base")
    place = compare.decide(services, place, {"act": "next", "images": "test"})
    assert (place.index, place.pending) == (1, False)
    place = compare.decide(services, place, {"act": "ask", "images": "test"})
    assert place.pending
    place = compare.decide(services, place, {"act": "previous", "images": "test"})
    assert (place.index, place.pending) == (0, True)
    with pytest.raises(InputError, match=text.NEED_QUESTION):
        compare.decide(services, place, {"act": "ask", "question": "own", "own_question": ""})


def test_compare_stays_where_images_are(make_services: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    services = make_services(test=0)
    monkeypatch.setattr(services.asking, "ask", lambda sides, image, *_, **__: [Answer(image.name, (), 0.1, 0.0)] * 2)
    place = compare.arrive(services, compare.Place())
    place = compare.answered(services, compare.decide(services, place, {"act": "ask", "images": "pool"}))
    assert (place.images, len(place.answers), place.trouble) == ("pool", 2, "")
    place = compare.answered(services, compare.decide(services, place, {"act": "images", "images": "test"}))
    assert (place.images, len(place.answers)) == ("pool", 2)
    assert compare_text.NO_IMAGES["test"] in compare.draw(services, place)
    place = compare.decide(services, place, {"act": "next", "images": "pool"})
    assert (place.index, place.trouble) == (1, "")


def test_compare_begins_with_the_strongest_models_until_somebody_chooses(make_services: Make) -> None:
    services = make_services()
    place = compare.arrive(services, compare.Place())
    add_model(services, "r0001", "full_finetune", 2)
    place = compare.arrive(services, place)
    assert place.sides == ("base", "r0001"), "a model is not compared with itself"
    add_model(services, "r0002", "leaml", 6)
    place = compare.arrive(services, place)
    assert place.sides == ("r0001", "r0002")
    place = compare.decide(services, place, {"act": "models", "left": "base", "right": "r0001"})
    assert compare.arrive(services, place).sides == ("base", "r0001")


@pytest.fixture
def questioned(monkeypatch: pytest.MonkeyPatch) -> list[list[Asked]]:
    """Catch which models are asked, and answer for them."""
    calls: list[list[Asked]] = []

    def ask(self: object, models: list[Asked], **_: object) -> list[Answer]:
        calls.append(models)
        return [Answer("left", (0.75, 0.25), 0.01, 0.006) for _ in models]

    monkeypatch.setattr("leaml.answering.Answerer.ask", ask)
    return calls


def compared(services: Services) -> compare.Place:
    """Return a place with two trained models: full fine-tuning on the left, LEAML on the right."""
    add_model(services, "r0001", "full_finetune", 2)
    add_model(services, "r0002", "leaml", 6)
    return compare.arrive(services, compare.Place())


def test_a_switch_asks_the_same_model_without_what_it_learnt(
    make_services: Make, questioned: list[list[Asked]]
) -> None:
    services = make_services()
    place = compared(services)
    flipped = compare.decide(services, place, {"act": "adapter", "side": "right"})
    assert (flipped.off, flipped.pending) == ({1}, False), "nothing was asked yet"
    place = compare.decide(services, place, {"act": "ask"})
    place = compare.answered(services, place)
    assert "values swapped in 6 ms" in compare.draw(services, place)
    before = place.serial
    for act, expected in (("right", [True, False]), ("left", [False, False]), ("right", [False, True])):
        place = compare.decide(services, place, {"act": "adapter", "side": act})
        assert place.pending, "asked again at once"
        assert place.answers == ()
        place = compare.answered(services, place)
        assert [model.adapter for model in questioned[-1]] == expected
    assert place.serial == before, "the image stays as it is"
    models = [Path(model.model) for model in questioned[-1]]
    assert models == [
        services.settings.workspace / f"runs/{run}/output/model.safetensors" for run in ("r0001", "r0002")
    ]


def test_another_model_on_a_side_begins_with_its_adapter(make_services: Make, questioned: list[list[Asked]]) -> None:
    services = make_services()
    place = compared(services)
    for side in ("left", "right"):
        place = compare.decide(services, place, {"act": "adapter", "side": side})
    place = compare.decide(services, place, {"act": "models", "left": "base", "right": "r0002"})
    assert [compare.adapter_on(place, side) for side in (0, 1)] == [None, False]
    html = compare.draw(services, place)
    assert 'id="adapter-right"' in html and 'id="adapter-left"' not in html
    place = compare.decide(services, place, {"act": "models", "left": "r0001", "right": "r0002"})
    assert [compare.adapter_on(place, side) for side in (0, 1)] == [True, False]


def test_a_newly_trained_model_never_stands_over_an_older_ones_answer(
    make_services: Make, questioned: list[list[Asked]]
) -> None:
    services = make_services()
    place = compare.answered(services, compare.decide(services, compared(services), {"act": "ask"}))
    assert compare.arrive(services, place).answers == place.answers
    add_model(services, "r0003", "full_finetune", 7)
    place = compare.arrive(services, place)
    assert (place.sides, place.answers) == (("r0003", "r0002"), ())


def test_a_model_that_cannot_answer_leaves_a_sentence(make_services: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(self: object, models: list[Asked], **_: object) -> list[Answer]:
        raise ModelError("Cannot read model.safetensors. Make it again.")

    monkeypatch.setattr("leaml.answering.Answerer.ask", ask)
    services = make_services()
    place = compare.answered(services, compare.decide(services, compared(services), {"act": "ask"}))
    assert "Cannot read model.safetensors. Make it again." in compare.draw(services, place)
    assert 'id="adapter-right"' in compare.draw(services, place)


def test_the_train_screen_shows_the_newest_mask(make_services: Make) -> None:
    services = make_services()
    assert mask_text.NO_MASK in train.draw(who(services, None), {})[4]
    weight = {"name": "layers.2.up_proj.weight", "layer": 2, "module": "up_proj", "rows": 256, "columns": 64}
    shares = {"share": 0.1, "score_share": 0.3, "largest_rows": [{"row": 210, "score_share": 0.004}]}
    summary = {"density": 0.1, "modules": [weight | shares], "skipped": {"embed": "an embedding"}}
    folder = services.settings.workspace / "runs" / "r0001"
    (folder / "output").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(generator_run(GeneratorConfig(round=1)).to_json()))
    (folder / "output" / "mask_summary.json").write_text(json.dumps(summary))
    drawn = train.draw(who(services, None), {})[4]
    assert "layer 3 · up · row 211" in drawn
    assert "1 weight: an embedding." in drawn
