"""How OpenMP's threads should wait in a worker: `python -m benchmarks.waiting_threads`, on a quiet machine.

The speed of the bundled model (`benchmarks.mini --only speed`) in processes of several settings, in turns, alone and
beside one process that keeps a core busy. Prints the median of the rounds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.record import machine, versions
from leaml.jobs.environment import KEEP_MEMORY

SETTINGS = {
    "never turning": {"OMP_WAIT_POLICY": "PASSIVE"},
    "2,000 turns": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"},
    "as OpenMP does": {},
}
MEASURED = {
    ("training, batches of 16", "step"): "step, s",
    ("one by one, image encoded", "answers"): "answers a second",
}


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.waiting_threads", description=(__doc__ or "").split(":")[0]
    )
    parser.add_argument("--rounds", type=int, default=3, help="of all settings [3]")
    rounds = parser.parse_args(argv).rounds
    print(f"{machine()}; {versions()}")
    for beside in (False, True):
        print("beside a busy process" if beside else "alone")
        seen: dict[str, list[dict[str, float]]] = {name: [] for name in SETTINGS}
        for _ in range(rounds):
            for name, setting in SETTINGS.items():
                with busy_process(beside):
                    seen[name].append(speed(setting))
        for name, found in seen.items():
            figures = (f"{what} {median(row[what] for row in found):.3g}" for what in MEASURED.values())
            print(f"  {name:<16}{'   '.join(figures)}", flush=True)
    return 0


def speed(setting: dict[str, str]) -> dict[str, float]:
    """Return what `benchmarks.mini` measures in a process with these variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_WAIT", "GOMP_SPIN"))}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speed.json"
        apart = ["--json", str(file), "--log", str(file.with_suffix(".csv"))]  # the usual log is of usual settings
        command = [sys.executable, "-m", "benchmarks.mini", "--only", "speed", *apart]
        subprocess.run(command, env={**inherited, **KEEP_MEMORY, **setting}, capture_output=True, check=True)
        rows = json.loads(file.read_text())["rows"]
    values = {(row["subject"], row["metric"]): row["value"] for row in rows}
    return {name: values[key] for key, name in MEASURED.items()}


@contextmanager
def busy_process(wanted: bool) -> Iterator[None]:
    """Keep a core busy within the context, if that is wanted."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if wanted else None
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
