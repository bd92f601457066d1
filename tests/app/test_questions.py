"""The project's questions, edited on the Project screen, and labels brought in there."""

from collections.abc import Callable

import pytest

from app import label, label_text, project, text
from app.errors import InputError
from app.person import who
from app.services import Services
from leaml.errors import ImportDataError
from tests.drawn import COLOUR, SIDE
from tests.store.test_store import question_versions

Make = Callable[..., Services]
EDITED = "On which side is the dot? | left | right | middle\n\nWhat is there? Choose all that apply. | dot | bar\nOdd?"


def save(services: Services, lines: str) -> str:
    return project.decide(who(services, None), {"act": "questions", "question_list": lines}).sentence


def test_an_edited_list_is_asked_from_now_on_and_old_labels_stay(make_services: Make) -> None:
    services = make_services()
    person = who(services, None)
    place = label.arrive(person, label.Place())
    assert place.asked is not None and place.asked[1] == "side"
    data = {"image": place.asked[0], "type": "side", "act": "save", "answer": "left"}
    label.decide(person, place, data)
    assert save(services, EDITED) == label_text.QUESTIONS_SAVED
    found = services.store.project()
    assert found is not None
    side, several, opened = found.question_types
    assert (side.id, side.options) == ("side", ("left", "right", "middle")), "the same question keeps its id"
    assert several.id == "what_is_there" and opened.options == ()
    assert services.store.labels()[0].pair.options == SIDE.options
    assert question_versions(services.store) == {1: (SIDE, COLOUR), 2: found.question_types}
    assert "Odd?</textarea>" in project.draw(person)


def test_a_list_saved_unchanged_is_no_new_version(make_services: Make) -> None:
    services = make_services()
    lines = "\n".join(" | ".join((kind.question, *kind.options)) for kind in (SIDE, COLOUR))
    assert lines in project.draw(who(services, None))
    save(services, lines)
    assert list(question_versions(services.store)) == [1]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("Side? | left", "one answer only"),
        ("Side? | left | right | Left", "there already"),
        ("Side? | a | b\nSide? | a | c", "there already"),
        (f"{SIDE.question}\non which side is the DOT | a | b", "Line 2 .* question “on which .*” is there already"),
        ("Which? Choose all that apply. | a; b | c", "semicolon"),
        (" \n", "Type at least one question"),
    ],
)
def test_a_bad_line_is_said_and_nothing_is_saved(make_services: Make, lines: str, said: str) -> None:
    services = make_services()
    with pytest.raises(InputError, match=said):
        save(services, lines)
    assert list(question_versions(services.store)) == [1]


def test_labels_are_imported_on_the_project_screen(make_services: Make) -> None:
    services = make_services()
    person = who(services, None)
    assert label_text.LABELS_TITLE in project.draw(person)
    data = {"act": "import_labels", "label_csv": "image,question,answer\ndot_00.png,side,left\n"}
    assert project.decide(person, data).sentence == "1 label imported."
    assert services.store.labels()[0].author == "expert"
    with pytest.raises(InputError, match="Choose a file"):
        project.decide(person, {"act": "import_labels", "label_csv": ""})
    read = "image,question,answer,author\ndot_01.png,side,right,Dr. J\xf6rg\n".encode("cp1252").decode(errors="replace")
    with pytest.raises(InputError, match="not in UTF-8"):
        project.decide(person, {"act": "import_labels", "label_csv": read})
    assert len(services.store.labels()) == 1


def test_only_who_labels_may_edit(make_services: Make) -> None:
    services = make_services(users=("expert", "reviewer"))
    assert label_text.QUESTIONS in project.draw(who(services, "expert"))
    assert label_text.QUESTIONS not in project.draw(who(services, "reviewer"))


def test_what_people_decided_is_written_into_the_workspace(make_services: Make) -> None:
    services = make_services()
    me = who(services, None)
    with pytest.raises(ImportDataError, match="nothing to export yet"):
        project.decide(me, {"act": "export", "ending": ".csv"})
    with pytest.raises(ImportDataError, match="the endings are"):
        project.decide(me, {"act": "export", "ending": ".py"})
    services.label_for_me()
    for ending in text.EXPORTS:
        assert f'data-ending="{ending}"' in project.draw(me)
        said = project.decide(me, {"act": "export", "ending": ending}).sentence
        (file,) = (services.settings.workspace / "exports").glob(f"*{ending}")
        assert said == text.exported(6, str(file)) and file.stat().st_size > 100
