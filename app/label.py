"""The Label screen: one image, one question, saved at once.

Which question comes next is chosen here: the question type with the fewest labels, on an image without any.
Choosing the most informative image is not done yet.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from app import text
from app.cards import LabelCard, Picture, label_screen
from app.person import Person, who
from app.screen import Screen, header_of, on_act, panel, require_option, require_text, typed_options
from app.services import Services, count_by_type
from app.view import empty_state, go_button
from leaml.records import AnsweredQuestion, ImageId, ImageRow, Label, QuestionType

Asked = tuple[ImageId, str]
"""An image and the id of a question type."""


@dataclass(frozen=True)
class Place:
    """Where one browser tab is: the question on its screen.

    Attributes:
        asked: Image and question type; None before the first look, or when nothing is left.
        skipped: Questions to leave out until the page is loaded again.
        chosen: An answer chosen already, after an undo.
        message: What just happened.
        serial: Counts the questions shown.
    """

    asked: Asked | None = None
    skipped: frozenset[Asked] = frozenset()
    chosen: str | None = None
    message: str = ""
    serial: int = 0


def build(services: Services, header: gr.HTML) -> Screen:
    """Build the screen in the current tab."""
    place = gr.State(Place())
    card = panel("label-panel")

    def redraw(now: Place, request: gr.Request) -> tuple[Place, str, str]:
        person = who(services, request.username)
        now = arrive(person, now)
        return now, draw(person, now), header_of(person)

    def act(now: Place, event: gr.EventData, request: gr.Request) -> tuple[Place, str, str]:
        return redraw(decide(who(services, request.username), now, event._data), request)

    on_act("label", card, act, [place], [place, card, header])
    return Screen(redraw, [place], [place, card, header])


def next_questions(
    types: Sequence[QuestionType],
    images: Sequence[ImageRow],
    labels: Sequence[Label],
    *,
    skipped: frozenset[Asked] = frozenset(),
    limit: int = 1,
) -> list[Asked]:
    """Return the next questions to ask: balanced over question types, images without a label first.

    Images come in a shuffled order that is the same every time, so that two looks agree.
    """
    done = {(label.pair.image_id, label.pair.type_id) for label in labels}
    per_image = Counter(label.pair.image_id for label in labels)
    per_type = Counter(label.pair.type_id for label in labels)
    order = sorted(images, key=lambda image: hashlib.sha256(image.id.encode()).digest())
    chosen: list[Asked] = []
    while len(chosen) < limit:
        # Sorting is stable: ties keep the project's order of types and the shuffled order of images.
        for kind in sorted(types, key=lambda kind: per_type[kind.id]):
            free = [
                image.id for image in order if (image.id, kind.id) not in done and (image.id, kind.id) not in skipped
            ]
            if free:
                asked = (min(free, key=lambda image_id: per_image[image_id]), kind.id)
                break
        else:
            return chosen
        chosen.append(asked)
        done.add(asked)
        per_image[asked[0]] += 1
        per_type[asked[1]] += 1
    return chosen


def arrive(person: Person, now: Place) -> Place:
    """Return the place with a question to show that nobody else has: its own, unless that is answered by now."""
    if not person.may("label"):
        return now
    store, asked = person.services.store, now.asked
    project = store.project()
    types = project.question_types if project else ()

    def choose(others: set[str]) -> str | None:
        nonlocal asked
        labels = store.labels("pool")
        answered = {(label.pair.image_id, label.pair.type_id) for label in labels}
        if asked is None or card_of(asked) in others or (asked in answered and now.chosen is None):
            left_out = now.skipped | {asked_of(card) for card in others}
            found = next_questions(types, store.images("pool"), labels, skipped=left_out)
            asked = found[0] if found else None
        return card_of(asked) if asked else None

    store.leases.give("label", person.name, choose)
    if asked == now.asked and asked is not None:
        return now
    return replace(now, asked=asked, chosen=None, serial=now.serial + 1)


def card_of(asked: Asked) -> str:
    """Return the name under which a question about an image is given out."""
    return f"{asked[0]} {asked[1]}"


def asked_of(card: str) -> Asked:
    """Return the question of a card's name."""
    image_id, type_id = card.split(" ", 1)
    return ImageId(image_id), type_id


