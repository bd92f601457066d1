"""The Project screen as HTML: the loop with its next step, what is here, and the form that brings images in."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal

from app import choice_text, label_text, neighbours_text, project_text, text
from app.cards import label_offer
from app.view import Picture, attributes, button, eyebrow, go_button, note
from app.view import field as text_field
from leaml.labelling.suggestions import Agreement
from leaml.records import Project, QuestionType
from leaml.store.neighbours import Neighbour

_WORKING = f'<p class="only-busy" role="status">{choice_text.WORKING}</p>'
"""Shown while a button with `data-by="slow"` is at work."""


@dataclass(frozen=True)
class LoopStep:
    """One step of the loop on the Project screen; `at_work` while a run does it.

    Where the project `asks_nothing`, its questions come before the labels.
    """

    id: str
    state: Literal["done", "next", "later"]
    detail: str
    at_work: bool = False
    asks_nothing: bool = False


def project_screen(
    project: Project | None,
    steps: Sequence[LoopStep],
    tiles: dict[str, int],
    thumbs: Sequence[Picture],
    message: str,
    *,
    opens: Path | None = None,
    neighbours: Sequence[Neighbour] = (),
    for_me: int,
    may_import: bool,
    may_label: bool,
    sway: tuple[Agreement, Agreement] | None = None,
    choices: str = "",
) -> str:
    """Return the Project screen: the loop with its next step, and what is here.

    Args:
        project: None in an empty workspace.
        steps: Of the loop.
        tiles: Counts, by the keys of `text.TILES`.
        thumbs: A few of the images.
        message: What just happened.
        opens: The workspace that the message's button opens.
        neighbours: Other projects that can be opened.
        for_me: How many questions the reference answers could label; 0 hides the offer.
        may_import: Whether to offer the sample and the forms that bring labels and images in.
        may_label: Whether to offer the list of questions.
        sway: How often labels agree with suggestions that were shown, and with those kept back; None without any.
        choices: The card in which model and teacher are chosen.
    """
    told = note(message, action=open_button(opens, kind="go compact") if opens else "") if message else ""
    others = _neighbours_card(neighbours) if neighbours else ""
    if project is None:
        load = button(text.LOAD_SAMPLE, kind="go", data_act="sample", data_by="slow", disabled=not may_import)
        return (
            f'<div class="screen">{told}<div class="card empty" data-serial="0"><h1>{text.NO_PROJECT_TITLE}</h1>'
            f'<p class="soft">{text.NO_PROJECT}</p><div class="acts">{load}</div></div>'
            f"{others}{_import_card() if may_import else ''}{_WORKING}</div>"
        )
    numbers = "".join(
        f'<div class="tile"><b>{tiles[key]}</b><span>{text.TILES[key]}</span></div>' for key in text.TILES
    )
    pictures = "".join(
        f'<img src="{escape(p.url)}" alt="{escape(text.image_alt(p.name))}" loading="lazy">' for p in thumbs
    )
    rows = "".join(_loop_step(number, step) for number, step in enumerate(steps, 1))
    return (
        f'<div class="screen" data-serial="0">{told}<div class="split"><section class="card">'
        f'<h1>{text.LOOP_TITLE}</h1><p class="soft">{text.LOOP_LEAD}</p><ol class="loop">{rows}</ol>'
        f"{label_offer(for_me)}</section>"
        f'<section class="card column-card">{eyebrow(text.HERE)}<h1>{escape(project.name)}</h1>'
        f'<p class="soft">{escape(project.description)}</p><div class="tiles">{numbers}</div>'
        f'<p class="soft small">{text.TEST_WALL}</p><div class="thumbs">{pictures}</div></section></div>'
        f"{choices}{_insights_card(*sway) if sway else ''}{_questions_card(project) if may_label else ''}"
        f"{_labels_card() + _import_card(project) + _export_card() if may_import else ''}{others}"
        f"{_WORKING}</div>"
    )


def _export_card() -> str:
    """Return the buttons that write what people decided for use elsewhere."""
    rows = "".join(
        f"<tr><td><b>{title}</b><small>{what}</small></td>"
        f"<td>{button(text.WRITE, kind='compact', data_act='export', data_ending=ending)}</td></tr>"
        for ending, (title, what) in text.EXPORTS.items()
    )
    return (
        f'<details class="card fold import" data-fold="export"><summary>{text.EXPORT_TITLE}</summary>'
        f'<p class="soft">{text.EXPORT_LEAD}</p><table class="results neighbours">{rows}</table></details>'
    )


def open_button(workspace: Path, **more: object) -> str:
    """Return the button that opens another project; the page loads again when the app is there."""
    about = {"data_act": "open", "data_workspace": str(workspace), "data_reopen": neighbours_text.OPENING}
    return button(neighbours_text.OPEN, **about, **more)  # type: ignore[arg-type]


def _neighbours_card(neighbours: Sequence[Neighbour]) -> str:
    """Return the foldable list of the other projects."""
    rows = "".join(
        f"<tr><td><b>{escape(one.project)}</b><small>{escape(str(one.workspace))}</small></td><td>{_way_in(one)}</td></tr>"
        for one in neighbours
    )
    return (
        f'<details class="card fold import" data-fold="neighbours"><summary>{neighbours_text.TITLE}</summary>'
        f'<p class="soft">{neighbours_text.LEAD}</p><table class="results neighbours">{rows}</table></details>'
    )


def _way_in(one: Neighbour) -> str:
    """Return the button that opens another project, or why it cannot be opened from here."""
    return neighbours_text.OBSTACLES[one.obstacle] if one.obstacle else open_button(one.workspace, kind="compact")


def _questions_card(project: Project) -> str:
    """Return the form with the project's questions, one a line, unfolded where there are none yet."""
    lines = "\n".join(map(_typed, project.question_types))
    rows = min(18, lines.count("\n") + 3)
    save = button(label_text.SAVE_QUESTIONS, kind="go", data_act="questions")
    state = ' data-fold="questions"' if project.question_types else " open"
    return (
        f'<details class="card fold import" data-card="questions"{state}><summary>'
        f'{label_text.QUESTIONS}</summary><p class="soft">{label_text.QUESTIONS_LEAD}</p>'
        f"{text_field(label_text.QUESTIONS_FIELD, 'question_list', lines, lines=rows)}"
        f'<div style="margin-top:14px">{save}</div></details>'
    )


