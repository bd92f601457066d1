"""What benchmarks make of their measurements: targets, and the log."""

import csv
import importlib

import pytest

from benchmarks import record
from benchmarks.selective_step.methods import DENSITIES, FULL, METHODS, NAIVE, selective
from benchmarks.selective_step.models import Setting
from benchmarks.selective_step.report import Result, check_targets, interval, median_ratio, table


def result(**changes):
    """Return a run in which every target is met, with some things changed."""
    steady = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.0]
    values = {
        "setting": Setting("tiny", "cpu", "float32"),
        "machine": "none",
        "versions": "none",
        "times": {name: steady for name in METHODS} | {NAIVE: [1.2 * time for time in steady]},
        "trained": dict.fromkeys(METHODS, 1000),
        "state_bytes": dict.fromkeys(METHODS, 12_000),
        "file_bytes": dict.fromkeys(METHODS, 4000),
        "memory_bytes": dict.fromkeys(METHODS, 10_000),
        "gradients_alive": dict.fromkeys(METHODS, 1),
        "scoring": [1.0],
        "epoch": [1.0],
        "swaps": {f"swap, {density:.0%}": [0.01] for density in DENSITIES}
        | {"load merged, cold": [0.3], "load merged, warm": [0.2]},
        "swap_exact": True,
        "traffic": {key: [1.0] for key in ("gather", "scatter", "copy of as many bytes", "copy of 256 MB")},
    }
    return Result(**{**values, **changes})


def states(run):
    return {target.sentence: target.state for target in check_targets(run)}


def test_a_run_within_all_targets_meets_them():
    assert set(states(result()).values()) == {"met"}
    assert table(result()).count("\n") == 2 + len(METHODS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"state_bytes": {**dict.fromkeys(METHODS, 12_000), selective(0.5): 12_300}},
            "optimizer bytes of selective, 50%",
        ),
        (
            {"gradients_alive": {**dict.fromkeys(METHODS, 1), selective(0.05): 2}},
            "dense gradients alive of selective, 5%",
        ),
        ({"swap_exact": False}, "exact to the bit: False"),
        ({"scoring": [2.1]}, "scoring by one labelled epoch"),
        ({"swaps": result().swaps | {"load merged, cold": [0.1]}}, "swap of 5%"),
    ],
)
def test_what_is_over_its_target_is_missed(changes, words):
    missed = [sentence for sentence, state in states(result(**changes)).items() if state == "missed"]
    assert len(missed) == 1 and words in missed[0]


def test_a_slower_step_is_missed_and_one_that_noise_could_explain_is_level():
    base = result().times
    slow = result(times=base | {selective(0.25): [1.7 * time for time in base[FULL]]})
    missed = [sentence for sentence, state in states(slow).items() if state == "missed"]
    assert len(missed) == 4 and all("selective, 25%" in sentence for sentence in missed)
    near = [time * ratio for time, ratio in zip(base[NAIVE], (0.97, 1.03, 1.02, 0.98, 1.02, 1.03, 0.99), strict=True)]
    named = states(result(times=base | {selective(0.8): near, FULL: near}))
    assert [s.split(":")[0] for s, state in named.items() if state == "level"] == [
        f"step of {selective(0.8)} by {NAIVE}"
    ]


def test_ratios_are_taken_round_by_round():
    values, references = [2.0, 20.0, 2.2], [1.0, 10.0, 1.0]
    assert median_ratio(values, references) == 2.0
    low, high = interval(values, references)
    assert low == 2.0 and high == 2.2


def test_the_log_grows_and_keeps_its_header(tmp_path):
    path = tmp_path / "results.csv"
    figure = record.Figure("step", "full", "time", "s", 1.0, 2.0, 3.0, 5)
    record.append([figure], path)
    record.append([figure, figure], path)
    rows = list(csv.DictReader(path.open()))
    assert len(rows) == 3 and rows[0]["p50"] == "2.0" and "torch" in rows[2]["versions"] and rows[0]["machine"]


@pytest.mark.parametrize(
    "name",
    [
        "selective_step.__main__",
        "mini.__main__",
        "label_efficiency.run",
        "label_efficiency.tune",
        "sight",
        "unfrozen",
        "waiting_threads",
        "ways_to_compute",
        "label_efficiency.sources",
        "sample_types",
        "review.__main__",
    ],
)
def test_every_benchmark_can_be_started(name):
    assert callable(importlib.import_module(f"benchmarks.{name}").main)
