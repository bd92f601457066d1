"""Parts of the Label screen as HTML: the field of an open answer, and the list of one's last labels. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from app import label_text, text
from app.view import attributes, button
from leaml.records import Split


@dataclass(frozen=True)
class GivenLabel:
    """A label of this person, as the list of the last ones shows it.

    Attributes:
        event_id: Of the event that last set it.
        name: Of the image's file.
        url: Of the image.
        question: As it was asked.
        answer: As it stands.
        shown: Whether it is the label on the screen.
        before: Other answers that it had before.
    """

    event_id: int
    name: str
    url: str
    question: str
    answer: str
    shown: bool
    before: tuple[str, ...] = ()


def split_switch(split: Split, progress: str) -> str:
    """Return the line above the question that says what its answer is for, with the switch, and how far one is."""
    sides = "".join(split_button(side, chosen=side == split) for side in label_text.SPLITS)
    group = attributes({"role": "group", "aria_label": label_text.WHAT_FOR})
    return f'<div class="eyebrow"><span class="sides"{group}>{sides}</span><span>{escape(progress)}</span></div>'


def split_button(split: Split, *, chosen: bool | None = None) -> str:
    """Return the button that goes on with the answers of a split."""
    pressed = None if chosen is None else str(chosen).lower()
    kind = "link" if chosen is not None else ""
    return button(label_text.SPLITS[split], kind=kind, data_act="split", data_to=split, aria_pressed=pressed)


def answer_field(answer: str) -> str:
    """Return the field for the answer to an open question; it has the focus on every new card."""
    values = {
        "type": "text",
        "name": "answer",
        "value": answer,
        "autocomplete": "off",
        "dir": "auto",
        "data_focus": True,
    }
    return f'<label class="typed">{label_text.TYPE_ANSWER}<input{attributes(values)}></label>'


def history_panel(labels: Sequence[GivenLabel], *, has_more: bool) -> str:
    """Return the foldable list of one's last labels; a click shows one again. Nothing before the first label."""
    if not labels:
        return ""
    rows = "".join(_given(label) for label in labels)
    more = button(label_text.MORE, kind="link", data_act="more") if has_more else ""
    return (
        f'<details class="card fold history" data-fold="history"><summary>{label_text.HISTORY}</summary>'
        f'<p class="soft small">{label_text.HISTORY_LEAD}</p><div class="given">{rows}</div>{more}</details>'
    )


def _given(label: GivenLabel) -> str:
    values = {
        "type": "button",
        "data_act": "show",
        "data_event": str(label.event_id),
        "aria_current": "true" if label.shown else None,
    }
    picture = f'<img src="{escape(label.url)}" alt="{escape(text.image_alt(label.name))}" loading="lazy">'
    before = f"<small>{escape(label_text.before(label.before))}</small>" if label.before else ""
    said = f"<span>{escape(label.question)}<b>{escape(label.answer)}</b>{before}</span>"
    return f"<button{attributes(values)}>{picture}{said}</button>"
