"""The Label screen: one image, one question, saved at once. What comes next is chosen by `leaml.labelling.order`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from app import label_text, people_text, text
from app.cards import LabelCard, label_screen
from app.errors import InputError, shown_to_people
from app.label_end import end_screen
from app.label_parts import GivenLabel
from app.label_queue import answered_questions, asked_of, card_of
from app.person import Person, who
from app.screen import (
    Screen,
    header_of,
    in_turn,
    on_act,
    panel,
    read_seconds,
    require_option,
    require_options,
    require_text,
)
from app.services import Services, count_by_type
from app.view import WAITS, Picture, empty_state, go_button
from leaml.data.images import shown_file
from leaml.data.items import cover, picture_files
from leaml.data.video import is_video
from leaml.labelling.order import Asked, Reason
from leaml.prompts import takes_several
from leaml.records import AnsweredQuestion, ImageId, Label, QuestionType, Split, Suggestion

AHEAD = 2
LISTED, MORE = 12, 48
"""So many of a person's last labels are listed, and so many more each time that somebody asks."""
WAITING_TICK_S = 5.0
"""How often a page asks whether others have left one of the last questions."""


@dataclass(frozen=True)
class Place:
    """Where one browser tab is: the question on its screen.

    Attributes:
        split: Whether answers are given for models to learn from (`pool`) or to test them against.
        asked: Image and question type; None before the first look, or when nothing is left.
        skipped: Questions to leave out until the page is loaded again.
        passed: Those of them that were skipped since the last answer: undo brings them back, the last first.
        filled: Since when the reference answers labelled for this person: what undo takes back, until the next answer.
        chosen: The answer that the question had: after an undo, or when it is shown again to be changed.
        own: A label outside the question types that is shown again.
        draft: One that was just taken back: what was typed stands in its form again.
        ahead: Images that come next, for the browser to load already.
        why: Why this image was chosen; None where a person chose it.
        suggested: A question that a model was asked, and what it suggested.
        selected: What was chosen already on the card when it was drawn again.
        listed: How many of this person's labels are listed.
        message: What just happened.
        serial: Counts the questions shown.
    """

    split: Split = "pool"
    asked: Asked | None = None
    skipped: frozenset[Asked] = frozenset()
    passed: tuple[Asked, ...] = ()
    filled: datetime | None = None
    chosen: str | None = None
    own: AnsweredQuestion | None = None
    draft: AnsweredQuestion | None = None
    ahead: tuple[ImageId, ...] = ()
    why: Reason | None = None
    suggested: tuple[Asked, Suggestion] | None = None
    selected: str | None = None
    listed: int = LISTED
    message: str = ""
    serial: int = 0

    @property
    def suggestion(self) -> Suggestion | None:
        """What a model suggested for the question on the screen."""
        return self.suggested[1] if self.suggested and self.suggested[0] == self.asked else None


def build(services: Services, header: gr.HTML) -> Screen:
    """Build the screen in the current tab."""
    place = gr.State(Place())
    card = panel("label-panel", tick_s=WAITING_TICK_S, tick_while=f".{WAITS}")

    def redraw(now: Place, request: gr.Request) -> tuple[Place, str, str]:
        person = who(services, request.username)
        now = arrive(person, now)
        return now, draw(person, now), header_of(person)

    def act(now: Place, event: gr.EventData, request: gr.Request) -> tuple[Place, str, str]:
        return redraw(decide(who(services, request.username), now, event._data), request)

    def suggest_slowly(now: Place, event: gr.EventData, request: gr.Request) -> tuple[Place, str, str]:
        return redraw(suggest(who(services, request.username), now, event._data), request)

    on_act("label", card, act, [place], [place, card, header])
    on_act("label", card, suggest_slowly, [place], [place, card, header], event="slow")
    card.tick(shown_to_people(redraw), [place], [place, card, header], trigger_mode="multiple", **in_turn("label"))
    return Screen(redraw, [place], [place, card, header])


