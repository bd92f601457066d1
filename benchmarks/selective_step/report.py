"""What the measurements say: ratios, lower bounds, targets, the table and the figure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go

from benchmarks.selective_step.methods import (
    COMPILED,
    DENSITIES,
    FLOOR,
    FULL,
    FULL_LINEAR,
    LORA,
    NAIVE,
    SHIRA,
    selective,
)
from benchmarks.selective_step.models import Setting
from leaml.selective.optimizer import IN_PLACE_FROM

DOCS = Path(__file__).parent.parent.parent / "docs"
SELECTIVE = tuple(selective(density) for density in DENSITIES)
RESAMPLES = 2000
ACCENT, GREY = "#0f766e", "#9aa8b0"


@dataclass(frozen=True)
class Result:
    """One run of the benchmark. Times are lists of seconds; those of `times` are aligned by round."""

    setting: Setting
    machine: str
    versions: str
    times: dict[str, list[float]]
    trained: dict[str, int]
    state_bytes: dict[str, int]
    file_bytes: dict[str, int]
    memory_bytes: dict[str, int]
    gradients_alive: dict[str, int]
    scoring: list[float]
    epoch: list[float]
    swaps: dict[str, list[float]]
    swap_exact: bool
    traffic: dict[str, list[float]]

    def ratio(self, name: str, reference: str) -> float:
        """Return the median over rounds of one method's step time by another's."""
        return median_ratio(self.times[name], self.times[reference])

    def once(self) -> dict[str, list[float]]:
        """Return the times that are not steps."""
        return {"scoring": self.scoring, "labelled epoch": self.epoch} | self.swaps | self.traffic

    def loads_a_swap(self, density: float, kind: str) -> float:
        """Return how many swaps take as long as loading a merged model."""
        return median(self.swaps[f"load merged, {kind}"]) / median(self.swaps[f"swap, {density:.0%}"])

    @property
    def linear_entries(self) -> int:
        """Number of entries of all linear weights of the decoder."""
        return self.trained[FULL_LINEAR]

    @property
    def copy_rate(self) -> float:
        """Bytes a second, read and written, of a copy that no cache holds."""
        return 2 * 2**28 / median(self.traffic["copy of 256 MB"])

    def step_bound(self, name: str) -> float | None:
        """Return the least seconds of a step: forward and backward as measured, and the update's bytes at copy speed.

        Clipping and AdamW read five numbers and write three for each trained entry: 32 bytes, and 34 with a master
        copy of 16-bit weights. Gather and scatter touch every cache line of a weight unless it is very sparse, and
        read places and write and read values: 12 bytes for each trained entry. A weight that is trained in place has
        AdamW's bytes and a copied gradient for all its entries, and a place and a written zero for each that stays.
        """
        floor, trained = median(self.times[FLOOR]), self.trained[name]
        wide = self.setting.weights == "float32"
        if name in (FULL, FULL_LINEAR, NAIVE):
            entries = self.linear_entries if name == NAIVE else trained
            return floor + (32 if wide else 34) * entries / self.copy_rate
        if name in SELECTIVE and wide and trained > IN_PLACE_FROM * self.linear_entries:
            return floor + (40 * self.linear_entries + 10 * (self.linear_entries - trained)) / self.copy_rate
        if name in SELECTIVE:
            return floor + (44 * trained + (8 if wide else 4) * self.linear_entries) / self.copy_rate
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the measurements and the ratios as JSON values."""
        ratios = {name: self.ratio(name, FULL_LINEAR) for name in self.times}
        return {**asdict(self), "ratio_to_full_linear": ratios}


@dataclass(frozen=True)
class Target:
    """One target, in words with its figure: `met`, `level` (not told apart from it by this run) or `missed`."""

    sentence: str
    state: Literal["met", "level", "missed"]


def median_ratio(values: Sequence[float], references: Sequence[float]) -> float:
    """Return the median of the ratios pair by pair."""
    return median(value / reference for value, reference in zip(values, references, strict=True))


