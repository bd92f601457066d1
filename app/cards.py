"""The cards of Label and Review as HTML. Pure functions of plain values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil

from app import label_text, review_text, text
from app.label_parts import GivenLabel, answer_field, history_panel, split_switch
from app.view import (
    Picture,
    attributes,
    bar,
    button,
    eyebrow,
    go_button,
    image_box,
    kbd,
    key_help,
    note,
    short_type,
)
from app.view import field as text_field
from leaml.prompts import SEPARATOR, takes_several
from leaml.records import REJECT_REASONS, AnsweredQuestion, Candidate, QuestionType, Reading, ReviewCounts, Split

OPTION_HEIGHT_PX = 50
OTHERS_ROW_PX = 26
"""Height of a row of links to other questions, about three of which fit into one."""
BELOW_OPTIONS_PX = 150
"""Room for the second opinion and the caption, which takes what the options leave."""
MORE_CAPTION_PX = 60
"""Three more lines of the caption, where the window has room for them."""
AROUND_PX = 550
"""Height of all that is above and below them, when image and card are side by side."""


@dataclass(frozen=True)
class LabelCard:
    """What the Label screen shows.

    Attributes:
        serial: Changes whenever another question is shown.
        picture: The image.
        current: The question type asked; None asks a free question.
        types: All question types of the project.
        split: What answers are given for; None where only those to learn from are wanted.
        chosen: An answer chosen already, after an undo.
        counts: Labels by question type id; None holds free questions.
        budget: Answers that make a good start.
        enough: What is said once there are so many.
        history: This person's last labels, the newest first.
        has_more: Whether there are more labels of this person than listed.
        own: A label outside the question types, to be changed.
        draft: One that was taken back: what was typed stands in the form again.
        last_own: This person's last question of their own, which may be asked of this image too.
        why: Why this image was chosen, as a sentence.
        figures: What a model thinks of each option, where it was asked.
        can_suggest: Whether there is a model to ask.
        ratio: Width to height of the project's usual image: the box keeps it from card to card.
        message: What just happened.
        for_me: How many questions the reference answers could still label; 0 hides the offer.
        preload: URLs of the images that come next.
    """

    serial: str
    picture: Picture
    current: QuestionType | None
    types: Sequence[QuestionType]
    chosen: str | None
    counts: dict[str | None, int]
    budget: int
    enough: str
    history: Sequence[GivenLabel] = ()
    has_more: bool = False
    own: AnsweredQuestion | None = None
    draft: AnsweredQuestion | None = None
    last_own: AnsweredQuestion | None = None
    why: str = ""
    figures: Sequence[float] = ()
    can_suggest: bool = False
    split: Split | None = None
    ratio: float = 4 / 3
    message: str = ""
    for_me: int = 0
    preload: Sequence[str] = field(default=())


@dataclass(frozen=True)
class ReviewCard:
    """What the Review screen shows.

    Attributes:
        types: All question types of the project.
        most_options: Keeps the buttons in place from card to card.
        readings: What two readers decided who differ about it; empty where none do.
        filters: The row of filters as HTML.
    """

    serial: str
    picture: Picture
    candidate: Candidate
    caption: str | None
    counts: ReviewCounts
    types: Sequence[QuestionType]
    most_options: int
    ratio: float = 4 / 3
    message: str = ""
    preload: Sequence[str] = field(default=())
    readings: Sequence[Reading] = ()
    filters: str = ""


def label_screen(card: LabelCard) -> str:
    """Return the Label screen with one question."""
    done = sum(card.counts.values())
    current = card.current
    title = current.question if current else text.OWN_QUESTION
    several = takes_several(title)
    options = option_list(
        current.options if current else (), about=title, chosen=card.chosen, figures=card.figures, several=several
    )
    is_open = current is not None and not current.options
    if is_open:
        options = answer_field(card.chosen or "")
    height = OPTION_HEIGHT_PX * max((len(kind.options) for kind in card.types), default=0)
    others_px = OTHERS_ROW_PX * ceil((len(card.types) + 2) / 3)
    others = "".join(_type_link(kind, card.counts.get(kind.id, 0), kind == current) for kind in card.types)
    own = "" if card.split == "test" else button(text.WRITE_OWN, kind="link", key="o", data_local="own")
    progress = text.of(done, card.budget)
    heading = split_switch(card.split, progress) if card.split else eyebrow(text.YOUR_LABEL, progress)
    data = {"card": True, "serial": card.serial, "image": card.picture.id, "type": current.id if current else ""}
    data["opens"] = "own" if card.own or card.draft else None
    actions = (
        f'<div class="acts two">{button(text.SAVE_NEXT, kind="go", key="enter", data_act="save", data_typed=is_open)}'
        f"{button(text.SKIP, key='s', data_act='skip')}</div>"
    )
    return (
        f'<div class="screen" data-serial="{card.serial}" data-preload="{escape(" ".join(card.preload))}">'
        f'<div class="split" style="--ratio:{card.ratio:.3f}"><div class="looked">'
        f'{image_box(card.picture)}<p class="why small soft">{escape(card.why)}</p></div>'
        f'<section class="card ask labelling"{_data(data)}>{heading}'
        f'<h1 class="plain">{escape(title)}</h1>{_definition(current, card.types)}'
        f'<div class="middle" style="--middle:{height + others_px}px">'
        f'<div class="plain" style="min-height:{height}px">{options}</div>'
        f'<div class="others plain"><span>{text.OTHER_QUESTION}</span>{others}{own}</div>{_own_panel(card)}</div>'
        f'<div class="stage"><div class="plain">{actions}</div></div>'
        f"{bar(done / card.budget, label=text.YOUR_LABEL)}{_label_foot(card)}{_label_offer(card, done)}"
        f"</section></div>{history_panel(card.history, has_more=card.has_more)}"
        f'<p class="only-busy" role="status">{label_text.SUGGESTING}</p>'
        f"{key_help('label', clip=bool(card.picture.frames))}</div>"
    )


def review_screen(card: ReviewCard) -> str:
    """Return the Review screen with one candidate."""
    candidate, counts = card.candidate, card.counts
    kind = next((kind for kind in card.types if kind.id == candidate.type_id), None)
    decided = counts.accepted + counts.edited + counts.rejected
    total = decided + counts.open
    options = option_list(
        candidate.options,
        about=candidate.question,
        chosen=candidate.answer,
        figures=candidate.option_probabilities,
        several=takes_several(candidate.question),
    )
    if not candidate.options:
        options = f'<div class="opt on"><span>{escape(candidate.answer)}</span></div>'
    caption = escape(card.caption) if card.caption else f"<em>{text.NO_CAPTION}</em>"
    data = {"card": True, "serial": card.serial, "candidate": candidate.id, "given": candidate.answer}
    written = (
        f"{text.PSEUDO} · {text.round_number(candidate.round)} · {review_text.confidence(candidate.log_probability)}"
    )
    return (
        f'<div class="screen" data-serial="{card.serial}" data-preload="{escape(" ".join(card.preload))}">'
        f'<div class="split" style="--ratio:{card.ratio:.3f}">{image_box(card.picture)}'
        f'<section class="card ask"{_data(data)}>'
        f"{eyebrow(review_text.DISPUTED if card.readings else written, text.of(min(decided + 1, total), total))}"
        f'<h1 class="plain">{escape(candidate.question)}</h1>{_definition(kind, card.types)}'
        f'<div class="middle" style="--middle:{_middle(card.most_options)}">'
        f'<div class="plain">{options}<p class="small soft second">{_below_options(card)}</p></div>'
        f"{_edit_panel(candidate)}"
        f'<div class="cap"><b>{text.CAPTION}</b>{caption}</div></div>'
        f'<div class="stage">{_review_actions()}{_reject_panel()}</div>'
        f"{bar(decided / max(1, total), label=text.TABS['review'])}"
        f'<div class="foot">{_counts(counts)}<span class="end saved">{escape(card.message)}</span></div>'
        f"</section></div>{card.filters}{key_help('review', clip=bool(card.picture.frames))}</div>"
    )


def _middle(most_options: int) -> str:
    """Return the height of what is between question and buttons, the same for all cards: the buttons stay in place."""
    least = OPTION_HEIGHT_PX * most_options + BELOW_OPTIONS_PX
    beside = "(100vw - 1000px) * 99"  # nothing more where the card is below the image
    return f"max({least}px,min({least + MORE_CAPTION_PX}px,100vh - {AROUND_PX}px,{beside}))"


def option_list(
    options: Sequence[str], *, about: str, chosen: str | None, figures: Sequence[float] = (), several: bool = False
) -> str:
    """Return the answers to choose from about a question, with their number keys and what a model thinks of each."""
    rows = []
    named = (chosen or "").split(SEPARATOR) if several else [chosen]
    for index, option in enumerate(options):
        figure = f"<i>{figures[index]:.2f}</i>".replace("0.", ".", 1) if index < len(figures) else ""
        values = {
            "type": "button",
            "class": "opt",
            "role": "checkbox" if several else "radio",
            "aria_checked": "true" if option in named else "false",
            "data_local": "choose",
            "data_value": option,
            "data_key": str(index + 1) if index < 9 else None,
        }
        key = kbd(str(index + 1)) if index < 9 else ""
        rows.append(f"<button{attributes(values)}>{key}<span>{escape(option)}</span>{figure}</button>")
    role = "group" if several else "radiogroup"
    return f'<div class="opts"{attributes({"role": role, "aria_label": about})}>{"".join(rows)}</div>' if rows else ""


def _data(values: dict[str, object]) -> str:
    return attributes({f"data_{name}": value for name, value in values.items()})


def _own_panel(card: LabelCard) -> str:
    """Return the fields of a question of one's own: as it is changed or was taken back, or the last one, unanswered."""
    typed = card.own or card.draft
    given = typed or card.last_own
    question, options = (given.question, " | ".join(given.options)) if given else ("", "")
    answer = typed.answer if typed else ""
    asked = text_field(text.OWN_QUESTION, "own_question", question, fixed=card.own is not None)
    return (
        f'<div class="panel own">{asked}'
        f"{text_field(text.OWN_OPTIONS, 'own_options', options)}{text_field(text.OWN_ANSWER, 'own_answer', answer)}"
        f'<div class="acts two">{button(text.OWN_SAVE, kind="go", key="enter", data_act="own")}'
        f"{button(text.BACK, key='escape', shown_key='Esc', data_local='back')}</div></div>"
    )


