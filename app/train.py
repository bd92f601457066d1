"""The Train screen: it only looks at runs, and asks for, cancels or resumes them. Training never happens here.

While somebody looks at it, it reads the run directories once a second, so a reloaded page, a second one, or a restarted
app shows the same.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from app import choice_text, rounds_text, text
from app.figures import loss_figure, loss_series, running_mean
from app.losses import loss_log
from app.mask import mask_picture
from app.person import Person, who
from app.rounds import rounds_card
from app.screen import Screen, header_of, in_turn, on_act, panel
from app.services import RESUMABLE, UNKNOWN, Services, run_kind
from app.train_html import Coming, MethodView, RunView, generator_card, loss_line, methods_card, runs_card
from leaml.errors import LeamlError
from leaml.jobs import RunDir
from leaml.records import METHODS, RunId
from leaml.teacher.book import FAILURES_FILE, read_lines
from leaml.teacher.config import TeacherConfig
from leaml.teacher.notice import where_images_go

TICK_S = 1.0


def build(services: Services, header: gr.HTML) -> Screen:
    """Build the screen in the current tab."""
    seen = gr.State({})
    with gr.Row(elem_classes="pair train-top", equal_height=True):
        with gr.Column(scale=4, min_width=330):
            generator = panel("generator-panel", tick_s=TICK_S)
        with gr.Column(scale=8, min_width=400, elem_classes="card figures"):
            loss_head = gr.HTML(apply_default_css=False)
            loss = gr.Plot(show_label=False, elem_classes="plotbox", elem_id="loss-plot", container=False)
            mask = gr.HTML(apply_default_css=False, elem_id="mask-panel")
    models = panel("models-panel")
    outputs = [seen, generator, loss_head, loss, mask, models, header]

    def redraw(request: gr.Request) -> tuple[Any, ...]:
        return draw(who(services, request.username), {})

    def tick(before: dict[str, Any], request: gr.Request) -> tuple[Any, ...]:
        return draw(who(services, request.username), before)

    def act(event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        person = who(services, request.username)
        decide(person, event._data)
        return draw(person, {})

    on_act("train", generator, act, [], outputs)
    on_act("train", models, act, [], outputs)
    generator.tick(tick, [seen], outputs, **in_turn("train"))
    return Screen(redraw, [], outputs)


def decide(person: Person, data: Mapping[str, Any]) -> None:
    """Do what a button asked.

    Raises:
        LeamlError: With the reason, if it cannot be done.
    """
    act, run_id = data.get("act"), RunId(str(data.get("run", "")))
    if act == "generator":
        person.start_generator()
    elif act == "cancel":
        person.cancel(run_id)
    elif act == "resume":
        person.resume(run_id)
    elif act == "method":
        person.start_methods(tuple(method for method in METHODS if method == data.get("method")))
    elif act == "round_back" and str(data.get("round")).isdigit():
        taken = person.take_round_back(int(data["round"]))
        gr.Info(rounds_text.taken_back(int(data["round"]), taken.reviews))
    elif act == "all":
        gr.Info(text.queued_all(person.start_methods(METHODS)))


def draw(person: Person, before: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the outputs' values; those that would be the same as `before` are left alone, so nothing flickers."""
    services, trouble = person.services, ""
    try:
        services.take_over_finished()
    except LeamlError as error:
        trouble = str(error)
    folders = services.runs()
    runs = [observe(folder, locked=not person.may("train")) for folder in folders]
    by_id = {folder.path.name: folder for folder in folders}
    generator = next((run for run in runs if run.kind == "generator"), None)
    known = [run for run in runs if run.kind]
    focus = next((run for run in known if run.active and run.name != "queued"), known[0] if known else None)
    series, total = loss_series(loss_log(by_id[focus.id].path / "progress.jsonl").reports()) if focus else ([], 0)
    obstacles = person.obstacles()
    now = {
        "generator": _generator_html(services, generator, runs, by_id, obstacles.get("generator"), trouble),
        "loss_head": loss_line(focus, {row.name: running_mean(row.values)[-1] for row in series}),
        "loss": [focus.id if focus else "", total, [len(row.steps) for row in series]],
        "mask": mask_picture(_mask_summary(by_id, runs)),
        "models": _models_html(person, runs, obstacles),
        "header": header_of(person),
    }
    values: list[str | go.Figure] = []
    for name, value in now.items():
        shown = loss_figure(series, total=total) if name == "loss" and value != before.get(name) else value
        values.append(gr.skip() if value == before.get(name) else shown)
    return now, *values


