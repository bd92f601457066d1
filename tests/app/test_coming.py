"""What the screens Project, Train and Compare say comes next, and why something cannot be done yet."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from app import compare, compare_text, people_text, project, text, train
from app.person import who
from app.services import Services
from leaml.choices import Choices, write_choices
from leaml.config import FinetuneConfig, GeneratorConfig, generator_run, model_run
from leaml.labelling.experts import as_pair
from leaml.records import METHODS, AnsweredQuestion, Review
from tests.app.test_services import add_model
from tests.drawn import SIDE
from tests.runs import put_run, worked_on

Make = Callable[..., Services]


def top(services: Services, username: str | None = None) -> tuple[str, str, list[str]]:
    """Return how the button that trains all stands, what is said beside it, and where the card's accents lead."""
    html = train.draw(who(services, username), {})[5]
    found = re.search(r'<div class="every"><button([^>]*)>.*?<p[^>]*>(.*?)</p>', html)
    assert found is not None
    accents = re.findall(r'<button[^>]*class="go"[^>]*data-(?:act|tab)="(\w+)"', html)
    return "off" if " disabled" in found[1] else "on", found[2], accents


def test_all_models_are_offered_where_one_can_learn_and_else_it_is_said_why_not(make_services: Make) -> None:
    services = make_services(users=("admin", "expert"))
    assert top(services, "admin") == ("off", text.NEEDS_LABELS, [])
    services.label_for_me()
    assert top(services, "admin") == ("on", "", [])
    assert top(services, "expert") == ("off", people_text.NEEDS_ADMIN, [])
    untested = make_services(references=False)
    assert top(untested) == ("off", text.NEEDS_TEST, [])
    assert train.draw(who(untested, None), {})[5].count(text.NEEDS_TEST) == 1, "not for each model again"
    folder = put_run(services.settings.workspace, "r0001", model_run(FinetuneConfig("lora")), done=False)
    with worked_on(folder):
        assert top(services, "admin") == ("off", text.ALL_AGAIN, [])


def all_reviewed(make_services: Make) -> Services:
    services = make_services(candidates=8)
    services.label_for_me()
    for row in services.store.results.candidates():
        services.store.add_review(Review(row.id, "accept", as_pair(row), None, "me", 1.0))
    return services


def train_all(services: Services) -> None:
    reviewed = len(services.store.answered.reviewed())
    assert reviewed
    for number, method in enumerate(METHODS, 2):
        pairs = {"leaml": 8, "leaml_reviewed": reviewed}.get(method, 0)
        add_model(services, f"r{number:04d}", method, 2, pairs=pairs)


def test_the_accent_leads_from_reviews_to_models_to_the_comparison(make_services: Make) -> None:
    services = make_services(candidates=8)
    services.label_for_me()
    row = services.store.results.candidates()[0]
    services.store.add_review(Review(row.id, "accept", as_pair(row), None, "me", 1.0))
    assert top(services)[2] == [], "most pairs are not reviewed yet"
    services = all_reviewed(make_services)
    assert top(services) == ("on", "", ["all"])
    train_all(services)
    assert top(services) == ("on", "", ["compare"])


def test_what_is_new_since_all_were_trained_has_them_trained_again(make_services: Make) -> None:
    services = all_reviewed(make_services)
    train_all(services)
    free = next(
        i for i in services.store.images("pool") if i.id not in {p.pair.image_id for p in services.store.labels()}
    )
    services.store.add_label(
        AnsweredQuestion(free.id, SIDE.question, SIDE.options, "left", SIDE.id), author="me", seconds=1
    )
    assert top(services)[2] == ["all"], "a label"
    services.store.undo_label("me")
    assert top(services)[2] == ["compare"]
    services.store.undo_review("me")
    assert top(services)[2] == ["all"], "a review less"


def test_other_settings_have_all_models_trained_again(make_services: Make) -> None:
    services = all_reviewed(make_services)
    train_all(services)
    put_run(services.settings.workspace, "r0003", model_run(FinetuneConfig("full_finetune")))
    assert top(services)[2] == ["compare"]
    write_choices(services.settings.workspace, replace(Choices(), flips="both"))
    assert top(services)[2] == ["all"]


def test_who_has_reviewed_is_led_on_from_the_generator(make_services: Make) -> None:
    def review_button(services: Services) -> str:
        put_run(services.settings.workspace, "r0001", generator_run(GeneratorConfig()))
        (found,) = re.findall(r'<button[^>]*data-tab="review"[^>]*>', train.draw(who(services, None), {})[1])
        return str(found)

    assert 'class="go"' in review_button(make_services(candidates=8))
    assert 'class="go"' not in review_button(all_reviewed(make_services))


@pytest.mark.parametrize(
    ("config", "title"),
    [(generator_run(GeneratorConfig()), "train"), (model_run(FinetuneConfig("lora")), "finetune")],
)
def test_the_project_screen_says_what_is_being_trained(make_services: Make, config: object, title: str) -> None:
    services = make_services(candidates=2)
    folder = put_run(services.settings.workspace, "r0002", config, done=False)  # type: ignore[arg-type]
    with worked_on(folder):
        (said,) = re.findall(r"<b>([^<]*)</b><p>[^<]*</p><p class=\"at-work\">", project.draw(who(services, None)))
    assert said == text.STEPS[title][0]
    assert text.AT_WORK not in project.draw(who(services, None)), "it has ended"


@pytest.mark.parametrize(
    ("filled", "said", "tab"),
    [
        ({"references": False}, compare_text.NO_TEST, "label"),
        ({"test": 0}, compare_text.NO_TEST_IMAGES, "project"),
        ({}, compare_text.NO_MODELS, "train"),
    ],
)
def test_compare_says_what_is_missing(make_services: Make, filled: dict[str, int], said: str, tab: str) -> None:
    html, figure = compare.results(make_services(**filled))
    assert said in html and f'data-tab="{tab}"' in html and figure is None


def test_compare_says_once_that_there_are_no_images(make_services: Make) -> None:
    services = make_services(filled=False)
    assert compare_text.NOTHING_YET in compare.draw(services, compare.arrive(services, compare.Place()))
    assert compare.results(services) == ("", None)


def test_compare_names_the_first_models_that_are_on_their_way(make_services: Make) -> None:
    services = make_services()
    folder = put_run(services.settings.workspace, "r0001", model_run(FinetuneConfig("zero_shot")), done=False)
    with worked_on(folder):
        html, _ = compare.results(services)
    assert compare_text.testing([text.METHODS["zero_shot"][0]]) in html and compare_text.NO_MODELS not in html