def _typed(kind: QuestionType) -> str:
    """Return a question type as a person types it."""
    line = " | ".join((kind.question, *kind.options))
    return f"{line}\n{label_text.DEFINES} {kind.definition}" if kind.definition else line


def _insights_card(shown: Agreement, hidden: Agreement) -> str:
    """Return what showing suggestions did to the answers."""
    tiles = "".join(
        f'<div class="tile"><b>{f"{100 * found.share.value:.0f}%" if found.share else "·"}</b><span>{name}<br>'
        f"{_agreeing(found)}</span></div>"
        for name, found in ((label_text.SHOWN, shown), (label_text.HIDDEN, hidden))
    )
    return (
        f'<section class="card insights"><h2>{label_text.INSIGHTS}</h2><div class="tiles">{tiles}</div>'
        f'<p class="soft small">{label_text.INSIGHTS_LEAD}</p></section>'
    )


def _agreeing(found: Agreement) -> str:
    if found.share is None:
        return label_text.NO_ANSWER
    return label_text.agreeing(found.agreeing, found.labels, found.share.low, found.share.high)


def _labels_card() -> str:
    """Return the form that brings in labels from a file; the page reads the file into the hidden field."""
    load = button(label_text.IMPORT_LABELS, kind="go", data_act="import_labels")
    return (
        f'<details class="card fold import" data-card="labels" data-fold="labels"><summary>{label_text.LABELS_TITLE}'
        f'</summary><p class="soft">{label_text.LABELS_LEAD}</p>'
        f'<pre class="log">{escape(label_text.LABELS_EXAMPLE)}</pre>'
        f'<label>{label_text.LABEL_FILE}<input type="file" accept=".csv,.tsv,.txt" data-read="label_csv"></label>'
        f'<textarea name="label_csv" hidden aria-hidden="true"></textarea>'
        f'<div style="margin-top:14px">{load}</div></details>'
    )


def _loop_step(number: int, step: LoopStep) -> str:
    title, sentence = text.STEPS[step.id]
    tab = "train" if step.id == "finetune" else step.id
    if step.asks_nothing and step.id == "label" and step.state == "next":
        sentence, end = project_text.QUESTIONS_FIRST, ""
    elif step.state == "next":
        end = go_button(text.STEP_GO[step.id], tab)
    elif step.at_work:
        end = go_button(text.GO_TRAIN, tab, kind="")
    else:
        end = f'<span class="soft small">{escape(step.detail)}</span>'
    mark = "✓" if step.state == "done" else str(number)
    kind = {"done": "done", "next": "on", "later": "later"}[step.state]
    now = f'<p class="at-work">{text.AT_WORK}</p>' if step.at_work else ""
    return (
        f'<li class="{kind}"{attributes({"aria_current": "step" if kind == "on" else None})}>'
        f'<span class="n">{mark}</span><div><b>{title}</b><p>{sentence}</p>{now}</div>{end}</li>'
    )


def _import_card(project: Project | None = None) -> str:
    """Return the form that brings in a folder of images: for a project that is there, or unfolded for the first."""
    asked = project_text.MORE_QUESTIONS if project and project.question_types else text.IMPORT_QUESTIONS
    fields = (
        text_field(text.IMPORT_NAME, "import_name", project.name if project else "")
        + text_field(text.IMPORT_FOLDER, "import_folder", hint=text.IMPORT_FOLDER_EXAMPLE)
        + f'<div class="wide">{text_field(asked, "import_questions", lines=4, hint=text.IMPORT_EXAMPLE)}</div>'
    )
    state = ' data-fold="import"' if project else " open"
    lead = f"{text.IMPORT_LEAD} {project_text.SAME_PROJECT}" if project else text.IMPORT_LEAD
    load = button(text.IMPORT_BUTTON, kind="go", data_act="import", data_by="slow")
    return (
        f'<details class="card fold import" data-card="import"{state}><summary>{text.IMPORT_TITLE}'
        f'</summary><p class="soft">{lead}</p><div class="fields">{fields}</div>'
        f'<div style="margin-top:14px">{load}</div></details>'
    )