def interval(values: Sequence[float], references: Sequence[float]) -> tuple[float, float]:
    """Return the 95% interval of `median_ratio`, by a bootstrap over the rounds."""
    ratios = np.divide(values, references)
    drawn = np.random.default_rng(0).choice(ratios, (RESAMPLES, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
    return float(low), float(high)


def check_targets(result: Result) -> list[Target]:
    """Return every target with what was measured."""
    targets = []
    for name in SELECTIVE:
        for reference, most in ((FULL, 1.05), (FULL_LINEAR, 1.05), (NAIVE, 1.0), (LORA, 1.6)):
            targets.append(_step(result, name, reference, most))
    targets.append(_step(result, SELECTIVE[0], SHIRA, 1.0))
    for name in SELECTIVE:
        bytes_each = result.state_bytes[name] / (12 * result.trained[name])
        targets.append(_at_most(f"optimizer bytes of {name} by 12 a selected entry", bytes_each, 1.02))
        targets.append(_at_most(f"dense gradients alive of {name}", result.gradients_alive[name], 1))
    faster = result.loads_a_swap(DENSITIES[0], "cold")
    exact: Literal["met", "missed"] = "met" if result.swap_exact else "missed"
    targets.append(Target(f"every swap exact to the bit: {result.swap_exact}", exact))
    targets.append(_at_most(f"swap of 5% by loading a merged model ({faster:.3g} times as long)", 1 / faster, 1 / 20))
    targets.append(_at_most("scoring by one labelled epoch", median_ratio(result.scoring, result.epoch), 2.0))
    return targets


def _at_most(what: str, value: float, most: float) -> Target:
    return Target(f"{what}: {value:.3g}, at most {most:.3g}", "met" if value <= most else "missed")


def _step(result: Result, name: str, reference: str, most: float) -> Target:
    value, (low, high) = result.ratio(name, reference), interval(result.times[name], result.times[reference])
    sentence = f"step of {name} by {reference}: {value:.3f} ({low:.3f} to {high:.3f}), at most {most:.2f}"
    return Target(sentence, "met" if value <= most else "level" if low <= most else "missed")


def table(result: Result) -> str:
    """Return the Markdown table of all methods."""
    head = (
        "| method | trained | step, ms (20-80%) | bound, ms | x full | x LoRA | optimizer, MB | peak, MB | dense "
        "gradients | file, MB |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    )
    return head + "".join(_row(result, name) for name in result.times)


def _row(result: Result, name: str) -> str:
    times = sorted(result.times[name])
    low, high = times[len(times) // 5], times[-1 - len(times) // 5]
    bound = result.step_bound(name)
    full, lora = result.ratio(name, FULL_LINEAR), result.ratio(name, LORA)
    saved = f"{result.file_bytes[name] / 1e6:.1f}" if result.file_bytes[name] else ""
    cells = [
        name,
        f"{result.trained[name] / 1e6:.2f}M" if result.trained[name] else "",
        f"{1e3 * median(times):.0f} ({1e3 * low:.0f}-{1e3 * high:.0f})",
        f"{1e3 * bound:.0f}" if bound else "",
        f"{full:.2f}",
        f"{lora:.2f}",
        f"{result.state_bytes[name] / 1e6:.1f}",
        f"{result.memory_bytes[name] / 1e6:.0f}" if name in result.memory_bytes else "",
        f"{result.gradients_alive[name]}",
        saved,
    ]
    return "| " + " | ".join(cells) + " |\n"


def once_lines(result: Result) -> str:
    """Return the figures that are not steps as Markdown."""
    scoring = median_ratio(result.scoring, result.epoch)
    copy = result.traffic["copy of as many bytes"]
    gather, scatter = (median_ratio(result.traffic[name], copy) for name in ("gather", "scatter"))
    return (
        f"- Scoring and selecting: {1e3 * median(result.scoring):.0f} ms, {scoring:.2f} of one labelled epoch.\n"
        f"- Swaps between two deltas, {'exact to the bit' if result.swap_exact else 'NOT EXACT'}: {_swaps(result)}. "
        f"Loading a merged model: {1e3 * median(result.swaps['load merged, cold']):.0f} ms cold, "
        f"{1e3 * median(result.swaps['load merged, warm']):.0f} ms warm.\n"
        f"- Gather and scatter of half of the largest weight: {gather:.2f} and {scatter:.2f} of a copy of as many "
        f"bytes. Copies beyond the cache run at {result.copy_rate / 1e9:.1f} GB/s.\n"
    )


def _swaps(result: Result) -> str:
    return ", ".join(
        f"{1e3 * median(result.swaps[f'swap, {density:.0%}']):.1f} ms at {density:.0%} "
        f"(loading takes {result.loads_a_swap(density, 'cold'):.0f} times as long cold, "
        f"{result.loads_a_swap(density, 'warm'):.0f} warm)"
        for density in DENSITIES
    )


def print_table(result: Result) -> None:
    """Print the table for people."""
    print(f"{result.setting.name} on {result.machine}; {result.versions}; {len(result.times[FULL])} rounds\n")
    print(table(result))
    print(once_lines(result))


def write_docs(result: Result, targets: Sequence[Target]) -> None:
    """Write the tables to `docs/performance/MODEL_DEVICE.md` and the figure beside it."""
    folder = DOCS / "performance"
    folder.mkdir(exist_ok=True)
    setting, name = result.setting, result.setting.name
    told = "".join(f"- {target.state}: {target.sentence}\n" for target in targets).replace("- missed", "- **missed**")
    (folder / f"{name}.md").write_text(
        f"# A selective step: {setting.model}, {setting.device}, {setting.weights} weights\n\n"
        f"{result.machine}; {result.versions}; {len(result.times[FULL])} interleaved rounds. Written by\n"
        f"`python -m benchmarks.selective_step --model {setting.model} --device {setting.device} "
        f"--weights {setting.weights} --docs`.\n\n"
        f"![Step time and peak memory]({name}.svg)\n\n{table(result)}\n{once_lines(result)}\nTargets:\n\n{told}"
    )
    figure(result).write_image(folder / f"{name}.svg", width=900, height=440)


def figure(result: Result) -> go.Figure:
    """Return step time against peak memory, a dot a method."""
    drawn = go.Figure()
    for name in result.times:
        if name == FLOOR or name.endswith(COMPILED):
            continue
        drawn.add_scatter(
            x=[result.ratio(name, FULL_LINEAR)],
            y=[result.memory_bytes[name] / 1e6],
            mode="markers+text",
            text=[name],
            textposition="middle right",
            marker={"size": 13, "color": ACCENT if name in SELECTIVE else GREY},
            showlegend=False,
        )
    drawn.update_layout(template="simple_white", font={"size": 14}, margin={"l": 70, "r": 160, "t": 20, "b": 60})
    drawn.update_xaxes(title="step time, by full fine-tuning of the same weights")
    drawn.update_yaxes(title="peak memory beyond the model, MB", rangemode="tozero")
    return drawn
