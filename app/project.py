"""The Project screen: what is here, what is next, and bringing images in."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app import choice_text, label_text, neighbours_text, text
from app.choice_form import Told, choices_card, typed_choices
from app.errors import InputError, shown_to_people
from app.label import picture
from app.person import Person, who
from app.project_html import LoopStep, project_screen
from app.screen import Screen, header_of, in_turn, on_act, panel, require_text, typed_parts
from app.services import Services
from app.view import Picture
from leaml.choices import Choices
from leaml.data.questions import by_words, check_question, question_id
from leaml.errors import ImportDataError, LeamlError
from leaml.labelling.suggestions import Agreement, agreement
from leaml.prompts import normalise_answer
from leaml.records import METHODS, QuestionType

THUMBS = 12
TICK_S = 5.0
BRINGS_IN = ("sample", "import")
"""What takes as long as there are images, and has a turn of its own."""


class Done(NamedTuple):
    """What a button brought about: a sentence, and the workspace of a project that may be opened next."""

    sentence: str = ""
    opens: Path | None = None


def build(services: Services, header: gr.HTML) -> Screen:
    """Build the screen in the current tab."""
    # Whoever waits for a training sees its end; otherwise the screen does not ask.
    screen = panel("project-panel", tick_s=TICK_S, tick_while=".at-work")

    def redraw(request: gr.Request) -> tuple[str, str]:
        services.note_finished()
        person = who(services, request.username)
        return draw(person), header_of(person)

    def tick(request: gr.Request) -> tuple[Any, Any]:
        return (gr.skip(), gr.skip()) if at_work(services) else redraw(request)

    def act(event: gr.EventData, request: gr.Request) -> tuple[str, str]:
        person = who(services, request.username)
        return draw(person, *decide(person, event._data)), header_of(person)

    def act_slowly(event: gr.EventData, request: gr.Request) -> tuple[str, str]:
        if event._data.get("act") in BRINGS_IN:
            return act(event, request)
        person = who(services, request.username)
        shown, told = decide_choice(person, event._data)
        return draw(person, shown=shown, told=told), header_of(person)

    on_act("project", screen, act, [], [screen, header])
    on_act("project", screen, act_slowly, [], [screen, header], event="slow")
    screen.tick(shown_to_people(tick), [], [screen, header], trigger_mode="multiple", **in_turn("project"))
    return Screen(redraw, [], [screen, header])


def decide(person: Person, data: Mapping[str, Any]) -> Done:
    """Do what a button asked; return what happened.

    Raises:
        LeamlError: If it cannot be done.
    """
    act = data.get("act")
    if act == "fill":
        return Done(text.labelled_for_you(person.label_for_me()))
    if act == "questions":
        project = person.services.store.project()
        known = project.question_types if project else ()
        typed = typed_questions(require_text(str(data.get("question_list", "")), text.NO_QUESTIONS), known)
        person.save_questions(typed)
        return Done(label_text.QUESTIONS_SAVED)
    if act == "import_labels":
        content = require_text(str(data.get("label_csv", "")), label_text.NO_LABEL_FILE)
        if "\ufffd" in content:  # the page puts it where bytes are no UTF-8
            raise InputError(label_text.LABELS_NOT_UTF8)
        return Done(label_text.labels_imported(person.import_labels(content)))
    if act == "export":
        count, file = person.export(str(data.get("ending", "")))
        return Done(text.exported(count, str(file)))
    if act == "open":
        person.open_project(Path(str(data.get("workspace", ""))))
        return Done(neighbours_text.OPENING)
    if act == "sample" and person.services.store.project() is None:
        person.load_sample()
    if act == "import":
        fields = (str(data.get(name, "")) for name in ("import_name", "import_folder", "import_questions"))
        return import_typed(person, *fields)
    return Done()


def decide_choice(person: Person, data: Mapping[str, Any]) -> tuple[Choices, Told | None]:
    """Do what a button of the card with model and teacher asked; return what its fields show, and what it says.

    Raises:
        InputError: If something is missing.
        LeamlError: If what was typed does not fit together.
    """
    choosing = person.services.choosing
    before, typed = choosing.choices(), typed_choices(data)
    if data.get("act") == "estimate":
        if typed.model != before.model:
            return typed, Told(choice_text.SAVE_FIRST, "warn")
        choosing.look_at(before.model)
        return typed, None
    try:
        if data.get("act") == "test_teacher":
            return typed, try_teacher(person, typed, consent=str(data.get("host", "")))
        person.save_choices(typed)
    except LeamlError as error:
        return typed, Told(str(error), "bad")
    if typed.model != before.model:
        return typed, Told(choice_text.MODEL_CHANGED)
    return typed, Told(choice_text.SAVED if typed.flips == before.flips else choice_text.FLIPS_CHANGED)


def try_teacher(person: Person, choices: Choices, *, consent: str) -> Told:
    """Have the typed teacher describe one image; an image leaves this computer only by consent to its very host.

    Raises:
        LeamlError: If it does not; with its own words.
    """
    teacher, choosing = choices.teacher, person.services.choosing
    if teacher.source == "recorded":
        raise InputError(choice_text.NOTHING_TO_TEST)
    if teacher.host and not teacher.local_host and consent != teacher.host:
        return Told(choice_text.consent(choosing.test_image().name, teacher.host), "warn", teacher.host)
    found, images = person.test_teacher(teacher), choosing.without_caption(teacher)
    seconds = found.seconds * images / (teacher.concurrency if teacher.source == "server" else 1)
    sentence = choice_text.tested(found.by, found.model, found.seconds, found.caption)
    return Told(f"{sentence} {choice_text.caption_time(images, seconds)}")


def draw(
    person: Person,
    message: str = "",
    opens: Path | None = None,
    *,
    shown: Choices | None = None,
    told: Told | None = None,
) -> str:
    """Return the screen's HTML.

    Args:
        person: Who looks.
        message: What just happened.
        opens: The workspace that the message's button opens.
        shown: What the card with model and teacher shows, if not what is saved.
        told: What that card says.
    """
    services, store = person.services, person.services.store
    pool, test = store.images("pool"), store.images("test")
    tiles = {
        "pool": len(pool),
        "test": len(test),
        "labels": services.label_count(),
        "captions": store.captions.count(),
        "candidates": store.results.candidate_count(),
        "reviewed": store.answered.count_reviewed(),
    }
    thumbs: list[Picture] = [picture(services, image.id) for image in pool[:THUMBS]]
    return project_screen(
        store.project(),
        loop_steps(services),
        tiles,
        thumbs,
        message,
        opens=opens,
        neighbours=services.neighbours() if person.may("import") else [],
        for_me=person.labels_on_offer(),
        may_import=person.may("import"),
        may_label=person.may("label"),
        sway=sway_of(services),
        choices=draw_choices(person, shown, told),
    )


def draw_choices(person: Person, shown: Choices | None, told: Told | None) -> str:
    """Return the card in which model and teacher are chosen."""
    choosing = person.services.choosing
    saved = choosing.choices()
    return choices_card(
        saved,
        shown or saved,
        outlook=choosing.outlook(saved),
        missing=choosing.without_caption(saved.teacher),
        told=told,
        may_change=person.may("train"),
        has_captions=person.services.store.captions.count() > 0,
    )


def sway_of(services: Services) -> tuple[Agreement, Agreement] | None:
    """Return how often labels agree with shown suggestions and with those kept back; None where none was asked for."""
    labels = services.store.suggested_labels()
    return (agreement(labels, shown=True), agreement(labels, shown=False)) if labels else None


def loop_steps(services: Services) -> list[LoopStep]:
    """Return the five steps of the loop: which are done, and the one that comes next."""
    store, budget = services.store, services.settings.label_budget
    labels, counts, models = services.label_count(), store.queue.counts(), services.latest_models()
    decided, candidates = counts.accepted + counts.edited + counts.rejected, store.results.candidate_count()
    training, project = at_work(services), store.project()
    asks_nothing = project is not None and not project.question_types
    done: dict[str, tuple[bool, str]] = {
        "label": (labels >= budget or candidates > 0, text.of(labels, budget)),
        "train": (candidates > 0, text.count_of("pair", candidates)),
        "review": (services.reviewed_enough(), text.count_of("decision", decided)),
        "finetune": ("leaml_reviewed" in models and "full_finetune" in models, text.count_of("model", len(models))),
        "compare": (False, ""),
    }
    following = next(name for name, (finished, _) in done.items() if not finished)
    steps = []
    for name, (finished, detail) in done.items():
        state: Any = "next" if name == following else "done" if finished else "later"
        steps.append(LoopStep(name, state, detail, at_work=name in training, asks_nothing=asks_nothing))
    return steps


def at_work(services: Services) -> set[str]:
    """Return the steps of the loop that a run does now, or will when its turn comes."""
    _, kinds = services.comparable()
    return {"finetune" if kind in METHODS else "train" for kind in kinds}


def import_typed(person: Person, name: str, folder: str, questions: str) -> Done:
    """Bring in the folder that a person typed; return what happened.

    Raises:
        LeamlError: If something is missing or cannot be read.
    """
    name = require_text(name, text.NO_PROJECT_NAME)
    path = Path(require_text(folder, text.NO_FOLDER)).expanduser()
    count, workspace = person.import_images(path, name=name, types=typed_questions(questions))
    if workspace == person.services.settings.workspace:
        return Done(text.imported(count, name))
    said = text.imported_elsewhere(count, name, str(workspace))
    if person.services.needs_sign_in:
        return Done(f"{said} {text.open_by(str(workspace))}")
    return Done(said, workspace)


def typed_questions(lines: str, known: Sequence[QuestionType] = ()) -> tuple[QuestionType, ...]:
    """Return the question types that a person typed, one a line: `Question | answer | answer`.

    A line that begins with `=` below a question says how its answers are told apart.

    Args:
        lines: What was typed.
        known: The project's question types: a question that is among them keeps its id.

    Raises:
        InputError: If one could not be asked and answered, or is there twice; see `check_question`.
    """
    present = by_words(known)
    kinds: list[QuestionType] = []
    for number, line in enumerate(lines.splitlines(), 1):
        if line.strip().startswith(label_text.DEFINES):
            if not kinds:
                raise InputError(label_text.defines_nothing(number))
            said = " ".join((kinds[-1].definition, line.strip().removeprefix(label_text.DEFINES).strip()))
            kinds[-1] = replace(kinds[-1], definition=said.strip())
            continue
        parts = typed_parts(line)
        if not parts:
            continue
        there = present.get(normalise_answer(parts[0]))
        type_id = there.id if there else question_id(parts[0], {kind.id for kind in (*kinds, *known)})
        kind = QuestionType(type_id, parts[0], parts[1:])
        try:
            check_question(kind, kinds, f"Line {number}")
        except ImportDataError as error:
            raise InputError(str(error)) from error
        kinds.append(kind)
    return tuple(kinds)