def _type_link(kind: QuestionType, count: int, current: bool) -> str:
    """Return the link to another question about the same image, with how often that is answered."""
    values = {
        "type": "button",
        "class": "link",
        "data_act": "switch",
        "data_to": kind.id,
        "aria_current": "true" if current else None,
    }
    return f"<button{attributes(values)}><span>{escape(short_type(kind.id))}</span><small>{count}</small></button>"


def _label_foot(card: LabelCard) -> str:
    own = card.counts.get(None, 0)
    undo = button(text.UNDO, kind="link", key="u", data_act="undo")
    if card.can_suggest and card.own is None:
        undo = button(label_text.SUGGEST, kind="link", key="g", data_act="suggest", data_by="slow") + undo
    return (
        f'<div class="foot"><span class="saved">{escape(card.message)}</span>'
        f"<span>{text.own_questions(own)}</span>"
        f'<span class="end">{undo}</span></div>'
    )


def _label_offer(card: LabelCard, done: int) -> str:
    """Return the line at the card's foot: train now, or let the reference answers label."""
    if done >= card.budget:
        return note(card.enough, action=go_button(text.GO_TRAIN, "train", kind="go compact"))
    return label_offer(card.for_me)


def label_offer(count: int) -> str:
    """Return the offer to newcomers to let the reference answers label; nothing where there is none left."""
    if not count:
        return ""
    return note(text.NEW_HERE, action=button(text.label_for_me(count), kind="compact", data_act="fill"))