def observe(folder: RunDir, *, locked: bool) -> RunView:
    """Return a run as it stands, from the files that it leaves; `locked` for those who only look.

    One whose settings cannot be read says so, beside the others.
    """
    state = folder.state()
    seen = RunView(
        id=folder.path.name,
        kind=UNKNOWN,
        name=state.name,
        detail=state.detail,
        stages=(),
        seconds={},
        started_at=state.started_at,
        took=(folder.outcome() or {}).get("seconds"),
        locked=locked,
    )
    try:
        stages, host = tuple(folder.config().get("stages", ())), _host(folder)
    except LeamlError as error:
        return replace(seen, detail=str(error))
    seconds = {stage: took for stage in stages if (took := folder.seconds_of(stage)) is not None}
    failures = read_lines(folder.path / "output" / FAILURES_FILE)
    would_send = text.resuming_sends(host) if state.name in RESUMABLE and "captions" not in seconds else ""
    return replace(
        seen,
        kind=run_kind(folder),
        detail=f"{state.detail} {would_send}".strip(),
        stages=stages,
        seconds=seconds,
        stage=state.stage,
        step=state.step or 0,
        total=state.total or 0,
        seconds_left=state.seconds_left,
        failures=choice_text.captions_failed(len(failures), failures[-1]["error"]) if failures else "",
    )


def _generator_html(
    services: Services,
    run: RunView | None,
    runs: Sequence[RunView],
    by_id: Mapping[str, RunDir],
    why_not: str | None,
    trouble: str,
) -> str:
    report = _json(by_id[run.id], "sample_report.json") if run and run.name == "done" else {}
    return generator_card(
        run,
        round_number=services.store.results.round(),
        why_not=why_not,
        waiting=sum(other.name == "queued" for other in runs),
        report=report,
        message=trouble,
        answered=(services.label_count(), services.store.answered.count_reviewed()),
        sending="" if run and run.active else _sending(services),
        reviewed=services.reviewed_enough(),
    )


def _sending(services: Services) -> str:
    """Return where the next run would send images; empty where they stay on this computer."""
    teacher = services.choosing.choices().teacher
    if teacher.source != "server" or teacher.local_host:
        return ""
    return where_images_go(teacher, services.choosing.without_caption(teacher))


def _models_html(person: Person, runs: Sequence[RunView], obstacles: Mapping[str, str]) -> str:
    services, rows = person.services, []
    latest = services.latest_models()
    for method in METHODS:
        model = latest.get(method)
        rows.append(
            MethodView(
                method=method,
                run=next((run for run in runs if run.kind == method), None),
                why_not=obstacles.get(method),
                accuracy=services.scores.of_run(RunId(model.run_id))[1] if model else None,
                questions=len(services.scores.answers(RunId(model.run_id))) if model else 0,
                learnt_from=text.trained_on(model.labels, model.pairs) if model and method != "zero_shot" else "",
            )
        )
    # All again only when all have ended: whoever presses meanwhile wants those that wait, not those that are done.
    busy = any(row.run and row.run.active for row in rows)
    # The base model learns nothing, and has a button of its own.
    reasons = [row.why_not for row in rows if row.method != "zero_shot"]
    ready = 0 if busy else reasons.count(None)
    why_not = "" if ready else text.ALL_AGAIN if busy else str(reasons[0])
    coming: Coming = None
    if not any(run.active for run in runs) and not any(row.why_not for row in rows) and services.reviewed_enough():
        coming = "compare" if services.learnt.nothing_new(latest) else "finetune"
    rounds = rounds_card(services.store.rounds.all(), services.round_accuracy(), may=person.may("oversee"))
    cards = methods_card(rows, ready=ready, why_not=why_not, coming=coming) + rounds + runs_card(runs)
    return f'<div class="screen stack" data-serial="0">{cards}</div>'


def _host(folder: RunDir) -> str:
    """Return the computer that a run sends images to, to be described; empty where it sends none."""
    teacher = TeacherConfig.from_json((folder.config().get("generator") or {}).get("teacher", {}))
    return "" if teacher.local_host else teacher.host


def _mask_summary(by_id: Mapping[str, RunDir], runs: Sequence[RunView]) -> dict[str, Any]:
    """Return the newest summary of a mask; nothing before there is one."""
    found = (_json(by_id[run.id], "mask_summary.json") for run in runs if run.kind == "generator")
    return next((summary for summary in found if "skipped" in summary), {})  # earlier versions told less


def _json(folder: RunDir, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder.path / "output" / name).read_text())
    except FileNotFoundError:
        return {}
    return found
