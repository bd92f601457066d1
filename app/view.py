"""The small pieces of HTML that every screen is made of: buttons with their keys, images, bars. Pure functions.

Whole cards are in `cards` and `reports`, Plotly figures in `figures`. What is put in from outside is escaped here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from app import label_text, people_text, text

WAITS = "waits"
"""Class of what may change by itself: a page that shows it asks again and again."""
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


def empty_state(title: str, sentence: str, action: str, *, waits: bool = False) -> str:
    """Return what a screen shows when it has nothing: what to do, and the button that leads there.

    Args:
        title: What there is not.
        sentence: Why, and what to do.
        action: Buttons.
        waits: Whether it may come by itself; see `WAITS`.
    """
    return (
        f'<div class="screen"><div class="card empty{f" {WAITS}" if waits else ""}">{ICON}<h1>{escape(title)}</h1>'
        f'<p class="soft">{escape(sentence)}</p><div class="acts">{action}</div></div></div>'
    )


@dataclass(frozen=True)
class Picture:
    """An image, or a clip, as the page needs it.

    Attributes:
        id: Of the image.
        name: Of its file.
        url: Of the picture; of a clip, that of the frame in its middle.
        frames: Of a clip, in the order of time: what models are shown.
        clip: Of the clip itself.
    """

    id: str
    name: str
    url: str
    frames: tuple[str, ...] = ()
    clip: str | None = None


def image_box(picture: Picture, *, position: str = "", more: str | None = None) -> str:
    """Return one large image in a box that keeps its size, with its tools (see assets/viewer.js).

    A clip shows one frame large, all of them in a strip, and plays in the same place.

    Args:
        picture: What is shown.
        position: Where it is in a series.
        more: Buttons beside those that zoom; None where there is no series to walk along.
    """
    keys = button(text.HELP, kind="chip", key="?", data_local="help")
    above, below = (f'<div class="tools above">{keys}</div>', more) if more is not None else ("", keys)
    about = attributes({"role": "group", "tabindex": "0", "aria_label": f"{picture.name}. {label_text.IMAGE_HELP}"})
    where = " · ".join(part for part in (picture.name, position) if part)
    player, strip, play = _clip(picture) if picture.clip else ("", "", "")
    kind = "card image" + (" clip" if picture.clip else "") + (" walk" if more is not None else "")
    image = {"src": picture.url, "alt": text.image_alt(picture.name), "draggable": "false"}
    return (
        f'<section class="{kind}"{about}><div class="seen">'
        f"<img{attributes(image)}>{player}</div>"
        f'<span class="chip where">{escape(where)}</span>{above}{_light()}{strip}'
        f'<div class="tools" role="toolbar" aria-label="{label_text.IMAGE_TOOLS}">'
        f"{below}{play}{_zoom()}</div></section>"
    )


def _clip(picture: Picture) -> tuple[str, str, str]:
    """Return a clip's player, its frames in a row, and the button that plays it."""
    about = {"src": picture.clip, "preload": "none", "controls": True, "muted": True, "loop": True}
    player = f"<video{attributes({**about, 'playsinline': True, 'hidden': True})}></video>"
    frames = "".join(
        f'<button type="button" class="frame"{attributes(_frame(number, url == picture.url))}>'
        f'<img src="{escape(url)}" alt="" draggable="false"></button>'
        for number, url in enumerate(picture.frames, start=1)
    )
    before, after = (
        button(mark, kind="chip", key=key, shown_key="", data_local=act, aria_label=label)
        for mark, key, act, label in (
            ("\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", ",", "earlier", label_text.FRAME_BEFORE),
            ("\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}", ".", "later", label_text.FRAME_AFTER),
        )
    )
    play = button(label_text.PLAY, kind="chip", key="p", data_local="play", aria_pressed="false")
    unplayable = f'<p class="chip unplayable" hidden>{label_text.UNPLAYABLE}</p>'
    strip = f'<div class="strip" role="group" aria-label="{label_text.FRAMES}">{before}{frames}{after}</div>'
    return player + unplayable, strip, play


