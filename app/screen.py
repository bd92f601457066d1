"""How a screen is wired: a panel of our own HTML that sends its clicks, and what redraws it. Used by every screen."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from math import isfinite
from typing import Any, Literal

import gradio as gr
from gradio.context import Context

from app import label_text, neighbours_text, text
from app.errors import InputError, shown_to_people
from app.person import Person
from app.view import header
from leaml.prompts import SEPARATOR, match_answer, normalise_answer


@dataclass(frozen=True)
class Screen:
    """What redraws a screen when its tab is opened or the page is loaded.

    Attributes:
        redraw: Returns the new values of `outputs`.
        inputs: What it is called with.
        outputs: The components it fills.
    """

    redraw: Callable[..., Any]
    inputs: Sequence[Any]
    outputs: Sequence[Any]


def panel(elem_id: str, html: str | None = None, *, tick_s: float | None = None, tick_while: str = "") -> gr.HTML:
    """Return a panel, empty at first or with `html` in it: its buttons with `data-act` raise `act`, or `slow`.

    What they send is put together in assets/app.js, which also raises `wake`, for no answer but that the page listens.

    Args:
        elem_id: Names it in the page.
        html: What is in it at first.
        tick_s: How often it raises `tick` while its tab is open, seconds; never without.
        tick_while: CSS selector of what must be in it for that; anything without.
    """
    attached = "leaml.attach(element, trigger, watch, ['act', 'slow', 'wake'])"
    if tick_s is not None:  # Gradio's own timer goes on when another tab is opened
        attached += f"; leaml.tick(element, trigger, {tick_s:g}, {json.dumps(tick_while)})"
    made = gr.HTML(html, elem_id=elem_id, apply_default_css=False, js_on_load=attached)
    # Of several that wait none is left out: each may be the one that is heard.
    made.wake(lambda: None, trigger_mode="multiple", **in_turn("wake") | {"concurrency_limit": None})
    return made


def in_turn(screen: str) -> dict[str, Any]:
    """Return the settings of every event of a screen.

    They take turns: a redraw that began before a decision must not end after it and bring the old card back. No veil
    lies over the outputs meanwhile, and none is part of the public API.
    """
    return {
        "concurrency_id": screen,
        "concurrency_limit": 1,
        "show_progress": "hidden",
        "api_visibility": "private",
    }


def on_act(
    screen: str,
    source: gr.HTML,
    handler: Callable[..., Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    *,
    after: Callable[..., Any] | None = None,
    event: Literal["act", "slow"] = "act",
) -> Any:
    """Call the handler with `inputs` and what the pressed button carries; then the panel hears keys again.

    Returns Gradio's event of the handler, or of `after`, for what follows it elsewhere on the page.

    Args:
        screen: Name of the screen whose events take turns.
        source: The panel.
        handler: Its last parameter is a `gr.EventData`.
        inputs: What it is called with.
        outputs: What it fills.
        after: Called next with `inputs`, for what takes longer; it fills the same outputs. It takes turns of its own:
            nobody else waits for it, and this panel hears nothing until it has ended.
        event: `slow` for buttons with `data-by="slow"`: they take turns of their own, so nobody else waits for them.
    """
    release = f"() => leaml.release('{source.elem_id}')"
    handler = of_this_app(handler, Context.root_block)
    turn = in_turn(screen if event == "act" else f"{screen} {event}")
    done = getattr(source, event)(shown_to_people(handler), list(inputs), list(outputs), **turn)
    done.failure(None, js=release)
    if after is not None:
        done = done.then(shown_to_people(after), list(inputs), list(outputs), **in_turn(f"{screen} after"))
        done.failure(None, js=release)
    done.then(None, js=release)
    return done


def of_this_app(handler: Callable[..., Any], page: gr.Blocks | None) -> Callable[..., Any]:
    """Return the handler, which refuses a page that was loaded before another project was opened in its place."""

    @wraps(handler)
    def checked(*arguments: Any, **named: Any) -> Any:
        sent = next(one._data for one in (*arguments, *named.values()) if isinstance(one, gr.EventData))
        # The page reads the number from JSON, where it loses its last digits.
        if page is not None and "app" in sent and float(sent["app"]) != float(page.app_id):
            raise InputError(neighbours_text.OTHER_PROJECT)
        return handler(*arguments, **named)

    return checked


def header_of(person: Person) -> str:
    """Return the header with the project's name, the counts beside the tabs, and who has signed in."""
    services = person.services
    project = services.store.project()
    counts = {"label": str(services.label_count() or ""), "review": str(services.open_count() or "")}
    signed_in = person.name if person.signed_in else ""
    return header(project.name if project else "", counts if project else {}, signed_in=signed_in)


def read_seconds(data: dict[str, Any]) -> float:
    """Return how long a card was looked at, as the page counted it; 0 where that is no time at all."""
    seconds = float(data.get("seconds", 0.0))
    return seconds if isfinite(seconds) and seconds >= 0 else 0.0


def typed_parts(line: str, between: str = "|") -> tuple[str, ...]:
    """Return what a person typed with | between."""
    return tuple(part.strip() for part in line.split(between) if part.strip())


def typed_options(line: str) -> tuple[str, ...]:
    """Return the answers that a person typed with | between them, or with commas where there is no |."""
    return typed_parts(line) if "|" in line else typed_parts(line, ",")


def require_options(line: str, before: Sequence[str], *, several: bool) -> tuple[str, ...]:
    """Return the answers that a person typed in a line, which may stay as they were before.

    Args:
        line: See `typed_options`; empty for an open question.
        before: Those that the question had.
        several: Whether an answer may be several of them at once.

    Raises:
        InputError: If there is one only, or the same twice, or one cannot be told from several.
    """
    options = typed_options(line)
    if options == tuple(before):
        return options
    if len(options) == 1:
        raise InputError(label_text.one_option(options[0]))
    if len({*map(normalise_answer, options)}) < len(options):
        raise InputError(label_text.OPTION_TWICE)
    if several and any(SEPARATOR.strip() in option for option in options):
        raise InputError(label_text.OPTION_WITH_SEMICOLON)
    return options


def require_text(value: str, otherwise: str) -> str:
    """Return what was typed without blanks at its ends.

    Raises:
        InputError: With the sentence `otherwise`, if nothing was typed.
    """
    if not value.strip():
        raise InputError(otherwise)
    return value.strip()


def require_option(answer: str, options: Sequence[str], *, several: bool) -> str:
    """Return the answer as it is kept if it is one of the options, or if there are none.

    Args:
        answer: What was chosen or typed.
        options: Empty for an open question.
        several: Whether it may be several of them at once, with semicolons between.

    Raises:
        InputError: If it is another one.
    """
    answer = require_text(answer, text.NEED_ANSWER)
    kept = match_answer(answer, options, several=several) if options else answer
    if kept is None:
        raise InputError(text.not_an_option(answer, options))
    return kept
