"""The card in which a project's model and teacher are chosen: as HTML, and what was typed there as settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from app import choice_text
from app.choosing import Outlook
from app.errors import InputError
from app.screen import require_text
from app.view import button, field, note, select
from leaml.choices import Choices
from leaml.config import BUNDLED_MODEL, FLIPS, Flips, Precision
from leaml.teacher.config import TeacherConfig
from leaml.teacher.notice import where_images_go

NUMBERS = {
    "concurrency": choice_text.CONCURRENCY,
    "timeout_s": choice_text.TIMEOUT,
    "longest_side_px": choice_text.SIDE,
    "max_tokens": choice_text.TOKENS,
}
"""Fields of `TeacherConfig` that are typed as whole numbers, with their labels."""
BITS: Mapping[str, Literal[4, 8, 16]] = {"4": 4, "8": 8, "16": 16}


@dataclass(frozen=True)
class Told:
    """What the card says about the last button that was pressed.

    Attributes:
        sentence: For the person.
        kind: As `view.note` takes it.
        host: The computer that waits for consent before an image is sent there; empty where none does.
    """

    sentence: str
    kind: str = ""
    host: str = ""


def typed_choices(data: Mapping[str, Any]) -> Choices:
    """Return what was typed in the card.

    Raises:
        InputError: If something is missing.
        ConfigError: If values do not fit together.
    """

    def typed(name: str) -> str:
        return str(data.get(f"choice_{name}", "")).strip()

    own = typed("model_kind") == "own"
    model = require_text(typed("model"), choice_text.NO_MODEL) if own else BUNDLED_MODEL
    numbers = {name: _whole(label, typed(name)) for name, label in NUMBERS.items() if typed(name)}
    more: dict[str, Any] = {**numbers, **({"prompt": typed("prompt")} if typed("prompt") else {})}
    source = typed("source")
    if source == "server":
        teacher = TeacherConfig(
            source="server",
            url=require_text(typed("url"), choice_text.NO_SERVER),
            model=require_text(typed("served"), choice_text.NO_SERVER),
            key_env=typed("key_env"),
            key_file=typed("key_file"),
            allow_http=typed("http") == "yes",
            **more,
        )
    elif source == "local":
        bits = BITS.get(typed("bits"))
        teacher = TeacherConfig(
            source="local", model=require_text(typed("local"), choice_text.NO_LOCAL), bits=bits, **more
        )
    else:
        teacher = TeacherConfig()
    precision: Precision = "bfloat16" if typed("precision") == "bfloat16" else "float32"
    flips: Flips = next((way for way in FLIPS if way == typed("flips")), "none")
    return Choices(model, teacher, precision, saves_memory=typed("memory") == "yes", flips=flips)


def choices_card(
    saved: Choices,
    shown: Choices,
    *,
    outlook: Outlook | None,
    missing: int,
    told: Told | None,
    may_change: bool,
    has_captions: bool,
) -> str:
    """Return the card.

    Args:
        saved: What holds.
        shown: What stands in the fields: what holds, or what was typed.
        outlook: What a round with the model that holds would take; None where that is not known yet.
        missing: How many images the teacher that holds would be asked about.
        told: About the last button that was pressed.
        may_change: Whether to offer the fields.
        has_captions: Whether any image is described by now.
    """
    model = choice_text.BUNDLED if saved.model == BUNDLED_MODEL else saved.model
    said_by = saved.teacher
    teacher = choice_text.teacher_in_words(said_by.source, said_by.model, said_by.host, has_captions=has_captions)
    leaves = saved.teacher.source == "server" and not saved.teacher.local_host
    away = note(where_images_go(saved.teacher, missing), kind="warn") if leaves else ""
    easy = f'<p class="soft small">{choice_text.NO_CHOICE_NEEDED}</p>' if saved == Choices(flips=saved.flips) else ""
    return (
        f'<section class="card choices" data-card="choices"><h2>{choice_text.TITLE}</h2>'
        f"<p>{escape(choice_text.chosen(model, teacher, saved.flips))}</p>{easy}{away}"
        f"{_outlook_line(outlook) if outlook else ''}"
        f"{_fields(shown, told, estimated=outlook is not None) if may_change else ''}</section>"
    )


def _outlook_line(outlook: Outlook) -> str:
    """Return what a round takes, and what would fit where it does not."""
    facts, found = outlook.facts, outlook.estimate
    sentence = choice_text.estimated(
        facts.parameters, facts.device, found.memory_bytes, found.available_bytes, found.seconds, outlook.measured
    )
    if not facts.here:
        sentence += " " + choice_text.download(4 * facts.parameters)
    if found.fits:
        return f'<p class="soft small">{escape(sentence)}</p>'
    saving = float(found.saving_bytes) if found.fits_when_saving else None
    least = float(found.least_bytes) if found.fits_at_last else None
    return note(f"{sentence} {choice_text.too_large(saving, least, found.largest)}", kind="warn")


def _fields(shown: Choices, told: Told | None, *, estimated: bool) -> str:
    """Return the folded form; the style sheet shows the fields of the chosen kind alone."""
    teacher, own = shown.teacher, shown.model != BUNDLED_MODEL
    kind = "own" if own else "bundled"
    model = field(choice_text.MODEL_NAME, "choice_model", shown.model if own else "", hint=choice_text.MODEL_EXAMPLE)
    local = field(
        choice_text.LOCAL, "choice_local", teacher.model if teacher.source == "local" else "",
        hint=choice_text.SERVED_EXAMPLE,
    )  # fmt: skip
    weights = _pick(choice_text.LOCAL_BITS, "bits", choice_text.LOCAL_BITS_CHOICES, str(teacher.bits or ""))
    test = button(choice_text.TEST, data_act="test_teacher", data_by="slow", id="test-teacher")
    offer = "" if estimated else button(choice_text.ESTIMATE, data_act="estimate", data_by="slow", id="estimate")
    save = button(choice_text.SAVE, kind="go", data_act="save_choices", data_by="slow", id="save-choices")
    return (
        f'<details class="fold" data-fold="choices"><summary>{choice_text.CHANGE}</summary>'
        f'<div class="fields">{_pick(choice_text.MODEL, "model_kind", choice_text.MODEL_KINDS, kind)}'
        f'<div class="if-own">{model}</div>'
        f"{_pick(choice_text.TEACHER, 'source', choice_text.TEACHERS, teacher.source)}"
        f'<div class="if-local">{local}</div><div class="if-local">{weights}</div></div>'
        f'<p class="soft small">{choice_text.TEACHER_LEAD}</p>{_server_fields(teacher)}'
        f'<div class="fields">{_pick(choice_text.FLIPS, "flips", choice_text.FLIPS_CHOICES, shown.flips)}</div>'
        f'<p class="soft small">{choice_text.FLIPS_LEAD}</p>{_more_fields(shown)}'
        f'{_told(told)}<div class="row"><span class="if-asked">{test}</span>{save}{offer}</div></details>'
    )


def _server_fields(teacher: TeacherConfig) -> str:
    served = teacher.model if teacher.source == "server" else ""
    return (
        f'<div class="if-server"><div class="fields">'
        f"{field(choice_text.URL, 'choice_url', teacher.url, hint=choice_text.URL_EXAMPLE)}"
        f"{field(choice_text.SERVED, 'choice_served', served, hint=choice_text.SERVED_EXAMPLE)}"
        f"{field(choice_text.KEY_ENV, 'choice_key_env', teacher.key_env, hint=choice_text.KEY_ENV_EXAMPLE)}"
        f"{field(choice_text.KEY_FILE, 'choice_key_file', teacher.key_file)}</div>"
        f'<p class="soft small">{choice_text.KEY_LEAD}</p>{note(choice_text.SERVER_NOTICE, kind="warn")}</div>'
    )


def _more_fields(shown: Choices) -> str:
    """Return what hardly anybody needs to change."""
    teacher = shown.teacher
    numbers = "".join(field(label, f"choice_{name}", f"{getattr(teacher, name):g}") for name, label in NUMBERS.items())
    http = _pick(choice_text.HTTP, "http", choice_text.HTTP_CHOICES, "yes" if teacher.allow_http else "no")
    precision = _pick(choice_text.PRECISION, "precision", choice_text.PRECISION_CHOICES, shown.precision)
    memory = _pick(choice_text.MEMORY, "memory", choice_text.MEMORY_CHOICES, "yes" if shown.saves_memory else "no")
    prompt = field(choice_text.PROMPT, "choice_prompt", teacher.prompt, lines=3)
    return (
        f'<details class="fold more" data-fold="choices-more"><summary>{choice_text.MORE}</summary>'
        f'<div class="fields">{precision}{memory}</div>'
        f'<div class="fields if-asked"><div class="wide">{prompt}</div>{numbers}{http}</div></details>'
    )


def _told(told: Told | None) -> str:
    if told is None:
        return ""
    action = ""
    if told.host:
        action = button(
            choice_text.send(told.host), kind="compact", data_act="test_teacher", data_by="slow", data_host=told.host
        )
    return note(told.sentence, kind=told.kind, action=action)


def _pick(label: str, name: str, options: tuple[tuple[str, str], ...], chosen: str) -> str:
    return select(label, f"choice_{name}", options, chosen)


def _whole(label: str, typed: str) -> int:
    try:
        return int(typed)
    except ValueError:
        raise InputError(choice_text.whole_number(label, typed)) from None
