"""The Compare screen as HTML: two models' answers side by side, and the table of all. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from app import compare_text, text
from app.view import (
    Picture,
    attributes,
    bar,
    button,
    eyebrow,
    field,
    image_box,
    key_help,
    note,
    percent,
    select,
    short_type,
)
from leaml.answering import Answer
from leaml.prompts import is_correct, match_answer, takes_several
from leaml.records import AnsweredQuestion, ImageId, Interval, QuestionType

OURS: tuple[str, ...] = ("leaml", "leaml_reviewed")
SIDES = ("left", "right")
ADAPTER_KEYS = ("a", "d")
"""Side by side under the left hand; R, for right, is the random image."""


@dataclass(frozen=True)
class AskView:
    """What the upper half of the Compare screen shows.

    Attributes:
        serial: Changes whenever another image or question is shown.
        picture: The image.
        images: Which images are looked at: `test` or `pool`.
        position: Such as `3 of 72`.
        models: (value, name) of every model that can be asked.
        sides: The two chosen models' values.
        adapters: Of each side, whether it uses what it learnt here; None for the base model, which learnt nothing.
        types: The project's question types.
        question: Chosen question type's id, or `own`.
        asked: The question in words.
        own: Text of an own question and of its options.
        answers: Of the two models; empty before they were asked.
        reference: The reference answer, where there is one.
        ratio: Width to height of the project's usual image.
        pending: The models are being asked.
        trouble: What went wrong.
    """

    serial: str
    picture: Picture
    images: str
    position: str
    models: Sequence[tuple[str, str]]
    sides: tuple[str, str]
    adapters: tuple[bool | None, bool | None]
    types: Sequence[QuestionType]
    question: str
    asked: str
    own: tuple[str, str]
    options: Sequence[str]
    answers: Sequence[Answer]
    reference: str | None
    ratio: float
    pending: bool = False
    trouble: str = ""


def ask_screen(view: AskView) -> str:
    """Return the image, the question, and both models' answers."""
    questions = [(kind.id, kind.question) for kind in view.types] + [("own", compare_text.OWN)]
    walk = "".join(
        button(label, kind="chip", key=key, shown_key=shown, data_act=act)
        for label, key, shown, act in (
            (compare_text.PREVIOUS, "arrowleft", "←", "previous"),
            (compare_text.NEXT_IMAGE, "arrowright", "→", "next"),
            (compare_text.RANDOM, "r", "R", "random"),
        )
    )
    box = image_box(view.picture, position=view.position, more=walk)
    own = ""
    if view.question == "own":
        own = field(text.OWN_QUESTION, "own_question", view.own[0]) + field(
            text.OWN_OPTIONS, "own_options", view.own[1]
        )
    sides = "".join(
        select(label, name, view.models, side, change="models")
        for label, name, side in zip(compare_text.MODELS, SIDES, view.sides, strict=True)
    )
    told = note(view.trouble, kind="bad") if view.trouble else ""
    reference = f"{compare_text.REFERENCE}: {view.reference}" if view.reference and view.answers else ""
    ask = button(
        compare_text.ASKING if view.pending else compare_text.ASK,
        kind="go",
        key="enter",
        data_act="ask",
        data_typed=True,
        disabled=view.pending,
    )
    data = attributes({"data_card": True, "data_serial": view.serial})
    return (
        f'<div class="screen"{attributes({"data_serial": view.serial})}>'
        f'<div class="split even" style="--ratio:{view.ratio:.3f}">{box}'
        f'<section class="card ask compare"{data}><div class="fields">'
        f"{select(compare_text.IMAGES, 'images', list(compare_text.SPLITS.items()), view.images, change='images')}"
        f"{select(compare_text.QUESTION, 'question', questions, view.question, change='question')}{sides}"
        f'<div class="wide panel-like">{own}</div></div><h1>{escape(view.asked)}</h1>'
        f'<div class="answers">{_answer(view, 0)}{_answer(view, 1)}</div>{told}'
        f'<div class="foot"><b>{escape(reference)}</b></div><div class="stage">{ask}</div></section></div>'
        f"{key_help('compare', clip=bool(view.picture.frames))}</div>"
    )