def _definition(kind: QuestionType | None, types: Sequence[QuestionType]) -> str:
    """Return how the answers are told apart; its room is kept where any question of the project says so."""
    if not any(other.definition for other in types):
        return ""
    return f'<p class="definition plain small soft">{escape(kind.definition if kind else "")}</p>'


def _below_options(card: ReviewCard) -> str:
    """Return what others think of the answer: two readers who differ, else the second model."""
    if card.readings:
        return f'<span class="look">{escape(review_text.differing(card.candidate.question, card.readings))}</span>'
    return _second_opinion(card.candidate)


def _second_opinion(candidate: Candidate) -> str:
    if not candidate.option_probabilities or not candidate.options:
        return text.NO_PROBABILITIES if not candidate.options else ""
    ranked = max(zip(candidate.option_probabilities, candidate.options, strict=False))
    if ranked[1] != candidate.answer:
        return f'<span class="look">{escape(text.disagrees(ranked[1]))}</span>'
    return text.PROBABILITIES


def _review_actions() -> str:
    accept = (
        f'<button type="button" class="go" data-act="accept" data-key="a enter" data-enter="changed">'
        f'<span class="only-same">{text.ACCEPT}</span><span class="only-changed">{review_text.SAVE}</span>'
        f"{kbd('A')}</button>"
    )
    main = (
        accept
        + button(text.EDIT, key="e", data_local="edit")
        + button(text.REJECT, kind="no", key="r", data_local="reject")
    )
    rest = button(text.SKIP, kind="quiet", key="s", data_act="skip") + button(
        text.UNDO, kind="quiet", key="u", data_act="undo"
    )
    return f'<div class="panels-hide"><div class="acts">{main}</div><div class="acts half">{rest}</div></div>'


def _reject_panel() -> str:
    reasons = "".join(
        button(text.REASONS[reason], kind="no", key=str(number), data_act="reject", data_reason=reason)
        for number, reason in enumerate(REJECT_REASONS, 1)
    )
    back = button(text.BACK, kind="link", key="escape", shown_key="Esc", data_local="back")
    return (
        f'<div class="panel reject"><div class="eyebrow"><span>{text.WHY_REJECT}</span>{back}</div>'
        f'<div class="acts six">{reasons}</div></div>'
    )


def _edit_panel(candidate: Candidate) -> str:
    return (
        f'<div class="panel edit">{text_field(text.EDIT_QUESTION, "edit_question", candidate.question, lines=2)}'
        f"{text_field(text.EDIT_OPTIONS, 'edit_options', ' | '.join(candidate.options))}"
        f"{text_field(text.EDIT_ANSWER, 'edit_answer', candidate.answer)}"
        f'<div class="acts two">{button(text.SAVE_EDIT, kind="go", key="enter", data_act="edit")}'
        f"{button(text.BACK, key='escape', shown_key='Esc', data_local='back')}</div></div>"
    )


def _counts(counts: ReviewCounts) -> str:
    return "".join(
        f"<span>{escape(part)}</span>"
        for part in (
            f"Accepted {counts.accepted}",
            f"Edited {counts.edited}",
            f"Rejected {counts.rejected}",
            text.pace(counts.median_seconds),
        )
        if part
    )
