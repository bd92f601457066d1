"""The Train screen's table of rounds: what each generator wrote, what became of it, and taking the last one back."""

from collections.abc import Mapping, Sequence
from html import escape

from app import rounds_text
from app.view import button, percent
from leaml.records import Interval
from leaml.store.rounds import Round


def rounds_card(rounds: Sequence[Round], accuracy: Mapping[int, Interval], *, may: bool) -> str:
    """Return the table, the newest round first; nothing before the first round.

    Args:
        rounds: The first one first.
        accuracy: By a round's number, that of the newest model that learnt from its pairs, reviewed ones first.
        may: Whether the person who looks may take a round back.
    """
    if not rounds:
        return ""
    latest = max((row.number for row in rounds if not row.taken_back), default=0)
    head = "".join(f'<th class="text">{name}</th>' for name in rounds_text.COLUMNS)
    lines = "".join(_row(row, accuracy.get(row.number), may=may and row.number == latest) for row in reversed(rounds))
    return (
        f'<section class="card"><h2>{rounds_text.TITLE}</h2><p class="soft small">{rounds_text.LEAD}</p>'
        f'<div class="scroll"><table><tr>{head}</tr>{lines}</table></div></section>'
    )


def _row(row: Round, accuracy: Interval | None, *, may: bool) -> str:
    state = _take_back(row) if may else rounds_text.TAKEN_BACK if row.taken_back else ""
    cells = (
        str(row.number),
        row.at.astimezone().strftime("%Y-%m-%d %H:%M") if row.at else "",
        str(row.pairs),
        str(row.decided),
        percent(row.accepted / row.decided) if row.decided else "",  # no random sample, so no interval
        _interval(accuracy),
        state,
    )
    return "<tr>" + "".join(f'<td class="text">{cell}</td>' for cell in cells) + "</tr>"


def _interval(found: Interval | None) -> str:
    if found is None:
        return ""
    return f"{percent(found.value)} <small>{percent(found.low)} to {percent(found.high)}</small>"


def _take_back(row: Round) -> str:
    really = escape(rounds_text.really(row.number, row.decided))
    yes = button(rounds_text.YES, kind="no compact", data_act="round_back", data_round=str(row.number))
    inside = f'<summary>{rounds_text.TAKE_BACK}</summary><p class="small">{really}</p>{yes}'
    return f'<details data-fold="round">{inside}</details>'  # stays open while a run beside it is drawn anew