def table_card(
    rows: Mapping[str, tuple[Mapping[str, Interval], Interval]],
    types: Sequence[str],
    *,
    rests_on: str,
    finding: str,
    again: str = "",
    apart: Mapping[str, str],
) -> str:
    """Return the table: a row for each model, by type of question, with intervals.

    Args:
        rows: By method or `majority`: the intervals by question type, and the average's.
        types: Question types in order.
        rests_on: How many questions and images there are.
        finding: The paired difference as a sentence.
        again: From `again_line`.
        apart: In what a method's model differs from the newest one, as a sentence; nothing for those that do not.
    """
    head = "".join(f"<th>{escape(short_type(kind))}</th>" for kind in types)
    best = {
        kind: max((by_type[kind].value for by_type, _ in rows.values() if kind in by_type), default=0) for kind in types
    }
    best_macro = max((macro.value for _, macro in rows.values()), default=0)
    lines = []
    for name, (by_type, macro) in rows.items():
        cells = "".join(_cell(by_type.get(kind), best[kind]) for kind in types) + _cell(macro, best_macro)
        title, what = text.MAJORITY if name == "majority" else text.METHODS[name]  # type: ignore[index]
        kind = ' class="ours"' if name in OURS else ""
        more = f'<small class="apart">{escape(apart[name])}</small>' if name in apart else ""
        lines.append(f"<tr{kind}><td>{escape(title)}<small>{escape(what)}</small>{more}</td>{cells}</tr>")
    anew = f'<p class="small soft">{compare_text.ANEW}</p>' if apart else ""
    return (
        f'<div class="screen"><section class="card">{eyebrow(compare_text.TABLE_TITLE, rests_on)}'
        f'<p class="finding">{escape(finding)}</p>{anew}{again}<div class="scroll"><table class="results">'
        f"<tr><th>{compare_text.METHOD_COLUMN}</th>{head}<th>{compare_text.AVERAGE}</th></tr>{''.join(lines)}</table></div>"
        f'<p class="soft small" style="margin:10px 0 0">{compare_text.TABLE_NOTE}</p></section></div>'
    )


def again_line(ready: Sequence[str], busy: Sequence[str], *, may: bool) -> str:
    """Return the button that tests models again, and which are on their way.

    Args:
        ready: Names of the models that can be tested again.
        busy: Names of those that a run is making or testing.
        may: Whether the person may have them tested; otherwise a sentence says who can.
    """
    if not ready and not busy:
        return ""
    press = button(compare_text.test_again(ready), kind="compact", data_act="again") if ready and may else ""
    told = [compare_text.testing(busy)] if busy else []
    told += [compare_text.ASK_AN_ADMIN] if ready and not may else []
    return f'<p class="again">{press}<span class="soft">{escape(" ".join(told))}</span></p>'


def _cell(interval: Interval | None, best: float) -> str:
    if interval is None:
        return "<td></td>"
    value = percent(interval.value)
    shown = f"<b>{value}</b>" if interval.value >= best else value
    return f"<td>{shown}<small>{percent(interval.low)}&ndash;{percent(interval.high)}</small></td>"


def _answer(view: AskView, side: int) -> str:
    """Return one model's card. It has every part before there is an answer, so that nothing moves when one comes."""
    names = dict(view.models)
    answer = view.answers[side] if view.answers else None
    if answer is None:
        said = f'<p class="wait soft">{compare_text.ASKING if view.pending else compare_text.NOT_ASKED}</p>'
    else:
        said = f'<div class="ans">{escape(answer.text)}{_mark(view, answer.text)}</div>'
    shares = answer.option_probabilities if answer else ()
    probabilities = "".join(
        _option(option, shares[place], best=shares[place] == max(shares)) if shares else _option(option)
        for place, option in enumerate(view.options)
    )
    return (
        f'<div class="answer" data-side="{SIDES[side]}">'
        f"{eyebrow(compare_text.MODELS[side], names.get(view.sides[side], ''))}{_adapter(view, side)}"
        f'{said}<div class="probs">{probabilities}</div>'
        f'<p class="swap soft">{compare_text.swapped(answer.swap_seconds) if answer else ""}</p></div>'
    )


def _mark(view: AskView, answer: str) -> str:
    """Return whether an answer is right, as a sign and in words; nothing where nobody knows."""
    if view.reference is None:
        return ""
    asked = AnsweredQuestion(ImageId(view.picture.id), view.asked, tuple(view.options), view.reference)
    if view.options and match_answer(view.reference, view.options, several=takes_several(view.asked)) is None:
        return ""  # the question's answers have changed since the reference was given
    right = is_correct(answer, asked)
    sign, words = ("✓", compare_text.RIGHT) if right else ("✗", compare_text.WRONG)
    return f' <span class="{"right" if right else "wrong"}" role="img" aria-label="{words}">{sign}</span>'


def _option(option: str, share: float | None = None, *, best: bool = False) -> str:
    figure = "" if share is None else f"{share:.2f}"
    kind = "on" if best else ""
    return f'<div class="{kind}"><span>{escape(option)}</span><em>{figure}</em>{bar(share or 0.0)}</div>'


def _adapter(view: AskView, side: int) -> str:
    """Return the switch between the model with and without what it learnt; its room is kept where there is none."""
    on = view.adapters[side]
    if on is None:
        return '<div class="adapter"></div>'
    what = f"adapter-{SIDES[side]}"
    switch = button(
        compare_text.ADAPTER,
        kind="compact switch",
        key=ADAPTER_KEYS[side],
        id=what,
        data_act="adapter",
        data_side=SIDES[side],
        aria_pressed=str(on).lower(),
        aria_describedby=f"{what}-state",
    )
    state = compare_text.ADAPTER_ON if on else compare_text.ADAPTER_OFF
    return f'<div class="adapter">{switch}<span class="soft" id="{what}-state">{state}</span></div>'