def _frame(number: int, shown: bool) -> dict[str, object]:
    return {
        "data_local": "frame",
        "aria_label": label_text.frame(number),
        "aria_pressed": "true" if shown else "false",
    }


def _zoom() -> str:
    away = button(
        "\N{MINUS SIGN}", kind="chip", key="-", shown_key="", data_local="away", aria_label=label_text.ZOOM_OUT
    )
    closer = button("+", kind="chip", key="+ =", shown_key="", data_local="closer", aria_label=label_text.ZOOM_IN)
    light = button(label_text.LIGHT, kind="chip", key="c", data_local="light", aria_expanded="false")
    zoom = button(text.ZOOM, kind="chip", key="z", data_local="zoom", aria_pressed="false")
    scale = '<output class="scale" aria-live="polite">1.0\N{MULTIPLICATION SIGN}</output>'
    return f'{light}<span class="chip steps-of">{away}{scale}{closer}</span>{zoom}'


def _light() -> str:
    """Return the sliders of brightness and contrast, hidden until they are asked for."""
    sliders = "".join(
        f'<label>{label}<input type="range" min="{low}" max="{high}" value="100" data-light="{name}"></label>'
        for label, name, low, high in (
            (label_text.BRIGHTNESS, "brightness", 40, 250),
            (label_text.CONTRAST, "contrast", 40, 300),
        )
    )
    reset = button(label_text.RESET, kind="chip", data_local="plain")
    close = button(text.CLOSE, kind="chip", key="escape", shown_key="Esc", data_local="light")
    return f'<div class="light">{sliders}{reset}{close}</div>'


def key_help(screen: str, *, clip: bool = False) -> str:
    """Return the dialog that lists the keys of a screen."""
    moves = () if screen == "compare" else label_text.MOVE_KEYS  # there the arrow keys lead to other images
    rows = "".join(
        f"<span>{kbd(key)}</span><span>{escape(what)}</span>"
        for key, what in (*text.KEYS[screen], *label_text.VIEWER_KEYS, *moves, *(label_text.CLIP_KEYS if clip else ()))
    )
    close = button(text.CLOSE, kind="go", data_local="help")
    return f'<dialog aria-label="{text.HELP}"><h1>{text.HELP}</h1><div class="keys">{rows}</div>{close}</dialog>'


def field(label: str, name: str, value: str = "", *, lines: int = 1, hint: str = "", fixed: bool = False) -> str:
    """Return a labelled text field, with a faint example where there is a hint; a fixed one can only be read."""
    common = {"name": name, "placeholder": hint or None, "autocomplete": "off", "dir": "auto", "readonly": fixed}
    content = (
        f"<input{attributes({'type': 'text', 'value': value, **common})}>"
        if lines == 1
        else f"<textarea{attributes({'rows': lines, **common})}>{escape(value)}</textarea>"
    )
    return f"<label>{escape(label)}{content}</label>"


def select(label: str, name: str, choices: Sequence[tuple[str, str]], chosen: str, *, change: str | None = None) -> str:
    """Return a labelled list of choices (value, text); with `change` it tells the server when it changes."""
    options = "".join(
        f"<option{attributes({'value': value, 'selected': value == chosen})}>{escape(shown)}</option>"
        for value, shown in choices
    )
    about = attributes({"name": name, "data_change": change})
    return f"<label>{escape(label)}<select{about}>{options}</select></label>"


def header(project: str, counts: Mapping[str, str], *, signed_in: str = "") -> str:
    """Return the brand, the small counts beside the names of the tabs, and who has signed in."""
    rules = "".join(
        f'#tab-{tab}-button::after{{content:"{count}"!important;margin-left:6px}}'
        for tab, count in counts.items()
        if count.isdigit()
    )
    leave = (
        f'<div class="who">{escape(signed_in)} · <a href="logout">{people_text.SIGN_OUT}</a></div>' if signed_in else ""
    )
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
