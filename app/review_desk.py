"""Below the Review card: what the reviews are worth, batches, and taking decisions back.

Counted only when somebody opens it, so that the card above stays quick.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from html import escape
from typing import Any

from app import review_text
from app.person import Person
from app.view import button, note, percent, select, short_type
from leaml.errors import ConfigError
from leaml.records import Slice
from leaml.stats import krippendorff_alpha
from leaml.store import Store
from leaml.store.acceptance import measure_acceptance
from leaml.store.audit import Audit

LEVELS = ("0.80", "0.90", "0.95", "0.99")
QUOTAS = (0, 1, 2, 3, 5)
"""How often a question type can come, next to the others."""
SHOWN = 8
"""Sessions and batches listed, the newest."""


@dataclass(frozen=True)
class Desk:
    """What is open below the card.

    Attributes:
        opened: Whether anything is.
        level: One of `LEVELS`: the least agreement of a batch.
        pending: What somebody asked to take back and has not confirmed: `batch` or `session`, a blank, its number.
        message: What just happened.
    """

    opened: bool = False
    level: str = "0.90"
    pending: str = ""
    message: str = ""


def act_on_desk(person: Person, desk: Desk, data: dict[str, Any]) -> Desk:
    """Do what was asked for below the card; return what is open then.

    Raises:
        LeamlError: If they may not, or it cannot be done.
    """
    act, calm = data.get("act"), replace(desk, opened=True, pending="", message="")
    if act == "close":
        return Desk()
    if act == "level" and data.get("level") in LEVELS:
        return replace(calm, level=str(data["level"]))
    if act == "quota":
        person.set_quotas({kind: _quota(data, place) for place, kind in enumerate(_kinds(person.services.store))})
        return replace(calm, message=review_text.QUOTAS_SAVED)
    if act == "batch":
        batch = person.accept_batch(str(data.get("type")), at_least=float(desk.level))
        return replace(calm, message=review_text.batch_accepted(batch.accepted, short_type(batch.type_id)))
    if act == "take_back":
        return replace(calm, pending=str(data.get("what", "")))
    if act == "confirm":
        kind, _, number = desk.pending.partition(" ")
        if number.isdigit():
            taken = person.roll_back("batch" if kind == "batch" else "session", int(number))
            return replace(calm, message=review_text.taken_back_many(taken.labels, taken.reviews))
    return calm


def draw_closed() -> str:
    """Return what stands below the card while nothing is open there."""
    opener = button(review_text.DESK, kind="link", data_act="open")
    return f'<div class="screen" data-serial="0"><div class="foot">{opener}</div></div>'


def draw_desk(person: Person, desk: Desk) -> str:
    """Return what stands below the card as HTML."""
    if not desk.opened:
        return draw_closed()
    store, may = person.services.store, person.may("oversee")
    told = note(desk.message) if desk.message else ""
    lines = "".join(f'<p class="soft small">{escape(line)}</p>' for line in (_model(store), _agreement(store)))
    close = button(review_text.DESK_CLOSE, kind="link", data_act="close")
    anew = button(review_text.COUNT_ANEW, kind="link", data_act="open")
    changes = _quota_row(store) + _take_back(store, desk) if may else ""
    return (
        f'<div class="screen" data-serial="0"><section class="card">{told}{lines}{_batch_table(store, desk, may)}'
        f'{changes}<div class="foot">{anew}<span class="end">{close}</span></div></section></div>'
    )


def _model(store: Store) -> str:
    try:
        figures = measure_acceptance(store.checks.decisions())
    except ConfigError:
        return review_text.NO_MODEL
    sure = figures.precision
    value, low, high = (sure.value, sure.low, sure.high) if sure else (None, 0.0, 1.0)
    return review_text.model_line(figures.coverage, value, low, high, figures.audited)


def _agreement(store: Store) -> str:
    units: dict[str | None, list[tuple[str, str]]] = defaultdict(list)
    for type_id, first, second in store.checks.readings():
        units[type_id].append((first, second))
    if not units:
        return review_text.NOT_READ_TWICE
    parts = (
        review_text.agreement_line(short_type(kind), krippendorff_alpha(pairs), len(pairs))
        for kind, pairs in sorted(units.items(), key=lambda item: str(item[0]))
    )
    return review_text.agreement_lines(", ".join(parts))


def _batch_table(store: Store, desk: Desk, may: bool) -> str:
    kinds = _kinds(store)
    head = "".join(f"<th>{escape(column)}</th>" for column in review_text.BATCH_COLUMNS)
    rows = "".join(_batch_row(kind, store.checks.audit(Slice(kind, at_least=float(desk.level))), may) for kind in kinds)
    levels = [(level, level[1:]) for level in LEVELS]
    return (
        f'<h1>{review_text.BATCH_TITLE}</h1><p class="soft">{review_text.BATCH_LEAD}</p><div class="filters">'
        f"{select(review_text.BATCH_LEVEL, 'level', levels, desk.level, change='level')}</div>"
        f'<table class="desk"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    )


def _batch_row(kind: str, audit: Audit, may: bool) -> str:
    found = audit.precision
    share = f"{percent(found.value)} <small>{percent(found.low)} to {percent(found.high)}</small>" if found else ""
    ready = may and audit.passed and bool(audit.open)
    accept = button(review_text.accept_all(audit.open), kind="compact", data_act="batch", data_type=kind)
    cells = (escape(short_type(kind)), str(audit.open), str(audit.audited), share, accept if ready else "")
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _quota_row(store: Store) -> str:
    chosen, choices = store.queue.quotas(), [(str(cards), review_text.quota(cards)) for cards in QUOTAS]
    lists = "".join(
        select(short_type(kind), f"quota_{place}", choices, str(chosen.get(kind, 1)), change="quota")
        for place, kind in enumerate(_kinds(store))
    )
    lead = f'<h1>{review_text.QUOTAS_TITLE}</h1><p class="soft">{review_text.QUOTAS_LEAD}</p>'
    return f'{lead}<div class="filters">{lists}</div>'


def _quota(data: dict[str, Any], place: int) -> int:
    return next((cards for cards in QUOTAS if str(cards) == str(data.get(f"quota_{place}"))), 1)


def _kinds(store: Store) -> list[str]:
    project = store.project()
    return [kind.id for kind in (project.question_types if project else ())]


def _take_back(store: Store, desk: Desk) -> str:
    lines = [
        (
            f"batch {batch.number}",
            review_text.batch_line(
                batch.number, short_type(batch.type_id), batch.at_least, batch.standing, batch.author, _clock(batch.at)
            ),
            review_text.pairs_of(batch.standing),
        )
        for batch in store.batches.all()[:SHOWN]
        if batch.standing
    ]
    standing = [session for session in store.rollback.sessions() if session.labels + session.reviews]
    for session in standing[:SHOWN]:
        counts, when = (session.labels, session.reviews), (_clock(session.began), _clock(session.ended))
        line = review_text.session_line(session.author, *counts, *when)
        lines.append((f"session {session.number}", line, review_text.both(*counts)))
    rows = "".join(_take_back_row(*line, pending=desk.pending == line[0]) for line in lines)
    return f'<h1>{review_text.TAKE_BACK_TITLE}</h1><p class="soft">{review_text.TAKE_BACK_LEAD}</p>{rows}'


def _take_back_row(what: str, line: str, counted: str, *, pending: bool) -> str:
    end = button(review_text.TAKE_BACK, kind="link", data_act="take_back", data_what=what)
    if pending:
        yes = button(review_text.YES, kind="no compact", data_act="confirm")
        end = f"{escape(review_text.really(counted))} {yes}{button(review_text.NO, kind='compact', data_act='open')}"
    return f'<div class="foot"><span>{escape(line)}</span><span class="end">{end}</span></div>'


def _clock(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M")
