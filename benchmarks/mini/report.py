"""What the rows say: targets, the table for people, docs/mini.md and the lines of the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks import record
from benchmarks.mini import speed
from benchmarks.mini.rows import Row

DOCS = Path(__file__).resolve().parents[2] / "docs" / "mini.md"
FINE_TUNED = "fine-tuned"


@dataclass(frozen=True)
class Target:
    """What one figure has to be: at least, or at most, a bound."""

    part: str
    subject: str
    metric: str
    bound: float
    at_most: bool = False


@dataclass(frozen=True)
class Verdict:
    """A target with what was measured: `met`, `missed`, or `not measured` in this run."""

    sentence: str
    state: Literal["met", "missed", "not measured"]


TARGETS = (
    Target("scenes", "macro", "accuracy", 0.85),
    Target("scenes", "color", "accuracy", 0.90),
    Target("obedience", "novel lists", "valid option", 0.99),
    Target("grounding", "blood_smears, after", "caption loss", 2.0, at_most=True),
    Target("grounding", "blood_smears, after", "wrong minus right", 0.15),
    Target("supervised", f"blood_smears, {FINE_TUNED}", "macro accuracy", 0.88),
    Target("supervised", f"blood_smears, {FINE_TUNED}", "least lift over the majority", 10.0),
    Target("supervised", f"kvasir, {FINE_TUNED}", "macro accuracy", 0.70),
    Target("speed", "folder", "size", 60.0, at_most=True),
    Target("speed", speed.ONE, "answers", 8.0),
)


def check_targets(rows: Sequence[Row]) -> list[Verdict]:
    """Return every target with what was measured; estimates are compared, not their intervals."""
    found = {(row.part, row.subject, row.metric): row.value for row in rows}
    verdicts = []
    for target in TARGETS:
        what = f"{target.part}: {target.subject}, {target.metric}"
        wanted = f"at {'most' if target.at_most else 'least'} {target.bound:g}"
        value = found.get((target.part, target.subject, target.metric))
        if value is None:
            verdicts.append(Verdict(f"{what}, {wanted}", "not measured"))
            continue
        met = value <= target.bound if target.at_most else value >= target.bound
        verdicts.append(Verdict(f"{what}: {value:.3g}, {wanted}", "met" if met else "missed"))
    return verdicts


def table(rows: Sequence[Row]) -> str:
    """Return the Markdown table of all rows."""
    head = "| part | what | measure | value (95%) | of | beside |\n|---|---|---|--:|--:|---|\n"
    return head + "".join(_line(row) for row in rows)


def _line(row: Row) -> str:
    value = f"{row.value:.3f}" if abs(row.value) < 10 else f"{row.value:.1f}"
    if row.low is not None and row.high is not None:
        value += f" ({row.low:.3f} to {row.high:.3f})"
    unit = "" if row.unit == "share" else row.unit
    beside = ", ".join(f"{name} {figure:.3g}" for name, figure in row.beside.items())
    cells = [row.part, row.subject, row.metric, f"{value} {unit}".strip(), str(row.count), beside]
    return "| " + " | ".join(cells) + " |\n"


def write_docs(rows: Sequence[Row], verdicts: Sequence[Verdict], *, model: str, path: Path = DOCS) -> None:
    """Write the table and the targets."""
    told = "".join(f"- {verdict.state}: {verdict.sentence}\n" for verdict in verdicts)
    path.write_text(
        f"# What {model} can do\n\n{record.machine()}; {record.versions()}. Written by "
        f"`python -m benchmarks.mini --docs`.\n\nTargets:\n\n" + told.replace("- missed", "- **missed**") + "\n"
        "Shares of scenes and of obedience have Wilson's interval, the rest a bootstrap over images; those of speed "
        "are the 20th and 80th percentile. The macro of the scenes leaves out rules with invented words and options "
        "kept out of training, which have rows of their own. A first training on captions leaves out a fifth of the "
        "images and finds the best number of steps; the second takes all images and as many steps. Mirrored pictures "
        "are encoded before, in the seconds given. Kvasir is measured where a copy of it is given; nothing of it is in "
        f"this project.\n\n{table(rows)}",
        encoding="utf-8",
    )


def figures(rows: Sequence[Row], *, model: str) -> list[record.Figure]:
    """Return the lines of the log; an interval stands where percentiles do."""
    return [
        record.Figure(
            f"mini {model}",
            f"{row.part}: {row.subject}",
            row.metric,
            row.unit,
            row.value if row.low is None else row.low,
            row.value,
            row.value if row.high is None else row.high,
            row.count,
        )
        for row in rows
    ]
