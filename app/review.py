"""The Review screen: one pseudo pair at a time, decided by one key.

Every decision carries the id of the pair that was on the screen; one about a pair that is decided or gone is left
aside, so that a double press cannot hit the next card. The next pair is shown after the decision is committed.
"""

from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from app import text
from app.cards import ReviewCard, review_screen
from app.errors import InputError
from app.label import picture
from app.person import Person, who
from app.screen import Screen, header_of, on_act, panel, require_option, require_text, typed_options
from app.services import Services
from app.view import empty_state, go_button
from leaml.records import REJECT_REASONS, AnsweredQuestion, Candidate, Review, ReviewAction

AHEAD = 4
"""Pairs looked up at once: the one on the screen, and those whose images the browser loads already."""


@dataclass(frozen=True)
class Place:
    """Where one browser tab is.

    Attributes:
        shown: Id of the pair on its screen.
        message: What just happened.
        serial: Counts the cards shown.
    """

    shown: str = ""
    message: str = ""
    serial: int = 0


def build(services: Services, header: gr.HTML) -> Screen:
    """Build the screen in the current tab."""
    place = gr.State(Place())
    card = panel("review-panel")

    def redraw(now: Place, request: gr.Request) -> tuple[Place, str, str]:
        person = who(services, request.username)
        now, html = look(person, now)
        return now, html, header_of(person)

    def act(now: Place, event: gr.EventData, request: gr.Request) -> tuple[Place, str, str]:
        return redraw(decide(who(services, request.username), now, event._data), request)

    on_act("review", card, act, [place], [place, card, header])
    return Screen(redraw, [place], [place, card, header])


def look(person: Person, now: Place) -> tuple[Place, str]:
    """Return the place with the pair that comes next, and the screen's HTML."""
    services = person.services
    queue = _queue_of(person)
    counts = services.store.review_counts()
    if not queue:
        if counts.open:
            go = go_button(text.GO_LABEL, "label")
            return now, empty_state(text.REVIEW_WITH_OTHERS_TITLE, text.REVIEW_WITH_OTHERS, go)
        if counts.accepted + counts.edited + counts.rejected:
            return now, empty_state(text.REVIEW_DONE_TITLE, text.REVIEW_DONE, go_button(text.GO_TRAIN, "train"))
        return now, empty_state(text.REVIEW_EMPTY_TITLE, text.REVIEW_EMPTY, go_button(text.GO_TRAIN, "train"))
    candidate = queue[0]
    if candidate.id != now.shown:
        now = replace(now, shown=candidate.id, serial=now.serial + 1)
    project = services.store.project()
    caption = services.store.caption(candidate.image_id)
    most = max((len(kind.options) for kind in (project.question_types if project else ())), default=0)
    html = review_screen(
        ReviewCard(
            serial=f"{now.serial}",
            picture=picture(services, candidate.image_id),
            candidate=candidate,
            caption=caption.text if caption else None,
            counts=counts,
            most_options=max(most, len(candidate.options)),
            ratio=services.image_ratio(),
            message=now.message,
            preload=[picture(services, other.image_id).url for other in queue[1:]],
        )
    )
    return now, html


def decide(person: Person, now: Place, data: dict[str, Any]) -> Place:
    """Save a decision, and return the place after it. A decision on another card than the one shown is left aside.

    Raises:
        LeamlError: If what was typed cannot be used, or cannot be saved.
    """
    person.require("review")
    if data.get("act") == "undo":
        undone = person.undo_review()
        message = text.taken_back(undone.answer) if undone else text.NOTHING_TO_UNDO
        return replace(now, message=message, shown="", serial=now.serial + 1)
    candidate = _open_candidate(person, str(data.get("candidate", "")))
    if candidate is None or candidate.id != now.shown:
        return replace(now, message=text.CARD_GONE) if data.get("candidate") == now.shown else now
    review = read_decision(candidate, data, author=person.name)
    person.add_review(review)
    return replace(now, message=text.SAVED)


def read_decision(candidate: Candidate, data: dict[str, Any], *, author: str) -> Review:
    """Return the decision that the page sent about a candidate. Accepting with another answer chosen is an edit.

    Raises:
        InputError: If the edited pair cannot be used.
    """
    act = str(data.get("act"))
    shown = AnsweredQuestion(
        candidate.image_id, candidate.question, candidate.options, candidate.answer, candidate.type_id
    )
    pair, reason = shown, None
    if act == "accept" and candidate.options:
        pair = replace(shown, answer=require_option(str(data.get("answer", candidate.answer)), candidate.options))
    elif act == "edit":
        question = require_text(str(data.get("edit_question", "")), text.NEED_QUESTION)
        options = typed_options(str(data.get("edit_options", "")))
        answer = require_option(str(data.get("edit_answer", "")), options)
        # Another question is not of the old question's type any more.
        same = (question, options) == (shown.question, shown.options)
        pair = AnsweredQuestion(shown.image_id, question, options, answer, shown.type_id if same else None)
    elif act == "reject":
        reason = next((known for known in REJECT_REASONS if known == data.get("reason")), None)
        if reason is None:
            raise InputError(text.WHY_REJECT)
    action: ReviewAction = "edit" if pair != shown else "accept"
    if act in ("reject", "skip"):
        action = "reject" if act == "reject" else "skip"
    return Review(candidate.id, action, pair, reason, author, float(data.get("seconds", 0.0)))


def _open_candidate(person: Person, candidate_id: str) -> Candidate | None:
    """Return the candidate if nobody has decided on it yet, and nobody else was given it meanwhile."""
    store = person.services.store
    if candidate_id in store.leases.held_by_others("review", person.name):
        return None
    return next((found for found in store.review_queue(limit=1_000_000) if found.id == candidate_id), None)


def _queue_of(person: Person) -> list[Candidate]:
    """Return the next pairs for a person, who alone is given the first."""
    store, queue = person.services.store, list[Candidate]()

    def choose(others: set[str]) -> str | None:
        open_pairs = store.review_queue(limit=AHEAD + len(others))
        queue[:] = [candidate for candidate in open_pairs if candidate.id not in others][:AHEAD]
        return queue[0].id if queue else None

    store.leases.give("review", person.name, choose)
    return queue
