"""What the Train screen shows of runs and of what keeps them from beginning, and what it leaves alone."""

import json
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from app import compare, project, text, train, train_text
from app.errors import InputError
from app.person import who
from app.services import Services
from leaml.choices import Choices, write_choices
from leaml.config import FinetuneConfig, GeneratorConfig, generator_run, model_run
from leaml.records import AnsweredQuestion, Caption, RunId
from leaml.store import Store
from leaml.store.captions import Captions
from leaml.teacher.config import TeacherConfig
from leaml.teacher.notice import where_images_go
from tests.drawn import SIDE
from tests.runs import put_run, worked_on

Make = Callable[..., Services]
REMOTE = TeacherConfig("server", "m", "https://host.example/v1")
GENERATOR = generator_run(GeneratorConfig())


def drawn(services: Services) -> tuple[str, str]:
    """Return the card of the generator, and the screen's lower part."""
    values = train.draw(who(services, None), {})
    return unescape(values[1]), unescape(values[5])


def label_all(services: Services, *, but: int = 0) -> None:
    images = services.store.images("pool")
    pairs = [AnsweredQuestion(image.id, SIDE.question, SIDE.options, "left", SIDE.id) for image in images]
    services.store.add_labels([(pair, "me") for pair in pairs[but:]])


def test_a_generator_that_would_have_no_image_left_is_refused_with_a_way_out(make_services: Make) -> None:
    services = make_services()
    label_all(services, but=1)
    assert "generator" not in services.obstacles()
    first = services.store.images("pool")[0]
    services.store.add_label(AnsweredQuestion(first.id, "Is it new?", (), "yes"), author="me", seconds=1.0)
    assert services.obstacles()["generator"] == train_text.NEEDS_UNLABELLED
    with pytest.raises(InputError, match="Needs images without a label"):
        services.start_generator()
    assert "lora" not in services.obstacles(), "who learns from labels alone needs none"
    services.store.undo_label("me")
    assert "generator" not in services.obstacles()


@pytest.mark.parametrize("status", ["", "done", "failed"])
def test_why_a_generator_cannot_be_trained_is_said_whatever_came_before(make_services: Make, status: str) -> None:
    services = make_services()
    label_all(services)
    if status:
        folder = put_run(services.settings.workspace, "r0001", GENERATOR, done=False)
        (folder / "outcome.json").write_text(json.dumps({"status": status, "error": "", "seconds": 1.0, "stages": {}}))
    card, _ = drawn(services)
    assert train_text.NEEDS_UNLABELLED in card and 'data-tab="project"' in card
    services.store.undo_label("me")
    card, _ = drawn(services)
    assert train_text.NEEDS_UNLABELLED not in card and 'data-tab="project"' not in card


def test_where_images_would_go_is_counted_in_the_store_and_only_where_it_is_shown(
    make_services: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services()
    label_all(services, but=5)
    free = services.store.images("pool")[:5]
    services.store.captions.add([Caption(free[0].id, "A dot.", REMOTE.name, REMOTE.prompt)])
    services.store.captions.add([Caption(free[1].id, "A dot.", REMOTE.name, "Another prompt.")])
    write_choices(services.settings.workspace, replace(Choices(), teacher=REMOTE))
    counted: list[str] = []
    count = Captions.count_missing
    monkeypatch.setattr(Captions, "count_missing", lambda *args: counted.append("") or count(*args))
    monkeypatch.setattr(Captions, "all", lambda *_: pytest.fail("every caption is read"))
    monkeypatch.setattr(Store, "labels", lambda *_: pytest.fail("every label is read"))
    assert where_images_go(REMOTE, 4) in drawn(services)[0] and counted == [""]
    with worked_on(put_run(services.settings.workspace, "r0001", GENERATOR, done=False)):
        assert "host.example" not in drawn(services)[0]
    assert counted == [""], "not while a run is shown in its place"


@pytest.mark.parametrize(
    "damaged", ["{", "[]", '{"finetune": {"method": "of a later version"}, "stages": ["finetune"]}']
)
def test_a_run_whose_settings_cannot_be_read_hides_no_other(make_services: Make, damaged: str) -> None:
    services = make_services()
    label_all(services, but=2)
    workspace = services.settings.workspace
    put_run(workspace, "r0001", model_run(FinetuneConfig("lora")), done=False)
    broken = put_run(workspace, "r0002", GENERATOR, done=False)
    (broken / "config.json").write_text(damaged)
    card, lower = drawn(services)
    assert text.TRAIN_GENERATOR in card
    assert "LoRA" in lower and 'data-run="r0001"' in lower and train_text.UNREADABLE in lower
    assert train_text.UNREADABLE not in train.draw(who(services, None), {})[2], "the loss shown is another run's"
    if len(damaged) < 3:
        assert "Cannot read the settings of the run r0002" in lower
    assert 'data-run="r0002"' not in lower, "nothing to resume"
    with worked_on(broken):
        assert 'data-run="r0002"' in drawn(services)[1], "it can be stopped"
        assert services.obstacles().keys() >= {"leaml"} and project.at_work(services) == set()
    assert compare.results(services)[0] and services.choosing.outlook(services.choosing.choices()) is None
    assert services.choosing._last_took("leaml-mini") is None


def test_whoever_starts_or_resumes_a_run_is_left_the_memory_of_the_model_that_answers(
    make_services: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services()
    label_all(services, but=2)
    done: list[str] = []
    monkeypatch.setattr("leaml.answering.Answerer.release", lambda _: done.append("release"))
    monkeypatch.setattr("leaml.jobs.Jobs.submit", lambda *_: done.append("start") or RunId("r0001"))
    monkeypatch.setattr("leaml.jobs.Jobs.resume", lambda *_: done.append("start"))
    monkeypatch.setattr("app.services.retest", lambda *_: done.append("start"))
    monkeypatch.setattr(services, "to_test_again", lambda: [type("Row", (), {"run_id": "r0001"})])
    starts: list[Callable[[], Any]] = [
        services.start_generator,
        lambda: services.start_methods(("lora",)),
        services.test_again,
        lambda: services.resume(RunId("r0001")),
    ]
    for start in starts:
        done.clear()
        start()
        assert done == ["release", "start"]
