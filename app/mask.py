"""The picture of the mask on the Train screen: what may move in each weight, and the largest rows. Pure functions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from app import mask_text as text
from app.view import attributes, bar, eyebrow

ROWS_SHOWN = 8
"""The summary keeps so many of each weight, so that more could miss some of the whole model's."""


def mask_picture(summary: Mapping[str, Any]) -> str:
    """Return the picture from a run's `mask_summary.json`; a sentence where there is none yet."""
    modules: Sequence[Mapping[str, Any]] = summary.get("modules", ())
    if not modules:
        return f'<div class="screen">{eyebrow(text.MASK_TITLE)}<p class="soft mask-none">{text.NO_MASK}</p></div>'
    held = sum(float(row["score_share"]) for row in modules)
    frozen = text.frozen(Counter(summary["skipped"].values()))
    average = text.average_row(held / sum(int(row["rows"]) for row in modules))
    return (
        f'<div class="screen heat"><div class="eyebrow"><span>{text.may_move(summary["density"], held)}</span></div>'
        f'<div class="scroll">{_cells(modules)}</div>'
        f'<p class="key small soft">{text.MASK_KEY}</p>'
        f"{eyebrow(text.LARGEST_ROWS, average)}{_largest_rows(modules)}"
        f'<p class="soft small">{escape(frozen)}</p></div>'
    )


def _cells(modules: Sequence[Mapping[str, Any]]) -> str:
    """Return a table with a line for each layer and a column for each kind of weight."""
    layers = sorted({int(row["layer"]) for row in modules})
    kinds = list(dict.fromkeys(str(row["module"]) for row in modules))
    by_place = {(int(row["layer"]), str(row["module"])): row for row in modules}
    most = max(float(row["score_share"]) for row in modules) or 1.0
    head = "".join(f'<th scope="col">{escape(_kind(name))}</th>' for name in kinds)
    lines = "".join(
        f'<tr><th scope="row">{text.MASK_LAYER} {layer + 1}</th>'
        + "".join(_cell(by_place.get((layer, name)), most) for name in kinds)
        + "</tr>"
        for layer in layers
    )
    return f'<table aria-label="{text.MASK_TITLE}"><tr><td></td>{head}</tr>{lines}</table>'


def _cell(row: Mapping[str, Any] | None, most: float) -> str:
    if row is None:
        return "<td></td>"
    held = float(row["score_share"])
    look = {"style": f"--held:{held / most:.3f}", "title": row["name"]}
    return f"<td{attributes(look)}><span>{text.share(row['share'])}</span> <b>{text.share(held)}</b></td>"


def _largest_rows(modules: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows of the whole model whose entries hold most of the importance, as bars."""
    found = [(best["score_share"], row, best["row"]) for row in modules for best in row["largest_rows"]]
    found = sorted(found, key=lambda each: -each[0])[:ROWS_SHOWN]
    most = found[0][0] or 1.0
    return '<ol class="largest">' + "".join(_row(row, index, held, most) for held, row, index in found) + "</ol>"


def _row(row: Mapping[str, Any], index: int, held: float, most: float) -> str:
    name = escape(text.neuron(row["layer"], _kind(row["module"]), index))
    exact = attributes({"title": f"{row['name']}[{index}]"})
    return f"<li{exact}><span>{name}</span>{bar(held / most)}<b>{text.share(held)}</b></li>"


def _kind(module: str) -> str:
    return module.removesuffix("_proj")
