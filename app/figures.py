"""Plotly figures in the app's own look. Pure functions; they read no files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from app import compare_text, text
from leaml.records import Interval

INK, SOFT, LINE, ACCENT, GREY = "#14212b", "#56656f", "#e1e7eb", "#0f766e", "#8b9aa4"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
COLOURS = {"question_loss": ACCENT, "answer_loss": ACCENT, "caption_loss": GREY, "wrong_image_loss": GREY}
DASHED = ("wrong_image_loss",)
SMOOTHING = 0.85
LOSS_HEIGHT_PX, ROW_HEIGHT_PX = 230, 46


@dataclass(frozen=True)
class Series:
    """One figure of a training stage over its steps."""

    name: str
    steps: Sequence[int]
    values: Sequence[float]


def loss_series(progress: Sequence[Mapping[str, Any]]) -> tuple[list[Series], int]:
    """Return the losses of the last stage that reports any, and how many steps that stage has.

    The generator's stage goes before the others: its losses are what the screen is about.
    """
    stages: dict[str, list[Mapping[str, Any]]] = {}
    for line in progress:
        if any(name in COLOURS for name in line.get("figures", {})):
            stages.setdefault(str(line["stage"]), []).append(line)
    if not stages:
        return [], 0
    lines = stages.get("generator") or list(stages.values())[-1]
    # A resumed run repeats the steps after its checkpoint: the later line is the one that counts.
    by_step = {int(line["step"]): line["figures"] for line in lines}
    found = []
    for name in COLOURS:
        points = [(step, float(figures[name])) for step, figures in sorted(by_step.items()) if name in figures]
        if points:
            found.append(Series(name, [step for step, _ in points], [value for _, value in points]))
    return found, int(lines[-1]["total"])


def loss_figure(series: Sequence[Series], *, total: int) -> go.Figure:
    """Return the losses, each as a faint line and its running mean."""
    figure = _figure(LOSS_HEIGHT_PX)
    for row in series:
        colour = COLOURS.get(row.name, GREY)
        common = {"x": list(row.steps), "mode": "lines", "hoverinfo": "skip"}
        figure.add_scatter(**common, y=list(row.values), line={"color": colour, "width": 1}, opacity=0.28)
        line = {"color": colour, "width": 3, "dash": "dot" if row.name in DASHED else "solid"}
        smooth = {"y": running_mean(row.values), "line": line, "name": text.SERIES[row.name]}
        figure.add_scatter(**(common | smooth | {"hoverinfo": "x+y+name"}))
    if not series:
        _say(figure, text.NO_LOSS)
    figure.update_xaxes(range=[0, max(total, 1)], visible=bool(series), title=None)
    figure.update_yaxes(rangemode="tozero", visible=bool(series))
    return figure


def running_mean(values: Sequence[float]) -> list[float]:
    """Return an exponential running mean without the bias of its start."""
    mean, weight, result = 0.0, 0.0, []
    for value in values:
        mean = SMOOTHING * mean + (1 - SMOOTHING) * value
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        result.append(mean / weight)
    return result


def interval_figure(rows: Sequence[tuple[str, Interval, bool]]) -> go.Figure:
    """Return a dot with its interval for each model; rows are (name, interval, is one of ours)."""
    figure = _figure(70 + ROW_HEIGHT_PX * max(1, len(rows)))
    for name, interval, ours in rows:
        value = 100 * interval.value
        figure.add_scatter(
            x=[value],
            y=[name],
            mode="markers",
            marker={"size": 13, "color": ACCENT if ours else GREY},
            error_x={
                "array": [100 * interval.high - value],
                "arrayminus": [value - 100 * interval.low],
                "thickness": 3,
                "width": 0,
                "color": ACCENT if ours else "#b7c4cb",
            },
            hovertemplate=f"%{{y}}: %{{x:.1f}} ({100 * interval.low:.0f} to {100 * interval.high:.0f})<extra></extra>",
        )
    figure.update_yaxes(autorange="reversed", showgrid=False, tickfont={"size": 14, "color": INK})
    figure.update_xaxes(title=compare_text.CHANCE_X, title_font={"size": 13, "color": SOFT})
    figure.update_layout(margin={"l": 10, "r": 20, "t": 8, "b": 44})
    return figure


def _say(figure: go.Figure, sentence: str) -> None:
    figure.add_annotation(
        text=sentence, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 14, "color": SOFT}
    )


def _figure(height: int) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 44, "r": 8, "t": 8, "b": 30},
        showlegend=False,
        paper_bgcolor="#fff",
        plot_bgcolor="#fff",
        font={"family": FONT, "size": 13, "color": SOFT},
        hoverlabel={"bgcolor": "#fff", "font": {"family": FONT, "color": INK}, "bordercolor": LINE},
        dragmode=False,
        uirevision="stay",
    )
    axis = {"gridcolor": LINE, "zeroline": False, "linecolor": LINE, "automargin": True, "fixedrange": True}
    figure.update_xaxes(**axis, showgrid=False)
    figure.update_yaxes(**axis)
    return figure