def arrive(person: Person, now: Place) -> Place:
    """Return the place with a question to show that nobody else has: its own, unless that is answered by now."""
    if not person.may("label"):
        return now
    store, asked = person.services.store, now.asked
    project, why, ahead = store.project(), now.why, now.ahead
    types = project.question_types if project else ()
    anew = asked is None or asked[1] not in {kind.id for kind in types}
    # Reviews may be many, and nobody should wait for them to be read; one more of them meanwhile does no harm.
    reviewed = store.answered.reviewed_questions() if anew else None

    def choose(others: set[str]) -> str | None:
        nonlocal asked, why, ahead
        pairs = answered_questions(store, now.split)
        answered = {(pair.image_id, pair.type_id) for pair in pairs}
        if asked is None or anew or card_of(asked) in others or (asked in answered and now.chosen is None):
            settled = store.answered.reviewed_questions() if reviewed is None else reviewed
            left_out = now.skipped | settled | {asked_of(card) for card in others}
            queue = person.services.label_queue
            found = queue.next(now.split, types, pairs, skipped=left_out, limit=1 + AHEAD)
            asked, why = (found[0].asked, found[0].reason) if found else (None, None)
            ahead = tuple(choice.asked[0] for choice in found[1:])
        return card_of(asked) if asked else None

    store.leases.give("label", person.name, choose)
    if asked == now.asked and asked is not None:
        return now
    return replace(now, asked=asked, chosen=None, own=None, draft=None, why=why, ahead=ahead, serial=now.serial + 1)


def draw(person: Person, now: Place) -> str:
    """Return the screen's HTML."""
    services = person.services
    project, store = services.store.project(), services.store
    if not person.may("label"):
        return empty_state(
            people_text.NOT_LABELLING_TITLE, people_text.NOT_LABELLING, go_button(text.GO_REVIEW, "review")
        )
    if project is None or not store.image_count("pool"):
        return empty_state(text.LABEL_EMPTY_TITLE, text.LABEL_EMPTY, go_button(text.GO_PROJECT, "project"))
    test_questions, is_test = store.held_out.open_count(), now.split == "test"
    if now.asked is None:
        return end_screen(person, now.split, project.question_types, now.skipped)
    labels = store.recent_labels(person.name, limit=now.listed + 1)
    history = _history(person, now, labels)
    side = now.split if test_questions or is_test else None
    return label_screen(
        LabelCard(
            serial=f"{now.serial}",
            picture=picture(services, now.asked[0]),
            current=next((kind for kind in project.question_types if kind.id == now.asked[1]), None),
            types=project.question_types,
            chosen=now.selected or now.chosen,
            own=now.own,
            draft=now.draft,
            last_own=next((row.pair for row in labels if row.pair.type_id is None), None),
            split=side,
            enough=label_text.ENOUGH[side] if is_test or store.unlabelled_count() else label_text.NO_IMAGE_LEFT,
            why=label_text.WHY_TEST if is_test else label_text.WHY[now.why] if now.why else "",
            history=history[: now.listed],
            has_more=len(history) > now.listed,
            counts=count_by_type(services, now.split),
            budget=_budget(services, now, test_questions),
            ratio=services.image_ratio(),
            message=now.message,
            for_me=0 if is_test else person.labels_on_offer(),
            figures=_figures(now),
            can_suggest=not is_test and services.asking.suggesting_model() is not None,
            preload=[picture(services, image_id).url for image_id in now.ahead],
        )
    )


def _budget(services: Services, now: Place, test_questions: int) -> int:
    """Return how many answers make a good start; of the test, no more than there are questions."""
    if now.split == "pool":
        return services.settings.label_budget
    return max(1, min(services.settings.test_budget, test_questions))


def decide(person: Person, now: Place, data: dict[str, Any]) -> Place:
    """Do what a button asked, and return the place after it. A press on a card that is gone changes nothing.

    Raises:
        LeamlError: If what was typed cannot be used, or cannot be saved.
    """
    person.require("label")
    act = data.get("act")
    if act == "fill":
        began, count = datetime.now(UTC), person.label_for_me()
        return replace(now, asked=None, chosen=None, passed=(), filled=began, message=text.labelled_for_you(count))
    if act == "undo":
        return _undo(person, replace(now, draft=None))
    if act == "more":
        return replace(now, listed=now.listed + MORE, selected=_selected(data), message="")
    now = replace(now, selected=None, draft=None)
    if act == "again":
        there = frozenset(asked for asked in now.skipped if person.services.image(asked[0]).split != now.split)
        return replace(now, asked=None, skipped=there, passed=(), message="")
    if act == "show":
        return _shown_again(person, now, str(data.get("event", "")))
    if act == "split":
        split: Split = "test" if data.get("to") == "test" else "pool"
        return replace(now, split=split, asked=None, chosen=None, own=None, passed=(), message="")
    if now.asked is None or (data.get("image"), data.get("type")) != now.asked:
        return now
    if act == "skip":
        skipped, passed = now.skipped | {now.asked}, (*now.passed, now.asked)
        return replace(now, asked=None, chosen=None, skipped=skipped, passed=passed, message="")
    if act == "switch":
        return _switched(person, now, (now.asked[0], str(data["to"])))
    if card_of(now.asked) in person.services.store.leases.held_by_others("label", person.name):
        return replace(now, asked=None, chosen=None, message=text.CARD_GONE)
    given = _given_to(person, now.asked)
    if act != "own" and given is not None and given.author != person.name:  # while this card lay open
        return replace(now, asked=None, chosen=None, message=label_text.ANSWERED_MEANWHILE)
    pair = _own_pair(now, now.asked[0], data) if act == "own" else _answered(person.services, now.asked, data)
    if act == "own":
        if now.own is None and now.split == "test":
            raise InputError(label_text.TEST_ASKS_THE_PROJECTS)
        _require_free(person, pair)
    suggestion = None if act == "own" else now.suggestion
    person.add_label(pair, seconds=read_seconds(data), suggestion=suggestion)
    # A question of one's own leaves the card's question unanswered: it stays.
    stay = replace(now, message=text.SAVED, passed=(), filled=None, serial=now.serial + 1)
    return stay if act == "own" and now.own is None else replace(stay, asked=None, chosen=None, own=None)


