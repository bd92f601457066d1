"""The small pieces of HTML that every screen is made of: buttons with their keys, images, bars. Pure functions.

Whole cards are in `cards` and `reports`, Plotly figures in `figures`. What is put in from outside is escaped here.
"""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from app import text

ICON = (Path(__file__).parent.parent / "assets" / "icon.svg").read_text()


def attributes(values: Mapping[str, object]) -> str:
    """Return HTML attributes; an underscore becomes a hyphen, True a bare name, None and False nothing."""
    parts = []
    for name, value in values.items():
        if value is None or value is False:
            continue
        key = name.rstrip("_").replace("_", "-")
        parts.append(f" {key}" if value is True else f' {key}="{escape(str(value))}"')
    return "".join(parts)


def kbd(key: str) -> str:
    """Return a key as it is drawn on buttons."""
    return f"<kbd>{escape(key)}</kbd>"


def button(label: str, *, kind: str = "", key: str | None = None, shown_key: str | None = None, **more: object) -> str:
    """Return a button.

    Args:
        label: Its text.
        kind: CSS classes such as `go`, `no`, `quiet`.
        key: The keyboard key that presses it, as in `KeyboardEvent.key`, lower case.
        shown_key: How the key is drawn; by default `key` in capitals, and nothing where it is empty.
        more: Other attributes, such as `data_act="accept"`, `disabled=True`.
    """
    hint = key.capitalize() if key and shown_key is None else shown_key
    values = {"type": "button", "class": kind or None, "data_key": key, **more}
    return f"<button{attributes(values)}>{escape(label)}{kbd(hint) if hint else ''}</button>"


def go_button(label: str, tab: str, *, kind: str = "go", key: str | None = None) -> str:
    """Return a button that leads to another screen."""
    return button(label, kind=kind, key=key, data_local="go", data_tab=tab)


def bar(share: float, *, label: str | None = None) -> str:
    """Return a progress bar; `share` in [0, 1]."""
    percent = 100 * min(1.0, max(0.0, share))
    role = {"role": "progressbar", "aria_valuenow": round(percent), "aria_label": label} if label else {}
    return f'<div class="bar"{attributes(role)}><i style="width:{percent:.1f}%"></i></div>'


def note(sentence: str, *, kind: str = "", action: str = "") -> str:
    """Return a coloured line with an optional button; `kind` is empty, `warn` or `bad`."""
    return f'<div class="note {kind}" role="status"><span>{escape(sentence)}</span>{action}</div>'


def eyebrow(left: str, right: str = "") -> str:
    """Return the small line above a title."""
    return f'<div class="eyebrow"><span>{escape(left)}</span><span>{escape(right)}</span></div>'


def empty_state(title: str, sentence: str, action: str) -> str:
    """Return what a screen shows when it has nothing: what to do, and the button that leads there."""
    return (
        f'<div class="screen"><div class="card empty">{ICON}<h1>{escape(title)}</h1>'
        f'<p class="soft">{escape(sentence)}</p><div class="acts">{action}</div></div></div>'
    )


def image_box(url: str, name: str, *, tools: bool = True) -> str:
    """Return one large image in a box that keeps its size."""
    buttons = (
        button(text.ZOOM, kind="chip", key="z", data_local="zoom", aria_pressed="false")
        + button(text.CONTRAST, kind="chip", key="c", data_local="contrast", aria_pressed="false")
        + button(text.HELP, kind="chip", key="?", data_local="help")
    )
    return (
        f'<section class="card image"><img src="{escape(url)}" alt="{escape(text.image_alt(name))}">'
        f'<span class="chip where">{escape(name)}</span>'
        + (f'<div class="tools">{buttons}</div>' if tools else "")
        + "</section>"
    )


def key_help(screen: str) -> str:
    """Return the dialog that lists the keys of a screen."""
    rows = "".join(f"<span>{kbd(key)}</span><span>{escape(what)}</span>" for key, what in text.KEYS[screen])
    close = button(text.CLOSE, kind="go", data_local="help")
    return f'<dialog aria-label="{text.HELP}"><h1>{text.HELP}</h1><div class="keys">{rows}</div>{close}</dialog>'


def field(label: str, name: str, value: str = "", *, lines: int = 1, hint: str = "") -> str:
    """Return a labelled text field, with a faint example where there is a hint."""
    common = {"name": name, "placeholder": hint or None, "autocomplete": "off"}
    content = (
        f"<input{attributes({'type': 'text', 'value': value, **common})}>"
        if lines == 1
        else f"<textarea{attributes({'rows': lines, **common})}>{escape(value)}</textarea>"
    )
    return f"<label>{escape(label)}{content}</label>"


def select(label: str, name: str, choices: Sequence[tuple[str, str]], chosen: str, *, change: str) -> str:
    """Return a labelled list of choices (value, text) that tells the server when it changes."""
    options = "".join(
        f"<option{attributes({'value': value, 'selected': value == chosen})}>{escape(shown)}</option>"
        for value, shown in choices
    )
    return f'<label>{escape(label)}<select name="{name}" data-change="{change}">{options}</select></label>'


def header(project: str, counts: Mapping[str, str], *, signed_in: str = "") -> str:
    """Return the brand, the small counts beside the names of the tabs, and who has signed in."""
    rules = "".join(
        f'#tab-{tab}-button::after{{content:"{count}"!important;margin-left:6px}}'
        for tab, count in counts.items()
        if count.isdigit()
    )
    leave = f'<div class="who">{escape(signed_in)} · <a href="logout">{text.SIGN_OUT}</a></div>' if signed_in else ""
    return (
        f'<style>{rules}</style><div class="brand" data-serial="0">{ICON}<b>{text.NAME}</b>'
        f"<span>{escape(project)}</span></div>{leave}"
    )


def percent(share: float) -> str:
    """Write a share in [0, 1] as whole percent."""
    return f"{100 * share:.0f}"


def short_type(type_id: str | None) -> str:
    """Return a question type's id as people read it."""
    return "own" if type_id is None else type_id.replace("_", " ")
