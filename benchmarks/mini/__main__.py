"""`python -m benchmarks.mini --json FILE`: prints a table and targets; exit code 1 if a target is missed.

One run with fixed seeds. `--kvasir FOLDER` (or LEAML_KVASIR) adds Kvasir polyps, `--wordnet FOLDER` (or
LEAML_WORDNET) the loss of held-out English, `--only PART` measures less, `--docs`
writes docs/mini.md. Figures are added to benchmarks/results.csv.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import record
from benchmarks.mini import grounding, language, obedience, scenes, speed, supervised
from benchmarks.mini.place import Amounts, Part, Place
from benchmarks.mini.report import check_targets, figures, table, write_docs
from benchmarks.mini.rows import Row
from leaml.config import BUNDLED_MODEL

MODULES = (speed, scenes, obedience, language, grounding, supervised)
PARTS: dict[str, Part] = {module.PART: module.measure for module in MODULES}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, record; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mini", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", required=True, help="where to write the result")
    parser.add_argument("--model", default=BUNDLED_MODEL, metavar="NAME_OR_PATH", help=f"[{BUNDLED_MODEL}]")
    parser.add_argument("--kvasir", type=Path, metavar="FOLDER", default=os.environ.get("LEAML_KVASIR") or None)
    parser.add_argument("--wordnet", type=Path, metavar="FOLDER", default=os.environ.get("LEAML_WORDNET") or None)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--distil", type=float, default=Amounts.distil_s, metavar="SECONDS", help="on captions [120]")
    parser.add_argument("--docs", action="store_true", help="write docs/mini.md")
    parser.add_argument("--log", type=Path, default=record.RESULTS, metavar="FILE", help="the log to add to")
    arguments = parser.parse_args(argv)
    if arguments.kvasir and not (Path(arguments.kvasir) / "annotations.jsonl").exists():
        parser.error(f"{arguments.kvasir} holds no annotations.jsonl. Give the folder of the Kvasir copy.")
    with tempfile.TemporaryDirectory(prefix="leaml_mini_") as work:
        kvasir, wordnet = (Path(folder) if folder else None for folder in (arguments.kvasir, arguments.wordnet))
        amounts = Amounts(distil_s=arguments.distil)
        rows = run(Place(arguments.model, Path(work), kvasir, wordnet, amounts), arguments.only)
    verdicts = check_targets(rows)
    print(f"{arguments.model} on {record.machine()}; {record.versions()}\n\n{table(rows)}")
    for verdict in verdicts:
        print(f"{verdict.state:<12}  {verdict.sentence}")
    record.append(figures(rows, model=arguments.model), arguments.log)
    about = {"model": arguments.model, "machine": record.machine(), "versions": record.versions()}
    values = {**about, "rows": [asdict(row) for row in rows], "targets": [asdict(verdict) for verdict in verdicts]}
    arguments.json.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    if arguments.docs:
        write_docs(rows, verdicts, model=arguments.model)
    return 1 if any(verdict.state == "missed" for verdict in verdicts) else 0


def run(place: Place, names: Sequence[str]) -> list[Row]:
    """Return the rows of these parts, saying how long each took."""
    rows: list[Row] = []
    for name in PARTS:
        if name in names:
            began = time.monotonic()
            found = PARTS[name](place)
            print(f"{name}: {time.monotonic() - began:.0f} s\n{table(found)}", flush=True)
            rows += found
    return rows


if __name__ == "__main__":
    sys.exit(main())
