"""The Train screen as HTML: the generator with its steps, the models, all runs. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any, Literal

from app import rounds_text, text, train_text
from app.view import bar, button, eyebrow, go_button, note
from leaml.config import GENERATOR_STAGES
from leaml.ingest import OUT_OF_USE
from leaml.pairs.decided import OBJECTIONS
from leaml.records import Interval, Method

WAYS = {
    text.NEEDS_LABELS: (text.GO_LABEL, "label"),
    text.NEEDS_IMAGES: (text.GO_PROJECT, "project"),
    train_text.NEEDS_UNLABELLED: (text.GO_PROJECT, "project"),
}
"""Where what the generator lacks can be had."""
Coming = Literal["finetune", "compare"] | None
"""What comes next on the list of models: to train them, or to compare them; None while it is neither."""


@dataclass(frozen=True)
class RunView:
    """A background run as it stands.

    Attributes:
        id: Such as `r0003`.
        kind: `generator`, or a method; empty where its settings cannot be read.
        name: State, as in `leaml.jobs`.
        detail: Its sentence, where it has one.
        stages: In order.
        seconds: Taken by each finished stage.
        stage: The stage it is in, if it has begun.
        step: Done in that stage.
        total: Of that stage.
        seconds_left: Estimated, for that stage.
        started_at: Unix seconds.
        took: Seconds from start to end, or until now.
        locked: Whether the person who looks may neither cancel nor resume it.
        failures: About the images that its teacher did not describe, as a sentence; empty without any.
    """

    id: str
    kind: str
    name: str
    detail: str
    stages: Sequence[str]
    seconds: Mapping[str, float]
    stage: str | None = None
    step: int = 0
    total: int = 0
    seconds_left: float | None = None
    started_at: float | None = None
    took: float | None = None
    locked: bool = False
    failures: str = ""

    @property
    def active(self) -> bool:
        """Whether it waits or works."""
        return self.name in ("queued", "running", "stalled")

    @property
    def title(self) -> str:
        """What it makes, in words."""
        if not self.kind:
            return train_text.UNREADABLE
        return text.GENERATOR_TITLE if self.kind == "generator" else text.METHODS[self.kind][0]  # type: ignore[index]

    @property
    def current(self) -> str | None:
        """The stage that it is in, or about to begin: the first that is not finished."""
        return next((stage for stage in self.stages if stage not in self.seconds), None)

    @property
    def share(self) -> float:
        """How much of it is done, every stage counting the same."""
        if self.name == "done":
            return 1.0
        inside = self.step / self.total if self.total and self.stage == self.current else 0.0
        return (len(self.seconds) + inside) / len(self.stages)


@dataclass(frozen=True)
class MethodView:
    """One model of the comparison on the Train screen."""

    method: Method
    run: RunView | None
    why_not: str | None
    accuracy: Interval | None
    questions: int
    learnt_from: str


def generator_card(
    run: RunView | None,
    *,
    round_number: int,
    why_not: str | None,
    waiting: int,
    report: Mapping[str, Any],
    message: str,
    answered: tuple[int, int] = (0, 0),
    sending: str = "",
    reviewed: bool = False,
) -> str:
    """Return the card of the question generator: its steps, and what can be done now.

    Args:
        run: The newest; None before the first.
        round_number: Of the next run.
        why_not: Why it cannot be trained now; None where it can.
        waiting: How many runs wait for their turn.
        report: Of the run's sampling.
        message: About trouble.
        answered: How many labels and reviewed pairs the next run would learn from.
        sending: Which computer images would be sent to; empty where they stay here.
        reviewed: Whether enough of its pairs are decided to go on to the models.
    """
    clock = text.started(_clock(run.started_at)) if run and run.started_at else ""
    shown_round = text.round_number(max(1, round_number - 1) if run and run.name == "done" else round_number)
    steps = "".join(_stage(stage, run) for stage in GENERATOR_STAGES)
    if run and run.active:
        foot = _running(run, waiting)
    else:
        foot = _at_rest(run, why_not, report, round_number, answered, reviewed=reviewed)
    told = note(message, kind="bad") if message else ""
    failed = note(run.failures, kind="warn") if run and run.failures else ""
    away = note(sending, kind="warn") if sending and not (run and run.active) else ""
    return (
        f'<div class="screen" data-serial="0"><section class="card">{told}{eyebrow(shown_round, clock)}'
        f"<h1>{text.GENERATOR_TITLE}</h1><p class='soft small'>{text.GENERATOR_LEAD}</p>"
        f'<ul class="steps">{steps}</ul><div class="tail">{failed}{away}{foot}</div></section></div>'
    )


def methods_card(rows: Sequence[MethodView], *, ready: int, why_not: str = "", coming: Coming = None) -> str:
    """Return the list of models to train and test, each with a button or the reason why it has none.

    Args:
        rows: The models.
        ready: How many of them can be trained now.
        why_not: Why they cannot all be trained now; empty where they can.
        coming: Which button is the one to press next, and has the accent.
    """
    kind = "go" if coming == "finetune" else ""
    every = button(text.TRAIN_ALL, kind=kind, data_act="all", disabled=ready == 0, id="train-all")
    onward = go_button(text.GO_COMPARE, "compare") if coming == "compare" else ""
    beside = f'<div class="every">{every}{onward}<p class="small soft">{escape(why_not)}</p></div>'
    lines = "".join(_method(row, said=why_not) for row in rows)
    return (
        f'<section class="card"><div class="top"><div><h1>{text.MODELS_TITLE}</h1>'
        f'<p class="soft small">{text.MODELS_LEAD}</p></div>{beside}</div><div class="methods">{lines}</div></section>'
    )


def runs_card(runs: Sequence[RunView]) -> str:
    """Return the table of all runs, newest first."""
    if not runs:
        return f'<section class="card"><h2>{text.PAST_RUNS}</h2><p class="soft">{text.NO_RUNS}</p></section>'
    head = "".join(f'<th class="text">{name}</th>' for name in text.RUN_COLUMNS)
    rows = "".join(_run_row(run) for run in runs)
    return (
        f'<section class="card"><h2>{text.PAST_RUNS}</h2><div class="scroll"><table class="runs"><tr>{head}</tr>'
        f"{rows}</table></div></section>"
    )


def loss_line(run: RunView | None, last: Mapping[str, float]) -> str:
    """Return the line above the loss: whose it is, and its last values."""
    values = "".join(
        f'<span class="series {name}">{text.SERIES[name]} {value:.2f}</span>' for name, value in last.items()
    )
    left = escape(f"{text.LOSS} · {run.title}, {run.id}" if run else text.LOSS)
    return f'<div class="screen"><div class="eyebrow losses"><span>{left}</span><span>{values}</span></div></div>'


def _stage(stage: str, run: RunView | None) -> str:
    kind, detail = "later", ""
    if run is not None and stage in run.stages:
        if run.name == "done" or stage in run.seconds:
            kind, detail = "done", text.duration(run.seconds.get(stage))
        elif stage == run.current:
            kind = "on" if run.active else "later" if run.name == "cancelled" else "bad"
            detail = text.step_of(run.step, run.total) if stage == run.stage else text.STARTING
            detail = "" if run.name == "queued" else detail
    mark = {"done": "✓", "bad": "!"}.get(kind, "")
    return f'<li class="{kind}"><span class="tick">{mark}</span>{text.STAGES[stage]}<i>{escape(detail)}</i></li>'


def _running(run: RunView, waiting: int) -> str:
    known = run.seconds_left if run.stage == run.current else None
    stopping = run.name == "running" and bool(run.detail)
    left = text.STATES["queued"].capitalize() if run.name == "queued" else text.time_left(known)
    if run.detail and run.name != "queued":
        left = run.detail
    fixed = stopping or run.locked
    goes_on = "" if stopping else text.CLOSE_PAGE
    return (
        f"{bar(run.share, label=run.title)}"
        f'<div class="foot"><span>{escape(left)}</span><span>{text.waiting(waiting)}</span></div>'
        f'<p class="small soft" style="margin:10px 0 12px;min-height:20px">{goes_on}</p>'
        f"{button(text.CANCEL, kind='no', data_act='cancel', data_run=run.id, id='cancel-run', disabled=fixed)}"
    )


def _at_rest(
    run: RunView | None,
    why_not: str | None,
    report: Mapping[str, Any],
    next_round: int,
    answered: tuple[int, int],
    *,
    reviewed: bool,
) -> str:
    """Return what can be done while the generator does not run."""
    parts = []
    why = f'<p class="small soft" style="margin:12px 0">{escape(why_not)}</p>' if why_not else ""
    way = WAYS.get(why_not or "")
    onward = go_button(*way, kind="go" if run is None else "") if way else ""
    anew = rounds_text.begin_round(next_round) if run is not None and run.name == "done" else text.TRAIN_AGAIN
    again = button(anew, data_act="generator", disabled=bool(why_not))
    if run is not None and run.name == "done":
        if report:
            decided = sum(report["turned_down"].get(objection, 0) for objection in OBJECTIONS)
            summary = text.generated(int(report["kept"]), int(report["generated"]), int(report["images"]), decided)
            parts.append(f'<p class="small">{escape(summary)}</p>')
            if out := int(report["turned_down"].get(OUT_OF_USE, 0)):
                parts.append(note(rounds_text.out_of_use(out), kind="warn"))
        parts.append(f'<p class="small soft">{escape(rounds_text.next_round(next_round, *answered))}</p>')
        review = go_button(text.GO_REVIEW, "review", kind="" if reviewed else "go")
        parts.append(f'<div class="acts half">{review}{again}</div>{why}{onward}')
    elif run is not None:
        parts.append(note(f"{text.STATES.get(run.name, run.name).capitalize()}. {run.detail}".strip(), kind="warn"))
        resume = button(
            text.RESUME, kind="go", data_act="resume", data_run=run.id, id="resume-run", disabled=run.locked
        )
        parts.append(f'<div class="acts half" style="margin-top:12px">{resume}{again}</div>{why}{onward}')
    else:
        start = button(
            text.TRAIN_GENERATOR, kind="go", data_act="generator", disabled=bool(why_not), id="train-generator"
        )
        parts.append(f'<div class="acts half">{onward}{start}</div>' if onward else start)
        parts.append(f'<p class="small soft" style="margin:12px 0 0">{escape(why_not or text.CLOSE_PAGE)}</p>')
    return "".join(parts)


def _method(row: MethodView, *, said: str) -> str:
    """Return a model's row; a reason that is said above for all is not said again."""
    title, what = text.METHODS[row.method]
    run, state, action = row.run, "", ""
    if run is not None and run.active:
        progress = text.step_of(run.step, run.total) if run.name == "running" else text.STATES[run.name]
        stage = f"{text.STAGES.get(run.stage or '', '')}, " if run.name == "running" and run.stage else ""
        state = f'<span class="small">{escape(stage + progress)}</span>{bar(run.share, label=title)}'
        if row.accuracy is not None:
            kept = text.accuracy_until_now(text.accuracy(100 * row.accuracy.value, row.questions))
            state += f'<span class="small soft">{escape(kept)}</span>'
        action = button(text.CANCEL, kind="compact no", data_act="cancel", data_run=run.id, disabled=run.locked)
    elif run is not None and run.name in ("failed", "cancelled", "crashed") and row.accuracy is None:
        state = f'<span class="state {run.name}">{text.STATES[run.name]}</span>'
        action = button(text.RESUME, kind="compact", data_act="resume", data_run=run.id, disabled=run.locked)
    else:
        if row.accuracy is not None:
            learnt = f'<br><span class="small soft">{escape(row.learnt_from)}</span>' if row.learnt_from else ""
            state = f'<span class="state done">{text.accuracy(100 * row.accuracy.value, row.questions)}</span>{learnt}'
        label = text.TEST_IT if row.method == "zero_shot" else text.TRAIN_IT_AGAIN if row.accuracy else text.TRAIN_IT
        if row.method != "zero_shot" or row.accuracy is None:
            action = button(
                label, kind="compact", data_act="method", data_method=row.method, disabled=bool(row.why_not)
            )
    own_reason = row.why_not if row.why_not != said and not (run and run.active) else None
    why = f'<p class="why">{escape(own_reason)}</p>' if own_reason else ""
    return (
        f'<div class="method" data-method-row="{row.method}"><div><b>{escape(title)}</b><p>{escape(what)}</p></div>'
        f'<div>{state}</div><div class="act">{action}</div>{why}</div>'
    )


def _run_row(run: RunView) -> str:
    action, ended_early = "", run.name in ("failed", "cancelled", "crashed")
    if run.active:
        action = button(text.CANCEL, kind="compact no", data_act="cancel", data_run=run.id, disabled=run.locked)
    elif ended_early and run.kind:
        action = button(text.RESUME, kind="compact", data_act="resume", data_run=run.id, disabled=run.locked)
    told = run.detail and (ended_early or run.name == "stalled" or not run.kind)
    detail = f"<small>{escape(run.detail)}</small>" if told else ""
    state = f'<span class="state {escape(run.name)}">{text.STATES.get(run.name, run.name)}</span>{detail}'
    cells = (run.id, escape(run.title), state, _clock(run.started_at), text.duration(run.took), action)
    return "<tr>" + "".join(f'<td class="text">{cell}</td>' for cell in cells) + "</tr>"


def _clock(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at).strftime("%H:%M")
