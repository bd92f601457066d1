"""`python -m benchmarks.selective_step --model tiny --json FILE`: prints a table; exit code 1 if a target is missed.

All ratios come from one run: each round does one step of every method, in a new order, and a ratio is the median of
the rounds' ratios, with a bootstrap interval over rounds. A step's target is missed where its whole interval is above
it. `--docs` writes the table and the figure into docs/. Figures are added to benchmarks/results.csv.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks import record
from benchmarks.selective_step import measure
from benchmarks.selective_step.methods import COMPILED, METHODS
from benchmarks.selective_step.models import SHAPES, Setting
from benchmarks.selective_step.report import Result, check_targets, print_table, write_docs
from leaml.jobs.environment import KEEP_MEMORY


def main() -> int:
    """Measure, print, record; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selective_step", description=__doc__)
    parser.add_argument("--model", choices=SHAPES, default="tiny")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--weights", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--rounds", type=int, help="steps of each method [100 of the tiny model, 25 of others]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the result")
    parser.add_argument("--docs", action="store_true", help="write docs/performance")
    arguments = parser.parse_args()
    if not KEEP_MEMORY.keys() <= os.environ.keys():  # as training runs have it; it is read when a process starts
        command = [sys.executable, "-m", "benchmarks.selective_step", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, **KEEP_MEMORY})
    setting = Setting(arguments.model, arguments.device, arguments.weights)
    result = run(setting, arguments.rounds or setting.shape.rounds)
    print_table(result)
    targets = check_targets(result)
    for target in targets:
        print(f"{target.state:<6}  {target.sentence}")
    record.append(figures(result))
    if arguments.json:
        values = {**result.to_json(), "targets": [asdict(target) for target in targets]}
        arguments.json.write_text(json.dumps(values, indent=1) + "\n")
    if arguments.docs:
        write_docs(result, targets)
    return 1 if any(target.state == "missed" for target in targets) else 0


def run(setting: Setting, rounds: int) -> Result:
    """Return all measurements of one setting."""
    memory = {name: measure.peak_memory(setting, name) for name in METHODS if COMPILED not in name}
    methods = measure.make_methods(setting)
    times = measure.time_steps(methods, setting, rounds)
    scored, trained = measure.time_scoring(setting, max(3, rounds // 3))
    swaps, exact = measure.time_swaps(setting, rounds)
    return Result(
        setting=setting,
        machine=record.machine(),
        versions=record.versions(),
        times=times,
        trained={name: method.trained for name, method in methods.items()},
        state_bytes={name: method.state_bytes() for name, method in methods.items()},
        file_bytes=measure.file_sizes(methods),
        memory_bytes=memory,
        gradients_alive={name: method.alive for name, method in methods.items()},
        scoring=scored,
        epoch=trained,
        swaps=swaps,
        swap_exact=exact,
        traffic=measure.time_traffic(setting, rounds),
    )


def figures(result: Result) -> list[record.Figure]:
    """Return the lines of the log."""
    what = f"selective_step {result.setting.name}"
    rows = [record.Figure.of(what, name, "step", "s", values) for name, values in result.times.items()]
    for metric, unit, values in (
        ("trained", "entries", result.trained),
        ("optimizer", "bytes", result.state_bytes),
        ("file", "bytes", result.file_bytes),
        ("peak memory beyond the model", "bytes", result.memory_bytes),
        ("dense gradients alive", "tensors", result.gradients_alive),
    ):
        rows += [record.Figure.of(what, name, metric, unit, [float(value)]) for name, value in values.items()]
    rows += [record.Figure.of(what, "engine", metric, "s", values) for metric, values in result.once().items()]
    return rows


if __name__ == "__main__":
    sys.exit(main())
