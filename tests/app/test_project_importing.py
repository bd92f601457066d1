"""More images for a project that is there, its questions beside typed ones, and what comes first without any."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from app import label_text, project, project_text, text
from app.errors import InputError
from app.person import who
from app.services import Services
from leaml.data.folder import import_folder
from leaml.records import QuestionType
from tests.drawn import COLOUR, PROJECT, SIDE

Make = Callable[..., Services]


@pytest.fixture
def more(tmp_path: Path) -> str:
    """A folder with one image more."""
    (tmp_path / "more").mkdir()
    Image.new("RGB", (60, 40)).save(tmp_path / "more" / "one.png")
    return str(tmp_path / "more")


def types_of(services: Services) -> tuple[QuestionType, ...]:
    found = services.store.project()
    assert found is not None
    return found.question_types


def test_more_images_need_no_question(make_services: Make, more: str) -> None:
    services = make_services()
    done = project.import_typed(who(services, None), PROJECT.name, more, "")
    assert done == (text.imported(17, PROJECT.name), None) and types_of(services) == (SIDE, COLOUR)


def test_a_new_project_needs_one_and_no_workspace_is_made_without(make_services: Make, more: str) -> None:
    for services in (make_services(), make_services(filled=False)):
        with pytest.raises(InputError, match="at least one question"):
            project.import_typed(who(services, None), "Other", more, " \n")
    assert sorted(path.name for path in Path(more).parent.iterdir()) == ["more", "work0", "work1"]


def test_a_question_that_ends_alike_is_another_question(make_services: Make, more: str) -> None:
    services = make_services()
    person = who(services, None)
    asked = "Is there a polyp in the image? | yes | no"
    project.decide(person, {"act": "questions", "question_list": asked})
    project.import_typed(person, PROJECT.name, more, "Is there blood in the image? | yes | no")
    polyp, blood = types_of(services)
    assert (polyp.id, blood.id) == ("in_the_image", "in_the_image_2")
    assert (polyp.question, blood.question) == ("Is there a polyp in the image?", "Is there blood in the image?")


def test_a_question_in_the_same_words_is_the_same_one_with_its_id(make_services: Make, more: str) -> None:
    services = make_services()
    typed = " | ".join(("on which side is the  dot", *SIDE.options))
    project.import_typed(who(services, None), PROJECT.name, more, typed)
    assert types_of(services) == (SIDE, COLOUR)


@pytest.mark.parametrize("typed", ["{} | left | middle", "{}", "{} | left | right\n= Left: below 50%."])
def test_a_question_that_would_change_is_refused(make_services: Make, more: str, typed: str) -> None:
    services = make_services()
    with pytest.raises(InputError, match=re.escape(project_text.other_answers(SIDE.question))):
        project.import_typed(who(services, None), PROJECT.name, more, typed.format(SIDE.question))
    assert len(services.store.images()) == 16 and types_of(services) == (SIDE, COLOUR)


def test_the_form_names_the_project_and_lets_others_look_on_meanwhile(make_services: Make) -> None:
    filled, empty = (project.draw(who(make_services(filled=there), None)) for there in (True, False))
    assert f'value="{PROJECT.name}"' in filled and project_text.MORE_QUESTIONS in filled
    for html in (filled, empty):
        (button,) = re.findall(r"<button[^>]*data-act=\"import\"[^>]*>", html)
        assert 'data-by="slow"' in button and 'class="only-busy"' in html


def test_without_questions_they_come_first(make_services: Make, more: str) -> None:
    services = make_services(filled=False)
    import_folder(services.store, Path(more), name="Mine")  # as `python -m leaml import` does
    person = who(services, None)
    html = project.draw(person)
    assert project_text.QUESTIONS_FIRST in html and text.STEP_GO["label"] not in html
    assert 'data-card="questions" open>' in html
    project.decide(person, {"act": "questions", "question_list": "Is it red? | yes | no"})
    html = project.draw(person)
    assert project_text.QUESTIONS_FIRST not in html and text.STEP_GO["label"] in html
    assert 'data-card="questions" data-fold="questions">' in html and label_text.QUESTIONS in html