def _require_free(person: Person, pair: AnsweredQuestion) -> None:
    """Check that a question of one's own stands for no other label: the latest answer to a question replaces it.

    Raises:
        InputError: If it is one of the project's questions, or another person's about the same image.
    """
    store = person.services.store
    project = store.project()
    if pair.type_id is None and project and pair.question in {kind.question for kind in project.question_types}:
        raise InputError(label_text.asked_already(pair.question))
    given = [label for label in store.labels() if asks_the_same(label.pair, pair)]
    if given and given[0].author != person.name:
        raise InputError(label_text.answered_by(given[0].author, pair.question))


def asks_the_same(one: AnsweredQuestion, other: AnsweredQuestion) -> bool:
    """Return whether two labels are about one question about one image."""
    return (one.image_id, one.question) == (other.image_id, other.question)


def _given_to(person: Person, asked: Asked) -> Label | None:
    """Return the label that a question about an image has now."""
    labels = person.services.store.labels()
    return next((label for label in labels if (label.pair.image_id, label.pair.type_id) == asked), None)


def _switched(person: Person, now: Place, asked: Asked) -> Place:
    """Return the place with another question about the image: to be changed, where this person has answered it."""
    given = _given_to(person, asked)
    if given is not None and given.author != person.name:
        return replace(now, message=label_text.ANSWERED_BY_ANOTHER)
    if given is None and now.split == "test":
        known = {(pair.image_id, pair.type_id) for pair in person.services.store.held_out.questions()}
        if asked in known:
            return replace(now, message=label_text.ANSWERED_BY_THE_DATA)
    chosen = given.pair.answer if given else None
    message = label_text.SHOWN_AGAIN if given else ""
    return replace(now, asked=asked, chosen=chosen, own=None, why=None, message=message, serial=now.serial + 1)


def suggest(person: Person, now: Place, data: dict[str, Any]) -> Place:
    """Return the place with the newest model's suggestion for its question, which half of the questions keep back.

    Raises:
        LeamlError: If there is no model, or it cannot answer.
    """
    person.require("label")
    kind = _kind(person.services, now.asked) if now.split == "pool" else None  # a test is answered unswayed
    if now.asked is None or kind is None or (data.get("image"), data.get("type")) != now.asked:
        return now
    found = person.services.asking.suggest(person.services.image(now.asked[0]), kind)
    message = label_text.suggested(found.answer) if found.shown else label_text.KEPT_BACK
    return replace(now, suggested=(now.asked, found), selected=_selected(data), message=message)


def _selected(data: dict[str, Any]) -> str | None:
    """Return what is chosen on a card that is drawn again: it stays chosen."""
    return str(data["answer"]) if data.get("answer") else None


def _figures(now: Place) -> tuple[float, ...]:
    return now.suggestion.probabilities if now.suggestion and now.suggestion.shown else ()


def _kind(services: Services, asked: Asked | None) -> QuestionType | None:
    project = services.store.project()
    kinds = project.question_types if project else ()
    return next((kind for kind in kinds if asked is not None and kind.id == asked[1]), None)


def picture(services: Services, image_id: ImageId) -> Picture:
    """Return an image, or a clip with its frames, as the page needs it."""
    image = services.image(image_id)
    path = services.image_path(image)
    if not is_video(path):
        return Picture(image.id, image.name, _url(shown_file(path)))
    return Picture(image.id, image.name, _url(cover(path)), tuple(map(_url, picture_files(path))), _url(path))


def _url(path: Path) -> str:
    """Return where the page finds a file; quoted, because `#`, `?`, `%` and blanks mean something else in addresses."""
    return f"/gradio_api/file={quote(str(path))}"


