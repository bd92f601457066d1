"""Tables for the terminal and `docs/results.md`, and the figure of accuracy against expert minutes."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import plotly.graph_objects as go

from benchmarks import record
from benchmarks.label_efficiency.collection import Collection
from benchmarks.label_efficiency.compare import Exam, accuracy, difference, recovered
from benchmarks.label_efficiency.draws import label_count
from benchmarks.label_efficiency.headline import (
    LABEL_SECONDS,
    REVIEW_SECONDS,
    SLOW_REVIEW_SECONDS,
    Headline,
    minutes,
    recipe_of,
    said_estimate,
)
from benchmarks.label_efficiency.log import Run
from benchmarks.label_efficiency.methods import BY_NAME, FULL, LEAML, LONGER, LORA, REVIEWS, SUPERVISED

DOCS = Path(__file__).parents[2] / "docs"
PICTURES = (", mirrored", ", flips")
"""Ends of the names of methods that learn from mirrored pictures too; each is compared with its like."""
ACCENT, GREYS = "#0f766e", ("#8b9aa4", "#56656f", "#c2ccd2")
IN_SHORT = (
    "The rows that count, of the app's own recipe; macro accuracy over the question types, with 95% intervals. The\n"
    "expert is simulated from the reference answers and never errs, but for the row that says so. Minutes are\n"
    f"assumed, 12 s a label; the only fifty reviews timed by hand took {SLOW_REVIEW_SECONDS:.0f} s each.\n"
)
HEAD = (
    "| method | runs | macro accuracy | minus full fine-tuning | share of the gap to full supervision | pairs "
    "| precision | expert min | s |\n|---|---|---|---|---|---|---|---|---|\n"
)


@dataclass(frozen=True)
class Table:
    """The methods at one share of labels on one collection."""

    collection: Collection
    share: float
    by_method: dict[str, list[Run]]

    @property
    def title(self) -> str:
        """What the table is about."""
        labels = label_count(self.collection.pool, self.share)
        asked, images = len(self.collection.test), len({q.image_id for q in self.collection.test})
        return (
            f"{self.collection.name}, {self.share:.0%} of the pool's answers ({labels} labels); "
            f"{asked} test questions about {images} images"
        )

    def markdown(self) -> str:
        """Return the table."""
        exam = Exam(self.collection)
        by_draw = {run.draw: run.majority for runs in self.by_method.values() for run in runs}
        cells = f"{len(by_draw)} | {_mean(list(by_draw.values())):.3f}"
        lines = [HEAD, f"| majority answer of the labels | {cells} |  |  |  |  |  |  |\n"]
        return "".join([*lines, *(self._row(name, runs, exam) for name, runs in self.by_method.items())])

    def _row(self, name: str, runs: list[Run], exam: Exam) -> str:
        own = next((end for end in PICTURES if name.endswith(end)), "")
        base, top = self.by_method.get(FULL.name + own, []), _full_supervision(self.by_method, own)
        against = difference(runs, base, exam) if base and runs is not base else None
        way = recovered(runs, base, top, exam) if base and top and runs not in (base, top) else None
        precision = [run.precision for run in runs if run.precision is not None]
        seconds = [run.seconds for run in runs if run.seconds is not None]
        reached = accuracy(runs, exam)
        cells = [
            name,
            f"{reached.runs}",
            said_estimate(reached),
            said_estimate(against, sign=True),
            said_estimate(way, percent=True),
            f"{_mean([run.pairs for run in runs]):.0f}",
            f"{_mean(precision):.2f}" if precision else "",
            f"{_minutes(runs):.0f}",
            f"{median(seconds):.0f}" if seconds else "",
        ]
        return "| " + " | ".join(cells) + " |\n"


def _full_supervision(by_method: Mapping[str, list[Run]], end: str) -> list[Run]:
    """Return the runs of full supervision, of the one that reads all its labels where that ran."""
    return by_method.get(LONGER.name + end) or by_method.get(SUPERVISED.name + end, [])


def tables(runs: Sequence[Run], collections: Sequence[Collection]) -> Iterator[Table]:
    """Yield a table for each collection and share that has runs: methods in their order, then those of earlier code."""
    names = dict.fromkeys([*BY_NAME, *sorted({run.method for run in runs})])
    for collection in collections:
        mine = [run for run in runs if run.collection == collection.name]
        for share in sorted({run.share for run in mine}):
            found = {name: [run for run in mine if run.share == share and run.method == name] for name in names}
            yield Table(collection, share, {name: rows for name, rows in found.items() if rows})


def print_tables(runs: Sequence[Run], collections: Sequence[Collection]) -> None:
    """Print all tables for people."""
    for table in tables(runs, collections):
        print(f"\n{table.title}\n\n{table.markdown()}")


def machines(runs: Sequence[Run]) -> str:
    """Return the machines of these runs, each with how many runs it did, the most first."""
    counts = Counter(run.machine for run in runs)
    return ";\n".join(f"{machine} ({count} run{'s' if count > 1 else ''})" for machine, count in counts.most_common())


def write_docs(runs: Sequence[Run], collections: Sequence[Collection], model: str) -> None:
    """Write `docs/results.md` about one base model, a figure for each collection, and a page for each earlier model."""
    folder = DOCS / "results"
    folder.mkdir(exist_ok=True)
    mine = [run for run in runs if run.model == model]
    parts, sections = [_opening(), "\n## In short\n\n", IN_SHORT], list[str]()
    for collection in collections:
        about = [run for run in mine if run.collection == collection.name]
        if about:
            figure(about, collection).write_image(folder / f"{collection.name}.svg", width=900, height=480)
            parts.append(Headline(collection, about).markdown())
            parts.append(f"\n![Accuracy against expert minutes](results/{collection.name}.svg)\n")
            sections += _sections(about, [collection])
    parts += [_reading(mine), *sections]
    for earlier in dict.fromkeys(run.model for run in runs if run.model != model):
        its = [run for run in runs if run.model == earlier]
        page = "".join([_opening(), f"\nThe base model's weights were earlier ones, {earlier}.\n", _reading(its)])
        (folder / f"{earlier}.md").write_text(page + "".join(_sections(its, collections)), encoding="utf-8")
        parts.append(f"\nThe same with earlier weights of the base model: [{earlier}](results/{earlier}.md).\n")
    (DOCS / "results.md").write_text("".join(parts), encoding="utf-8")


def _opening() -> str:
    written = "`python -m benchmarks.label_efficiency.run --docs` from `benchmarks/label_efficiency/runs.csv`"
    return f"# Label efficiency\n\nWritten by {written}.\n"


def _reading(runs: Sequence[Run]) -> str:
    return (
        "\n## How to read the tables\n\n"
        "Intervals: 95%, Student's t over the spread of the draws of labels and of the groups of near-duplicate test\n"
        "images together; differences and shares over the draws and seeds that both methods have. With one draw, and\n"
        "for what reads no drawn label, they are over test images alone. A difference whose interval holds 0 is not\n"
        f"told apart. Expert minutes are assumed: {LABEL_SECONDS:.0f} s a label, {REVIEW_SECONDS:.0f} s a review. "
        "Seconds: of the median run, one\nprocess, another one perhaps beside it; left out where they were counted "
        "twice or other work ran beside. `runs`:\nmodels, draws times seeds. `pairs`: what is learnt beside the "
        "labels; of reviewed pairs the rejected ones are missing,\nwhich is about half of them on Kvasir polyps, where "
        "a question without a reference answer is rejected. `precision`:\nshare of the unreviewed pairs that are "
        f"right. The share of the gap is left out where there may be none; 100% is full\nsupervision, with "
        f"{LONGER.times} times the updates where that ran. "
        "`mirrored`: pictures are mirrored where models learn and where\nthey are asked; `flips`: where they learn "
        "alone, as it was before. Either is compared with full fine-tuning and full\nsupervision on mirrored "
        "pictures, the others with those without. How settings were chosen and what did not work:\n"
        "`docs/decisions.md`.\n\n"
        f"{machines(runs)};\n{record.versions()}.\n"
    )


def _sections(runs: Sequence[Run], collections: Sequence[Collection]) -> list[str]:
    return [f"\n## {table.title}\n\n{table.markdown()}" for table in tables(runs, collections)]


def figure(runs: Sequence[Run], collection: Collection) -> go.Figure:
    """Return macro accuracy against the expert's minutes: of labels, and of reviews beside the same labels."""
    exam, drawn, greys = Exam(collection), go.Figure(), iter(GREYS)
    shares = sorted({run.share for run in runs})
    leaml, end = recipe_of(runs)
    for method in (FULL.name, LORA.name, leaml):
        cells = [[run for run in runs if run.method == method + end and run.share == share] for share in shares]
        dash, color = ("dot", ACCENT) if method == leaml else ("solid", next(greys))
        name = "LEAML, nobody reviews" if method == leaml else method
        _draw_line(drawn, cells, exam, name=name, line={"color": color, "dash": dash})
    for share, dash in zip(shares, ("solid", "dash", "longdash", "dashdot"), strict=False):
        reviewing = (LORA.name + end, *(f"{leaml}, {count} reviewed{end}" for count in REVIEWS))
        cells = [[run for run in runs if run.method == name and run.share == share] for name in reviewing]
        if any(cells[1:]):
            name = f"{LEAML.name}, reviewed, {label_count(collection.pool, share)} labels"
            _draw_line(drawn, cells, exam, name=name, line={"color": ACCENT, "dash": dash})
    by_method = {name: [run for run in runs if run.method == name] for name in {run.method for run in runs}}
    for mine, dash in ((_full_supervision(by_method, end), "dash"), (by_method.get("zero-shot", []), "dot")):
        if mine:
            drawn.add_hline(
                accuracy(mine, exam).value,
                line={"color": GREYS[1], "dash": dash, "width": 1},
                annotation_text=mine[0].method,
                annotation_position="top left",
            )
    margin = {"l": 70, "r": 20, "t": 24, "b": 60}
    drawn.update_layout(template="simple_white", font={"size": 14}, legend={"x": 0.6, "y": 0.05}, margin=margin)
    drawn.update_xaxes(title="expert minutes (assumed pace)", rangemode="tozero")
    drawn.update_yaxes(title="macro accuracy")
    return drawn


def _draw_line(drawn: go.Figure, cells: Sequence[list[Run]], exam: Exam, *, name: str, line: dict[str, str]) -> None:
    """Draw a point with its interval for each cell that has runs."""
    points = [(_minutes(cell), accuracy(cell, exam)) for cell in cells if cell]
    if not points:
        return
    drawn.add_scatter(
        x=[x for x, _ in points],
        y=[y.value for _, y in points],
        error_y={
            "array": [y.high - y.value for _, y in points],
            "arrayminus": [y.value - y.low for _, y in points],
            "thickness": 1,
        },
        mode="lines+markers",
        name=name,
        line={**line, "width": 2.5},
    )


def _minutes(runs: Sequence[Run]) -> float:
    return _mean([minutes(run.labels, run.reviewed) for run in runs])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
