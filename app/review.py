"""The Review screen: one pseudo pair at a time, decided by one key.

Every decision carries the id of the pair that was on the screen; one about a pair that is decided or gone is left
aside, so that a double press cannot hit the next card. The next pair is shown after the decision is committed.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import gradio as gr

from app import review_text, text
from app.cards import ReviewCard, review_screen
from app.errors import InputError, shown_to_people
from app.label import picture
from app.person import Person, who
from app.review_desk import Desk, act_on_desk, draw_closed, draw_desk
from app.review_filters import empty_filter, filter_row, read_filter
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
from app.services import Services
from app.view import button, empty_state, go_button
from leaml.prompts import takes_several
from leaml.records import (
    EVERYTHING,
    REJECT_REASONS,
    AnsweredQuestion,
    Candidate,
    Caption,
    Offer,
    Reading,
    Review,
    ReviewAction,
    ReviewCounts,
    Slice,
)
from leaml.store.queue_order import LABELLED

AHEAD = 4
"""Pairs looked up at once: the one on the screen, and those whose images the browser loads already."""
WAITING_TICK_S = 3.0
"""How often a page that has no pair to show asks whether there are any."""


@dataclass(frozen=True)
class Place:
    """Where one browser tab is.

    Attributes:
        shown: Id of the pair on its screen.
        seen: What the card showed when it was drawn: it is kept with the decision, whatever has come in since.
        message: What just happened.
        serial: Counts the cards shown.
        within: What the queue is narrowed to.
    """

    shown: str = ""
    seen: str = ""
    message: str = ""
    serial: int = 0
    within: Slice = EVERYTHING


def build(services: Services, header: gr.HTML) -> Screen:
    """Build the screen in the current tab."""
    place, desk = gr.State(Place()), gr.State(Desk())
    # Whoever waits for pairs sees them come; a page with a card on it does not ask.
    card = panel("review-panel", tick_s=WAITING_TICK_S, tick_while=".empty")
    below = panel("review-desk", draw_closed())

    def redraw(now: Place, request: gr.Request) -> tuple[Place, str, str]:
        person = who(services, request.username)
        now, html = look(person, now)
        return now, html, header_of(person)

    def act(now: Place, event: gr.EventData, request: gr.Request) -> tuple[Place, str, str]:
        return redraw(decide(who(services, request.username), now, event._data), request)

    def tick(now: Place, request: gr.Request) -> tuple[Place, str, str]:
        services.note_finished()
        return redraw(now, request)  # without pairs, too: the generator may have failed meanwhile

    def oversee(table: Desk, event: gr.EventData, request: gr.Request) -> tuple[Desk, str]:
        person = who(services, request.username)
        table = act_on_desk(person, table, event._data)
        return table, draw_desk(person, table)

    shown = [place, card, header]
    on_act("review", card, act, [place], shown)
    card.tick(shown_to_people(tick), [place], shown, trigger_mode="multiple", **in_turn("review"))
    # The desk takes turns of its own: nobody's next card waits while it counts a million pairs.
    overseen = on_act("review-desk", below, oversee, [desk], [desk, below])
    overseen.success(shown_to_people(redraw), [place], shown, **in_turn("review"))
    # Coming back leaves the desk alone: a drawing anew that ends late would close what was opened meanwhile.
    return Screen(redraw, [place], shown)


def look(person: Person, now: Place) -> tuple[Place, str]:
    """Return the place with the pair that comes next, and the screen's HTML."""
    services = person.services
    offers, counts = _offers_to(person, now), services.store.queue.counts()
    project = services.store.project()
    types = project.question_types if project else ()
    if not offers:
        left = services.store.queue.size(now.within)
        return replace(now, shown="", seen=""), _nothing(services, counts, now.within, left)
    candidate = offers[0].candidate
    if candidate.id != now.shown:
        now = replace(now, shown=candidate.id, serial=now.serial + 1)
    caption, readings = services.store.captions.newest(candidate.image_id), _readings(person, offers[0])
    now = replace(now, seen=what_was_shown(candidate, caption, readings))
    left = services.store.queue.size(now.within) if now.within != EVERYTHING else counts.open
    filters = filter_row(now.within, [kind.id for kind in types], left=left)
    html = review_screen(
        ReviewCard(
            serial=f"{now.serial}",
            picture=picture(services, candidate.image_id),
            candidate=candidate,
            caption=caption.text if caption else None,
            counts=counts,
            types=types,
            most_options=max((len(kind.options) for kind in types), default=len(candidate.options)),
            ratio=services.image_ratio(),
            message=now.message,
            preload=[picture(services, offer.candidate.image_id).url for offer in offers[1:]],
            readings=readings,
            filters=filters,
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
        message = _taken_back(person, undone) if undone else text.NOTHING_TO_UNDO
        return replace(now, message=message, shown=undone.id if undone else "", serial=now.serial + 1)
    if data.get("act") in ("filter", "show_all"):
        project = person.services.store.project()
        types = [kind.id for kind in (project.question_types if project else ())]
        within = read_filter(data, types) if data["act"] == "filter" else EVERYTHING
        return replace(now, within=within, shown="", message="")
    if not now.shown or data.get("candidate") != now.shown:
        return now
    offer = _still_offered(person, now.shown)
    if offer is None:
        gone = review_text.LABELLED_MEANWHILE if _is_labelled(person, now.shown) else text.CARD_GONE
        return replace(now, message=gone, shown="")
    review = read_decision(offer.candidate, data, author=person.name)
    person.add_review(replace(review, drawn=offer.drawn, within=now.within, shown=now.seen))
    return replace(now, message=text.SKIPPED if review.action == "skip" else text.SAVED, shown="")


def what_was_shown(candidate: Candidate, caption: Caption | None, readings: Sequence[Reading] = ()) -> str:
    """Return what a card shows of a pair, as JSON: a decision is kept with what it was about."""
    shown = {name: getattr(candidate, name) for name in ("question", "options", "answer", "agreement", "round")}
    figures = [round(figure, 4) for figure in candidate.option_probabilities]
    shown |= {"figures": figures, "caption": caption.text if caption else None}
    if readings:
        shown["readings"] = [asdict(found) for found in readings]
    return json.dumps(shown, sort_keys=True)


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
        chosen, several = str(data.get("answer", candidate.answer)), takes_several(candidate.question)
        pair = replace(shown, answer=require_option(chosen, candidate.options, several=several))
    elif act == "edit":
        question = require_text(str(data.get("edit_question", "")), text.NEED_QUESTION)
        several = takes_several(question)
        options = require_options(str(data.get("edit_options", "")), shown.options, several=several)
        answer = require_option(str(data.get("edit_answer", "")), options, several=several)
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
    return Review(candidate.id, action, pair, reason, author, read_seconds(data))


def _still_offered(person: Person, candidate_id: str) -> Offer | None:
    """Return the pair if this person may still decide about it, and nobody else was given it meanwhile."""
    store = person.services.store
    if candidate_id in store.leases.held_by_others("review", person.name):
        return None
    return store.queue.offered(candidate_id, person.reader)


def _is_labelled(person: Person, candidate_id: str) -> bool:
    """Return whether a pair is set aside, because its question has a label."""
    standing = person.services.store.queue.standing(candidate_id)
    return standing is not None and standing.action == LABELLED


def _taken_back(person: Person, undone: Candidate) -> str:
    """Say what was undone, and why its card does not come back where it does not."""
    said = text.taken_back(undone.answer)
    return review_text.but_labelled(said) if _is_labelled(person, undone.id) else said


def _readings(person: Person, offer: Offer) -> Sequence[Reading]:
    """Return what two readers who differ decided; nothing where the pair is not about to be settled between them."""
    return person.services.store.checks.differing(offer.candidate.id) if offer.drawn == "adjudication" else ()


def _offers_to(person: Person, now: Place) -> list[Offer]:
    """Return the next pairs for a person, who alone is given the first; one that is on the screen stays there."""
    store, offers = person.services.store, list[Offer]()

    def choose(others: set[str]) -> str | None:
        found = store.queue.offers(person.reader, limit=AHEAD, within=now.within, others=others)
        if now.shown and now.shown not in others and (shown := store.queue.offered(now.shown, person.reader)):
            found = [shown, *(offer for offer in found if offer.candidate.id != now.shown)]
        offers[:] = found[:AHEAD]
        return offers[0].candidate.id if offers else None

    store.leases.give("review", person.name, choose)
    return offers


def _nothing(services: Services, counts: ReviewCounts, within: Slice, left: int) -> str:
    """Return what the screen shows when there is no pair for this person; `left` pairs of the slice are open."""
    if counts.open and within != EVERYTHING:
        project = services.store.project()
        return empty_filter(within, [kind.id for kind in (project.question_types if project else ())], left=left)
    undo = button(text.UNDO, key="u", data_act="undo")
    if counts.open:
        go = go_button(text.GO_LABEL, "label")
        return empty_state(text.REVIEW_WITH_OTHERS_TITLE, text.REVIEW_WITH_OTHERS, go + undo)
    if counts.accepted + counts.edited + counts.rejected:
        return empty_state(text.REVIEW_DONE_TITLE, text.REVIEW_DONE, go_button(text.GO_TRAIN, "train") + undo)
    title, said = text.REVIEW_EMPTY_TITLE, text.REVIEW_EMPTY
    if services.writes_pairs():
        title, said = text.REVIEW_SOON_TITLE, text.REVIEW_SOON
    elif services.store.results.generator():  # has written pairs, but none is open and nobody has decided about any
        title, said = review_text.ALL_LABELLED_TITLE, review_text.ALL_LABELLED
    return empty_state(title, said, go_button(text.GO_TRAIN, "train"))
