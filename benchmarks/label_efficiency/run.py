"""`python -m benchmarks.label_efficiency.run --quick`: every method on real images, one line a run in runs.csv.

Resumable: runs that the log has are not done again. `--quick` is the first draw of 5% and the main methods, in about
ten minutes; without it, all shares, draws and seeds (hours). `--kvasir FOLDER` (or LEAML_KVASIR) adds Kvasir polyps,
which are for research only and are read where they lie. The app's own training code does all the work, with as many
updates as the app does.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks import record
from benchmarks.label_efficiency import log
from benchmarks.label_efficiency.collection import Collection, blood_smears, kvasir
from benchmarks.label_efficiency.methods import BY_NAME, METHODS, Budget, Method
from benchmarks.label_efficiency.report import print_tables, write_docs
from benchmarks.label_efficiency.study import Study
from leaml import stats
from leaml.config import BUNDLED_MODEL
from leaml.models.backbone import load

COLLECTIONS = ("blood_smears", "kvasir_polyps")
SHARES, DRAWS, SEEDS = (0.01, 0.02, 0.05, 0.10), 5, 2
QUICK_METHODS = (
    "zero-shot",
    "LoRA, mirrored",
    "full fine-tuning, mirrored",
    "fully supervised, mirrored",
    "LEAML, continued, mirrored",
    "LEAML, continued, 200 reviewed, mirrored",
)
"""What the app does with the sample, and its baselines."""


@dataclass(frozen=True)
class Cell:
    """A study and the methods that are still to be run in it."""

    study: Study
    methods: tuple[Method, ...]


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing, print the tables."""
    arguments = _arguments(argv)
    budget = Budget()
    base = load(BUNDLED_MODEL).resident.base_hash[:12]
    collections = [blood_smears(), *([kvasir(Path(arguments.kvasir))] if arguments.kvasir else [])]
    if not arguments.kvasir:
        print("Kvasir polyps skipped: give --kvasir FOLDER or set LEAML_KVASIR.", flush=True)
    with tempfile.TemporaryDirectory(prefix="leaml_study_") as temporary:
        work = arguments.work or Path(temporary)
        known = {run.key for run in log.read(arguments.log)}
        wanted = [one for one in collections if one.name in (arguments.collections or [one.name])]
        cells = list(_missing(wanted, arguments, budget, base, known, work))
        _run_all(cells, arguments, base)
    runs = [run for run in log.read(arguments.log) if run.budget == str(budget)]
    print_tables([run for run in runs if run.model == base], collections)
    if arguments.docs:
        write_docs(runs, collections, base)
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_efficiency.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one draw of 5%%, the main methods")
    parser.add_argument("--kvasir", metavar="FOLDER", default=os.environ.get("LEAML_KVASIR") or None)
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="keeps features and generators [a temporary one]")
    parser.add_argument("--log", type=Path, default=log.RUNS, metavar="FILE", help="the log to add to")
    parser.add_argument("--collections", nargs="+", choices=COLLECTIONS, help="run only these; the tables have all")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES, metavar="SHARE")
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--first-draw", type=int, default=0, metavar="N", help="leave out the draws before this one")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first-seed", type=int, default=0, metavar="N", help="leave out the seeds before this one")
    parser.add_argument("--methods", nargs="+", choices=BY_NAME, default=[m.name for m in METHODS], metavar="METHOD")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--docs", action="store_true", help="write docs/results.md and docs/results/")
    arguments = parser.parse_args(argv)
    if "kvasir_polyps" in (arguments.collections or ()) and not arguments.kvasir:
        parser.error("kvasir_polyps is read where it lies: give --kvasir FOLDER or set LEAML_KVASIR.")
    if arguments.quick:
        arguments.shares, arguments.draws, arguments.seeds, arguments.methods = (0.05,), 1, 1, QUICK_METHODS
    return arguments


def _missing(
    collections: Sequence[Collection],
    arguments: argparse.Namespace,
    budget: Budget,
    base: str,
    known: set[tuple[object, ...]],
    work: Path,
) -> Iterator[Cell]:
    """Yield what is to be run, the first draw of everything before the second."""
    for seed in range(arguments.first_seed, arguments.seeds):
        for draw in range(arguments.first_draw, arguments.draws):
            for share in arguments.shares:
                for collection in collections:
                    study = Study(collection, share, draw, seed, budget, work / base)
                    methods = [BY_NAME[name] for name in arguments.methods]
                    left = [method for method in methods if study.key(method, base) not in known]
                    if left:
                        yield Cell(study, tuple(left))


def _run_all(cells: Sequence[Cell], arguments: argparse.Namespace, base: str) -> None:
    if arguments.processes == 1:
        for cell in cells:
            _run_cell(cell, arguments.log, base, threads=torch.get_num_threads())
        return
    threads = max(1, (os.cpu_count() or 1) // arguments.processes)
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        for future in [pool.submit(_run_cell, cell, arguments.log, base, threads=threads) for cell in cells]:
            future.result()


def _run_cell(cell: Cell, path: Path, base: str, *, threads: int) -> None:
    torch.set_num_threads(threads)
    run_methods(cell.study, cell.methods, path, base)


def run_methods(study: Study, methods: Sequence[Method], path: Path, base: str) -> None:
    """Train and test methods on one draw of labels, adding a line to the log for each.

    What no drawn label touches (zero-shot, full supervision) is trained once a seed, and its line written again.
    """
    majority = stats.majority_predictions(study.labels, study.collection.test)
    majority_macro = round(stats.macro_accuracy(majority, study.collection.groups).value, 4)
    for method in methods:
        known = None if method.reads_the_draw else _same_model(study, method, path, base)
        run = known or _train_and_test(study, method, base)
        run = replace(run, share=study.share, draw=study.draw, majority=majority_macro)
        log.append(run, path)
        print(
            f"{run.collection} {run.share:.0%} draw {run.draw} seed {run.seed}: {run.method} {run.macro:.3f} "
            f"(majority {run.majority:.3f}, {run.pairs} pairs, {run.seconds or 0:.0f} s)",
            flush=True,
        )


def _same_model(study: Study, method: Method, path: Path, base: str) -> log.Run | None:
    """Return a logged run of this method and seed, whatever its draw and share."""
    mine = (study.collection.name, study.seed, method.name, str(study.budget), base)
    runs = log.read(path)
    return next((r for r in runs if (r.collection, r.seed, r.method, r.budget, r.model) == mine), None)


def _train_and_test(study: Study, method: Method, base: str) -> log.Run:
    outcome = study.run(method)
    macro = stats.macro_accuracy(outcome.predictions, study.collection.groups).value
    return log.Run(
        collection=study.collection.name,
        share=study.share,
        labels=outcome.labels,
        draw=study.draw,
        seed=study.seed,
        method=method.name,
        budget=str(study.budget),
        model=base,
        macro=round(macro, 4),
        majority=0.0,  # the caller's, who knows the draw
        pairs=outcome.pairs,
        precision=None if outcome.precision is None else round(outcome.precision, 4),
        reviewed=outcome.reviewed,
        seconds=round(outcome.seconds, 1),
        right=log.pack([row.correct for row in outcome.predictions]),
        machine=record.machine(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


if __name__ == "__main__":
    sys.exit(main())
