"""What can be trained when, what comes next, and bringing images in."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app import compare, project, text, train
from app.errors import InputError
from app.services import Services
from leaml.errors import ImportDataError, RunError
from leaml.records import METHODS, Prediction, RunId
from leaml.store import ModelRow, Store

Make = Callable[..., Services]


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Catch what is queued instead of training."""
    configs: list[dict[str, Any]] = []

    def submit(self: object, config: dict[str, Any], write_data: Callable[[Path], None]) -> RunId:
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
    assert make_services(references=False).obstacles()["zero_shot"] == text.NEEDS_TEST
    assert make_services(filled=False).obstacles()["generator"] == text.NEEDS_IMAGES


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
    first = train.draw(services, {})
    assert text.TRAIN_GENERATOR in first[1]
    second = train.draw(services, first[0])
    assert all(isinstance(value, dict) and value.get("__type__") == "update" for value in second[1:])
    services.label_for_me()
    third = train.draw(services, first[0])
    assert isinstance(third[1], str)


def test_resuming_an_unknown_run_is_an_error_for_people(make_services: Make) -> None:
    with pytest.raises(RunError, match="r9999"):
        train.decide(make_services(), {"act": "resume", "run": "r9999"})


def test_the_loop_names_one_next_step(make_services: Make) -> None:
    services = make_services(candidates=0)
    assert following(services) == "label"
    services.label_for_me()
    assert following(services) == "train"
    assert following(make_services(candidates=3)) == "review"
    empty = make_services(filled=False)
    assert text.NO_PROJECT in project.draw(empty)


def following(services: Services) -> str:
    (step,) = [step for step in project.loop_steps(services) if step.state == "next"]
    return step.id


def test_own_images_fill_an_empty_workspace(make_services: Make, tmp_path: Path) -> None:
    pictures = make_services()
    folder = pictures.settings.workspace / "images"
    services = make_services(filled=False)
    said = project.import_typed(services, "Dots", str(folder), "Is a dot there? | yes | no")
    assert said == text.imported(16, "Dots")
    found = services.store.project()
    assert found is not None
    assert found.question_types[0].options == ("yes", "no")


def test_own_images_never_mix_with_a_project(make_services: Make) -> None:
    services = make_services()
    folder = services.settings.workspace / "images"
    said = project.import_typed(services, "My Dots!", str(folder), "Is a dot there? | yes | no")
    other = services.settings.workspace.parent / f"{services.settings.workspace.name}-my-dots"
    assert str(other) in said
    assert len(services.store.images()) == 16
    with Store.open(other) as store:
        assert len(store.images()) == 16


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
        project.import_typed(make_services(filled=False), name, folder, questions)


def test_a_folder_that_is_not_there(make_services: Make) -> None:
    with pytest.raises(ImportDataError, match="/nowhere"):
        project.import_typed(make_services(filled=False), "N", "/nowhere", "Is it? | yes | no")


def add_model(services: Services, run_id: str, method: str, right: int) -> None:
    rows = [
        Prediction(pair.image_id, str(pair.type_id), pair.question, pair.options, pair.answer, "?", n < right, ())
        for n, pair in enumerate(services.store.references("test"))
    ]
    services.store.add_model(ModelRow(RunId(run_id), method, "", 1, 6, 0, datetime.now(UTC)), rows)


def test_compare_shows_the_newest_of_each_method_and_the_majority(make_services: Make) -> None:
    services = make_services()
    assert text.COMPARE_EMPTY in compare.results(services)[0]
    services.label_for_me()
    add_model(services, "r0001", "full_finetune", 2)
    add_model(services, "r0002", "leaml", 6)
    html, figure = compare.results(services)
    assert figure is not None and len(figure.data) == 3
    assert text.MAJORITY[0] in html
    assert "LEAML" in html and "Full fine-tuning" in html and "95% interval" in html
    add_model(services, "r0003", "full_finetune", 7)
    assert services.latest_models()["full_finetune"].run_id == "r0003"


def test_compare_steps_through_images_and_asks_again(make_services: Make, monkeypatch: pytest.MonkeyPatch) -> None:
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