def draw(person: Person, now: Place) -> str:
    """Return the screen's HTML."""
    services = person.services
    project, store = services.store.project(), services.store
    if not person.may("label"):
        return empty_state(text.NOT_LABELLING_TITLE, text.NOT_LABELLING, go_button(text.GO_REVIEW, "review"))
    if project is None or not store.images("pool"):
        return empty_state(text.LABEL_EMPTY_TITLE, text.LABEL_EMPTY, go_button(text.GO_PROJECT, "project"))
    if now.asked is None:
        return empty_state(text.LABEL_ALL_TITLE, text.LABEL_ALL, go_button(text.GO_TRAIN, "train"))
    ahead = next_questions(
        project.question_types, store.images("pool"), store.labels("pool"), skipped=now.skipped | {now.asked}, limit=2
    )
    return label_screen(
        LabelCard(
            serial=f"{now.serial}",
            picture=picture(services, now.asked[0]),
            current=next((kind for kind in project.question_types if kind.id == now.asked[1]), None),
            types=project.question_types,
            chosen=now.chosen,
            counts=count_by_type(services),
            budget=services.settings.label_budget,
            ratio=services.image_ratio(),
            message=now.message,
            for_me=person.labels_on_offer(),
            preload=[picture(services, image_id).url for image_id, _ in ahead],
        )
    )


def decide(person: Person, now: Place, data: dict[str, Any]) -> Place:
    """Do what a button asked, and return the place after it. A press on a card that is gone changes nothing.

    Raises:
        LeamlError: If what was typed cannot be used, or cannot be saved.
    """
    person.require("label")
    act = data.get("act")
    if act == "fill":
        count = person.label_for_me()
        return replace(now, asked=None, chosen=None, message=text.labelled_for_you(count))
    if act == "undo":
        return _undo(person, now)
    if now.asked is None or (data.get("image"), data.get("type")) != now.asked:
        return now
    if act == "skip":
        return replace(now, asked=None, chosen=None, skipped=now.skipped | {now.asked}, message="")
    if act == "switch":
        return replace(now, asked=(now.asked[0], str(data["to"])), chosen=None, message="", serial=now.serial + 1)
    if card_of(now.asked) in person.services.store.leases.held_by_others("label", person.name):
        return replace(now, asked=None, chosen=None, message=text.CARD_GONE)
    pair = _own_pair(now.asked[0], data) if act == "own" else _answered(person.services, now.asked, data)
    person.add_label(pair, seconds=float(data.get("seconds", 0.0)))
    # A question of one's own leaves the card's question unanswered: it stays.
    stay = replace(now, message=text.SAVED, serial=now.serial + 1)
    return stay if act == "own" else replace(stay, asked=None, chosen=None)


def picture(services: Services, image_id: ImageId) -> Picture:
    """Return an image as the page needs it."""
    image = services.store.image(image_id)
    return Picture(image.id, image.name, f"/gradio_api/file={services.image_path(image)}")


def _answered(services: Services, asked: Asked, data: dict[str, Any]) -> AnsweredQuestion:
    project = services.store.project()
    kind = next(kind for kind in (project.question_types if project else ()) if kind.id == asked[1])
    answer = require_option(require_text(str(data.get("answer", "")), text.CHOOSE_FIRST), kind.options)
    return AnsweredQuestion(asked[0], kind.question, kind.options, answer, kind.id)


def _own_pair(image_id: ImageId, data: dict[str, Any]) -> AnsweredQuestion:
    question = require_text(str(data.get("own_question", "")), text.NEED_QUESTION)
    options = typed_options(str(data.get("own_options", "")))
    return AnsweredQuestion(image_id, question, options, require_option(str(data.get("own_answer", "")), options))


def _undo(person: Person, now: Place) -> Place:
    """Take back this person's last label and show its question again, with the answer that it had."""
    undone = person.undo_label()
    if undone is None:
        return replace(now, message=text.NOTHING_TO_UNDO)
    message = text.taken_back(undone.pair.answer)
    if undone.pair.type_id is None:
        return replace(now, message=message)
    asked = (undone.pair.image_id, undone.pair.type_id)
    return replace(now, asked=asked, chosen=undone.pair.answer, message=message, serial=now.serial + 1)
