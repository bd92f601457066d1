"""The Compare screen: two models side by side on any image and question, and the table of all of them.

Figures of the table come from `leaml.stats`; models answer in a process of their own.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from app import compare_text, text
from app.compare_html import OURS, SIDES, AskView, again_line, ask_screen, table_card
from app.figures import interval_figure
from app.label import picture
from app.learnt import Basis
from app.person import Person, who
from app.screen import Screen, in_turn, on_act, panel, require_text, typed_options
from app.services import Services
from app.view import empty_state, go_button
from leaml import stats
from leaml.answering import Answer
from leaml.errors import LeamlError
from leaml.records import METHODS, ImageId, ImageRow, Method, Prediction, Split

TICK_S = 2.0
BASE = "base"
COMPARED: tuple[Method, ...] = ("leaml_reviewed", "leaml", "full_finetune", "lora", "zero_shot")
"""Whose difference is told: of the first that was tested from the next that is none of ours."""


@dataclass(frozen=True)
class Place:
    """Where one browser tab is: image, question, the two models, and what they answered.

    `off` holds the places of those sides that answer without what they learnt; `touched` says that a person did
    something here, whose models then stay.
    """

    images: Split = "test"
    index: int = 0
    question: str = ""
    own: tuple[str, str] = ("", "")
    sides: tuple[str, str] = ("", "")
    off: frozenset[int] = frozenset()
    answers: tuple[Answer, ...] = ()
    pending: bool = False
    asked_before: bool = False
    trouble: str = ""
    touched: bool = False
    serial: int = 0


def build(services: Services, header: gr.HTML) -> Screen:
    """Build the screen in the current tab. The header stays as it is: nothing here changes its counts."""
    place, seen = gr.State(Place()), gr.State(())
    ask = panel("compare-panel")
    table = panel("compare-table", tick_s=TICK_S)
    with gr.Column(elem_classes="card figures", elem_id="compare-figure", visible=False) as box:
        gr.HTML(f'<div class="screen eyebrow">{compare_text.FIGURE_TITLE}</div>', apply_default_css=False)
        figure = gr.Plot(show_label=False, container=False, elem_classes="plotbox small", elem_id="interval-plot")

    def below(person: Person) -> tuple[Any, ...]:
        with suppress(LeamlError):  # the Train screen says it
            services.take_over_finished()
        now = services.comparable()
        html, drawn = results(services, may=person.may("train"))
        return now, html, drawn, gr.Column(visible=drawn is not None)

    def tick(before: tuple[Any, ...], request: gr.Request) -> tuple[Any, ...]:
        if before == services.comparable():
            return (gr.skip(),) * len(lower)
        return below(who(services, request.username))

    def redraw(now: Place, request: gr.Request) -> tuple[Any, ...]:
        person, now = who(services, request.username), arrive(services, now)
        return now, draw(services, now), *below(person)

    def again(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        person = who(services, request.username)
        gr.Info(compare_text.tested_again(person.test_again()))
        return below(person)

    def act(now: Place, event: gr.EventData) -> tuple[Place, str]:
        now = decide(services, now, event._data)
        return now, draw(services, now)

    def answer(now: Place) -> tuple[Any, Any]:
        if not now.pending:
            return gr.skip(), gr.skip()
        now = answered(services, now)
        return now, draw(services, now)

    on_act("compare", ask, act, [place], [place, ask], after=answer)
    lower = [seen, table, figure, box]
    on_act("compare", table, again, [], lower)
    table.tick(tick, [seen], lower, **in_turn("compare"))
    return Screen(redraw, [place], [place, ask, *lower])


def arrive(services: Services, now: Place) -> Place:
    """Return the place with two models, a question and images that exist."""
    known = [value for value, _ in model_choices(services)]
    best, latest = known[-1], services.latest_models()
    # The strongest simple alternative is the fair opponent to begin with.
    rival = str(latest["full_finetune"].run_id) if "full_finetune" in latest else BASE
    kept = now.sides if now.touched else ("", "")
    left = kept[0] if kept[0] in known else rival if rival != best else BASE
    right = kept[1] if kept[1] in known else best
    project = services.store.project()
    types = [kind.id for kind in (project.question_types if project else ())]
    question = now.question if now.question in [*types, "own"] else (types[0] if types else "own")
    now = replace(now, question=question, images=_with_images(services, now.images), pending=False)
    return now if now.sides == (left, right) else with_sides(now, left, right)


def with_sides(now: Place, left: str, right: str) -> Place:
    """Return the place with these models, unasked; one that was not there before has its adapter on."""
    sides = (left, right)
    kept = frozenset(place for place in now.off if sides[place] == now.sides[place])
    return replace(now, sides=sides, off=kept, answers=())


def model_choices(services: Services) -> list[tuple[str, str]]:
    """Return (value, name) of every model that can be asked: the base, then the newest of each method."""
    found = [(BASE, text.METHODS["zero_shot"][0])]
    for method, row in services.latest_models().items():
        if method != "zero_shot":
            found.append((str(row.run_id), f"{text.METHODS[method][0]} ({row.run_id})"))
    return found


def draw(services: Services, now: Place) -> str:
    """Return the HTML of the upper half."""
    images = services.store.images(now.images)
    project = services.store.project()
    if not images or project is None:
        return empty_state(text.LABEL_EMPTY_TITLE, compare_text.NOTHING_YET, go_button(text.GO_PROJECT, "project"))
    image = images[now.index % len(images)]
    question, options = _question(services, now)
    return ask_screen(
        AskView(
            serial=f"{now.serial}",
            picture=picture(services, image.id),
            images=now.images,
            position=text.of(now.index % len(images) + 1, len(images)),
            models=model_choices(services),
            sides=now.sides,
            adapters=(adapter_on(now, 0), adapter_on(now, 1)),
            types=project.question_types,
            question=now.question,
            asked=question,
            own=now.own,
            options=options,
            answers=now.answers,
            reference=_reference(services, now, image, question),
            ratio=services.image_ratio(),
            pending=now.pending,
            trouble=now.trouble,
        )
    )


def adapter_on(now: Place, side: int) -> bool | None:
    """Return whether a side answers with what it learnt; None for the base model."""
    return None if now.sides[side] == BASE else side not in now.off


def decide(services: Services, now: Place, data: dict[str, Any]) -> Place:
    """Return the place after a button or a choice. Once asked, every further step asks again by itself.

    Where the chosen side has no image, the place stays on the other one and says so.

    Raises:
        InputError: If an own question is empty.
    """
    wanted: Split = "pool" if data.get("images") == "pool" else "test"
    images = _with_images(services, wanted)
    index = 0 if images != now.images else now.index
    count = max(1, len(services.store.images(images)))
    act = data.get("act")
    if act in ("next", "previous"):
        index = (index + (1 if act == "next" else -1)) % count
    elif act == "random":
        index = random.randrange(count)
    question = str(data.get("question", now.question))
    own = (str(data.get("own_question", now.own[0])), str(data.get("own_options", now.own[1])))
    if act == "ask" and question == "own":
        require_text(own[0], text.NEED_QUESTION)
    now = with_sides(now, str(data.get("left", now.sides[0])), str(data.get("right", now.sides[1])))
    if act == "adapter":
        now = replace(now, off=now.off ^ {SIDES.index(data["side"])})
    now = replace(
        now,
        images=images,
        index=index,
        question=question,
        own=own,
        trouble="" if images == wanted else compare_text.NO_IMAGES[wanted],
        asked_before=now.asked_before or act == "ask",
        touched=True,
        serial=now.serial + (act not in ("ask", "adapter")),
    )
    return replace(now, pending=now.asked_before and (question != "own" or bool(own[0].strip())))


def answered(services: Services, now: Place) -> Place:
    """Return the place with both models' answers, or with what went wrong."""
    images = services.store.images(now.images)
    question, options = _question(services, now)
    try:
        answers = services.asking.ask(list(now.sides), images[now.index % len(images)], question, options, off=now.off)
    except LeamlError as error:
        return replace(now, pending=False, trouble=str(error))
    return replace(now, pending=False, answers=tuple(answers))


