"""The quiet row below the Review card that narrows the queue."""

from typing import Any

from app import review_text, text
from app.view import attributes, button, select, short_type
from leaml.records import EVERYTHING, Slice


def filter_row(within: Slice, types: list[str], *, left: int) -> str:
    """Return the row with what is chosen now.

    Args:
        within: What is chosen.
        types: The project's question types.
        left: How many open pairs are like that; not shown where nothing is chosen.
    """
    kinds = [("", review_text.ALL_TYPES), *((kind, short_type(kind)) for kind in types)]
    agreements = [(key, words) for key, (words, _, _) in review_text.AGREEMENTS.items()]
    captions = [(key, words) for key, (words, _) in review_text.CAPTIONS.items()]
    rows = (
        (review_text.FILTER_TYPE, "filter_type", kinds, within.type_id or ""),
        (review_text.FILTER_AGREEMENT, "filter_agreement", agreements, _agreement(within)),
        (review_text.FILTER_CAPTION, "filter_caption", captions, _caption(within)),
    )
    lists = "".join(select(label, name, choices, chosen, change="filter") for label, name, choices, chosen in rows)
    reset = ""
    if within != EVERYTHING:
        reset = f"<span>{review_text.left_here(left)}</span>"
        reset += button(review_text.SHOW_ALL, kind="link", data_act="show_all")
    return f"<div{attributes({'class': 'filters'})}>{lists}{reset}</div>"


def read_filter(data: dict[str, Any], types: list[str]) -> Slice:
    """Return what the page asked for; what is unknown narrows nothing."""
    kind = str(data.get("filter_type", ""))
    any_agreement, any_caption = review_text.AGREEMENTS[""], review_text.CAPTIONS[""]
    _, low, high = review_text.AGREEMENTS.get(str(data.get("filter_agreement", "")), any_agreement)
    _, captioned = review_text.CAPTIONS.get(str(data.get("filter_caption", "")), any_caption)
    return Slice(kind if kind in types else None, low, high, captioned)


def empty_filter(within: Slice, types: list[str], *, left: int) -> str:
    """Return what the screen shows where nothing is left of what was asked for, or others have it on their screens."""
    title, sentence = review_text.WITH_OTHERS_HERE if left else review_text.NOTHING_HERE
    return (
        f'<div class="screen" data-serial="0"><div class="card empty"><h1>{title}</h1>'
        f'<p class="soft">{sentence}</p><div class="acts">'
        f"{button(review_text.SHOW_ALL, kind='go', data_act='show_all')}{button(text.UNDO, key='u', data_act='undo')}"
        f"</div></div>{filter_row(within, types, left=left)}</div>"
    )


def _agreement(within: Slice) -> str:
    bounds = (within.at_least, within.at_most)
    return next(key for key, (_, low, high) in review_text.AGREEMENTS.items() if (low, high) == bounds)


def _caption(within: Slice) -> str:
    return next(key for key, (_, captioned) in review_text.CAPTIONS.items() if captioned == within.captioned)