def _answered(services: Services, asked: Asked, data: dict[str, Any]) -> AnsweredQuestion:
    kind = _kind(services, asked)
    if kind is None:
        raise InputError(label_text.QUESTION_GONE)
    missing = text.CHOOSE_FIRST if kind.options else text.NEED_ANSWER
    answer = require_text(str(data.get("answer", "")), missing)
    answer = require_option(answer, kind.options, several=takes_several(kind.question))
    return AnsweredQuestion(asked[0], kind.question, kind.options, answer, kind.id)


def _own_pair(now: Place, image_id: ImageId, data: dict[str, Any]) -> AnsweredQuestion:
    """Return the question that a person wrote, or the label that they change: the question is the same then."""
    question = now.own.question if now.own else require_text(str(data.get("own_question", "")), text.NEED_QUESTION)
    known, several = now.own.options if now.own else (), takes_several(question)
    options = require_options(str(data.get("own_options", "")), known, several=several)
    answer = require_option(str(data.get("own_answer", "")), options, several=several)
    return AnsweredQuestion(image_id, question, options, answer, now.own.type_id if now.own else None)


def _undo(person: Person, now: Place) -> Place:
    """Bring back what was skipped last, or else take back what was labelled last; show a question of theirs again."""
    if now.passed:
        back = now.passed[-1]
        now = replace(now, passed=now.passed[:-1], skipped=now.skipped - {back}, message=label_text.BACK_AGAIN)
        now = replace(now, split=person.services.image(back[0]).split)
        return replace(now, asked=back, chosen=None, own=None, why=None, serial=now.serial + 1)
    if now.filled and (count := person.unlabel_for_me(now.filled)):
        return replace(now, filled=None, asked=None, chosen=None, message=text.taken_back_for_you(count))
    undone, now = person.undo_label(), replace(now, filled=None)
    if undone is None:
        return replace(now, message=text.NOTHING_TO_UNDO)
    message = text.taken_back(undone.pair.answer)
    if undone.pair.type_id is None:
        return replace(_drafted(person, now, undone.pair), message=message)
    asked = (undone.pair.image_id, undone.pair.type_id)
    now = replace(now, split=person.services.image(asked[0]).split, why=None, message=message, serial=now.serial + 1)
    return replace(now, asked=asked, chosen=undone.pair.answer, own=None)


def _drafted(person: Person, now: Place, pair: AnsweredQuestion) -> Place:
    """Return the place with a question of a person's own in its form, beside its image."""
    asked, project = now.asked, person.services.store.project()
    if asked is None or asked[0] != pair.image_id:
        asked = (pair.image_id, next((kind.id for kind in (project.question_types if project else ())), ""))
    given = _given_to(person, asked)
    chosen = given.pair.answer if given and given.author == person.name else ""
    now = replace(now, split=person.services.image(pair.image_id).split, why=None, serial=now.serial + 1)
    return replace(now, asked=asked, chosen=chosen, own=None, draft=pair)


def _shown_again(person: Person, now: Place, event: str) -> Place:
    """Return the place with one of this person's labels, to be changed; saving it is an event of its own."""
    store = person.services.store
    found = [label for label in store.recent_labels(person.name, limit=now.listed) if str(label.event_id) == event]
    if not found:
        return replace(now, message=label_text.LABEL_GONE)
    pair, project = found[0].pair, store.project()
    known = [kind.id for kind in (project.question_types if project else ())]
    split = person.services.image(pair.image_id).split
    now = replace(now, split=split, why=None, message=label_text.SHOWN_AGAIN, serial=now.serial + 1)
    if pair.type_id in known:
        return replace(now, asked=(pair.image_id, str(pair.type_id)), chosen=pair.answer, own=None)
    return replace(now, asked=(pair.image_id, known[0] if known else ""), chosen="", own=pair)


def _history(person: Person, now: Place, labels: Sequence[Label]) -> list[GivenLabel]:
    """Return this person's last labels for their list, each with the answers that its question had before."""
    earlier = person.services.store.earlier_answers(labels)
    return [_given(person.services, label, earlier.get(label.event_id, []), now) for label in labels]


def _given(services: Services, label: Label, earlier: Sequence[str], now: Place) -> GivenLabel:
    pair, shown = label.pair, picture(services, label.pair.image_id)
    is_shown = now.own == pair or (now.own is None and now.asked == (pair.image_id, pair.type_id))
    before = tuple(answer for answer in dict.fromkeys(earlier) if answer != pair.answer)
    return GivenLabel(label.event_id, shown.name, shown.url, pair.question, pair.answer, is_shown, before)