def results(services: Services, *, may: bool = True) -> tuple[str, go.Figure | None]:
    """Return the table's HTML and the figure; an invitation and nothing while no model was tested.

    Args:
        services: Have the models' answers.
        may: Whether the person may have models tested again.
    """
    found = services.evaluations()
    behind = [text.METHODS[name][0] for name in found.behind]  # type: ignore[index]
    ready = [text.METHODS[model.method][0] for model in services.to_test_again()]  # type: ignore[index]
    again = again_line(ready, [name for name in behind if name not in ready], may=may)
    evaluations = found.answers
    some = next(iter(evaluations.values()), ())
    if not some and found.behind:
        return empty_state(compare_text.TESTS_DIFFER_TITLE, compare_text.TESTS_DIFFER, again), None
    if not some:
        return nothing_tested(services), None
    rows = {name: services.scores.of(predictions) for name, predictions in evaluations.items()}
    asked = {prediction.type_id for prediction in some}
    project = services.store.project()
    known = [kind.id for kind in (project.question_types if project else ()) if kind.id in asked]
    types = [*known, *sorted(asked - set(known))]
    images = len({prediction.image_id for prediction in some})
    rests_on = compare_text.on_questions(len(some), images, found.questions - len(some), behind)
    dots = [
        (text.MAJORITY[0] if name == "majority" else text.METHODS[name][0], macro, name in OURS)  # type: ignore[index]
        for name, (_, macro) in rows.items()
    ]
    learnt = bases(services, evaluations)
    told = finding(evaluations, services.scores.groups(), learnt)
    card = table_card(rows, types, rests_on=rests_on, finding=told, again=again, apart=apart(learnt))
    return card, interval_figure(dots)


def nothing_tested(services: Services) -> str:
    """Return what to do where no model was tested on today's test; nothing where the upper half says it."""
    obstacle = services.obstacles().get("zero_shot")
    coming = [text.METHODS[kind][0] for kind in METHODS if kind in services.comparable()[1]]
    if obstacle == text.NEEDS_IMAGES:
        return ""
    if obstacle == text.NEEDS_TEST_IMAGES:
        to_project = go_button(text.GO_PROJECT, "project")
        return empty_state(compare_text.NO_TEST_IMAGES_TITLE, compare_text.NO_TEST_IMAGES, to_project)
    if obstacle == text.NEEDS_TEST:
        return empty_state(compare_text.NO_TEST_TITLE, compare_text.NO_TEST, go_button(text.GO_LABEL, "label"))
    to_train = go_button(text.GO_TRAIN, "train")
    if coming:
        return empty_state(compare_text.ON_THE_WAY_TITLE, compare_text.testing(coming), to_train)
    return empty_state(compare_text.NO_MODELS_TITLE, compare_text.NO_MODELS, to_train)


def bases(services: Services, names: Collection[str]) -> dict[str, Basis]:
    """Return what the newest models of these methods learnt from, the one that was made last at the end."""
    rows = [row for method, row in services.latest_models().items() if method in names]
    return {row.method: services.learnt.of(row) for row in sorted(rows, key=lambda row: row.created_at)}


def apart(learnt: Mapping[str, Basis]) -> dict[str, str]:
    """Return in what models differ from the one that was trained last, but for their method, in words."""
    trained = [basis for basis in learnt.values() if basis.labels is not None]
    found = {name: differences(basis, trained[-1]) for name, basis in learnt.items() if trained}
    return {name: compare_text.differs(reasons) for name, reasons in found.items() if reasons}


def differences(one: Basis, other: Basis) -> list[str]:
    """Return in what two models differ, but for their method, in words."""
    checks = (
        (one.same_labels(other), compare_text.other_labels(one.labels or 0, other.labels or 0)),
        (one.same_model(other), compare_text.other_model(str(one.model), str(other.model))),
        (one.same_flips(other), compare_text.OTHER_FLIPS),
    )
    return [reason for same, reason in checks if not same]


def finding(
    evaluations: Mapping[str, Sequence[Prediction]], groups: Mapping[ImageId, str], learnt: Mapping[str, Basis]
) -> str:
    """Return the paired difference between our best-founded model and the strongest kind of rival, in words.

    Without one of ours it is that of two rivals. It says so where they differ in more than their method.
    """
    tested = [method for method in COMPARED if method in evaluations]
    ours = next(iter(tested), None)
    rival = next((method for method in tested if method != ours and method not in OURS), None)
    if ours is None or rival is None:
        return compare_text.ONE_MODEL
    try:
        gap = stats.paired_difference(evaluations[ours], evaluations[rival], groups)
    except LeamlError as error:
        return str(error)
    names = text.METHODS[ours][0], text.METHODS[rival][0]
    told = compare_text.difference(*names, 100 * gap.value, 100 * gap.low, 100 * gap.high)
    reasons = differences(learnt[ours], learnt[rival])
    return f"{told} {compare_text.more_than_method(reasons)}" if reasons else told


def _with_images(services: Services, wanted: Split) -> Split:
    """Return a side that has images: the wanted one, or else the other."""
    other: Split = "pool" if wanted == "test" else "test"
    return wanted if services.store.image_count(wanted) else other


def _question(services: Services, now: Place) -> tuple[str, tuple[str, ...]]:
    project = services.store.project()
    kinds = project.question_types if project else ()
    kind = next((kind for kind in kinds if kind.id == now.question), None)
    return (kind.question, kind.options) if kind else (now.own[0], typed_options(now.own[1]))


def _reference(services: Services, now: Place, image: ImageRow, question: str) -> str | None:
    test, store = now.images == "test", services.store
    known = store.held_out.questions() if test else store.references("pool")
    return next((row.answer for row in known if row.image_id == image.id and row.question == question), None)
