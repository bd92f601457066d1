"""Whether review keeps its promises at scale: `python -m benchmarks.review --json FILE`; 1 where a target is missed.

A real store file with 1,000,000 pairs about 250,000 images, walked through without a browser; then 50 people at one
app on that same file through HTTP, deciding at a person's pace; then one in Chromium, from the key to the painted card;
then the app killed 30 times in the middle of a burst of decisions.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.record import Figure, append, machine, versions
from benchmarks.review.browser import review_in_chromium
from benchmarks.review.crowd import lost_and_doubled, review_together
from benchmarks.review.kill import kill_in_bursts
from benchmarks.review.workspace import make_workspace, reviewer_names
from leaml.labelling.looks import DIMENSIONS


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    images: int
    pairs: int
    cards: int
    reviewers: int
    seconds: float
    pace_s: float
    drawn: int
    warm_up: int
    painted: int
    kills: int


FULL = Size(250_000, 1_000_000, 400, 50, 120.0, 4.0, drawn=300, warm_up=50, painted=200, kills=30)
QUICK = Size(500, 2_000, 40, 3, 4.0, 0.5, drawn=20, warm_up=5, painted=10, kills=0)


@dataclass(frozen=True)
class Target:
    """A promise, what was measured, and whether it is kept. `largest` is the largest value behind a percentile."""

    subject: str
    metric: str
    unit: str
    at_most: float
    measured: float
    largest: float | None = None

    @property
    def met(self) -> bool:
        """Whether it is kept."""
        return self.measured <= self.at_most


def main(argv: list[str] | None = None) -> int:
    """Measure, write, and return 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.review", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where to write the result")
    parser.add_argument("--seconds", type=float, help=f"how long the people review together [{FULL.seconds:.0f}]")
    parser.add_argument("--pace", type=float, metavar="SECONDS", help=f"a person takes for a card [{FULL.pace_s:.0f}]")
    parser.add_argument("--kills", type=int, metavar="N", help=f"kill the app N times in a burst [{FULL.kills}]")
    parser.add_argument("--quick", action="store_true", help="a small size, to see that it runs; not logged")
    arguments = parser.parse_args(argv)
    size = QUICK if arguments.quick else FULL
    asked = {"seconds": arguments.seconds or size.seconds, "pace_s": arguments.pace or size.pace_s}
    kills = size.kills if arguments.kills is None else arguments.kills
    size = replace(size, **asked, kills=kills)
    with tempfile.TemporaryDirectory(prefix="leaml-review-") as folder:
        alone, walked = walk(Path(folder), size)
        say(alone)
        together, crowd, troubles = meet(Path(folder), size)
        say(together)
        painted, sat, pace = sit(Path(folder), size)
        say(painted)
        killed = kill(Path(folder), size)
        say(killed)
    targets = [*alone, *together, *painted, *killed]
    result = {
        "size": asdict(size), "targets": [asdict(target) | {"met": target.met} for target in targets],
        "scripted_decisions_a_minute": pace, "troubles": troubles, "machine": machine(), "versions": versions(),
    }  # fmt: skip
    arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    if not arguments.quick:
        append([*walked, *crowd, *sat])
    print(*troubles[:10], sep="\n")
    return 0 if all(target.met for target in targets) else 1


def walk(folder: Path, size: Size) -> tuple[list[Target], list[Figure]]:
    """Measure one reviewer in a large store."""
    make_workspace(folder / "large", images=size.images, pairs=size.pairs, reviewers=size.reviewers)
    command = [sys.executable, "-m", "benchmarks.review.walk", str(folder / "large"), str(size.cards)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    subject = f"{size.pairs} pairs of {size.images} images"
    targets = [
        Target(subject, "opening the store, with its first card", "s", 3.0, found["opening_s"]),
        p95_target(subject, "next card", 50.0, found["next_s"]),
        p95_target(subject, "decision committed", 20.0, found["commit_s"]),
        # Images of this workspace are names only: what comparing real ones would keep of them is added.
        Target(subject, "memory at its peak", "GB", 1.5, (found["memory_bytes"] + 4 * DIMENSIONS * size.images) / 1e9),
    ]
    figures = [
        figure(subject, "opening the store", [found["opening_s"]]),
        figure(subject, "next card", found["next_s"]),
        figure(subject, "decision committed", found["commit_s"]),
        figure(subject, "next card, processor time", found["next_cpu_s"]),
        figure(subject, "decision committed, processor time", found["commit_cpu_s"]),
    ]
    return targets, figures


def meet(folder: Path, size: Size) -> tuple[list[Target], list[Figure], list[str]]:
    """Measure many reviewers at one app, on the store that one reviewer has walked through."""
    workspace = folder / "large"
    names = reviewer_names(size.reviewers)
    crowd = review_together(workspace, names, seconds=size.seconds, pace_s=size.pace_s, log=folder / "app.log")
    lost, doubled = lost_and_doubled(workspace, crowd)
    subject = f"{size.reviewers} reviewers of {size.pairs} pairs for {size.seconds:g} s, {size.pace_s:g} s a card"
    waits = crowd.waits_s or [float("inf")]
    targets = [
        p95_target(subject, "decision to next card through HTTP", 300.0, waits),
        Target(subject, "decisions lost", "decisions", 0, lost),
        Target(subject, "decisions doubled", "decisions", 0, doubled),
        Target(subject, "troubles", "troubles", 0, len(crowd.troubles)),
    ]
    print(f"{len(crowd.confirmed)} decisions confirmed")
    return targets, [figure(subject, "decision to next card through HTTP", waits)], crowd.troubles


def sit(folder: Path, size: Size) -> tuple[list[Target], list[Figure], float]:
    """Measure one reviewer in a browser; return also how many decisions a minute a script takes."""
    workspace = folder / "drawn"
    make_workspace(workspace, images=size.drawn, pairs=4 * size.drawn, drawn=True)
    found = review_in_chromium(workspace, warm_up=size.warm_up, cards=size.painted, log=folder / "browser.log")
    before, after = found.before, found.after
    subject = f"{size.painted} cards in Chromium after {size.warm_up}"
    targets = [
        p95_target(subject, "key press to next card painted", 150.0, found.waits_s),
        Target(subject, "growth of the page's objects", "MB", 2.0, (after.heap_bytes - before.heap_bytes) / 1e6),
        Target(subject, "growth of the page's nodes", "nodes", 500, after.nodes - before.nodes),
        # The browser keeps the files of images that it has shown, here 200 of 120 KB each.
        Target(subject, "growth of the page's process", "MB", 60.0, (after.page_bytes - before.page_bytes) / 1e6),
        Target(subject, "growth of the app", "MB", 30.0, (after.app_bytes - before.app_bytes) / 1e6),
    ]
    pace = 60 * len(found.waits_s) / sum(found.waits_s)
    print(f"{pace:.0f} decisions a minute by a script that waits for nothing else")
    return targets, [figure(subject, "key press to next card painted", found.waits_s)], pace


def kill(folder: Path, size: Size) -> list[Target]:
    """Kill the app in bursts of decisions, as often as was asked for."""
    if not size.kills:
        return []
    workspace = folder / "killed"
    names = make_workspace(workspace, images=5_000, pairs=20_000, reviewers=3)
    crowd, lost, doubled = kill_in_bursts(workspace, names, times=size.kills, log=folder / "killed.log")
    subject = f"{len(crowd.confirmed)} decisions confirmed, app killed {size.kills} times"
    return [
        Target(subject, "decisions lost", "decisions", 0, lost),
        Target(subject, "decisions doubled", "decisions", 0, doubled),
    ]


def say(targets: list[Target]) -> None:
    """Print which targets are met."""
    for target in targets:
        state = "met" if target.met else "MISSED"
        largest = "" if target.largest is None else f"; largest {target.largest:.4g}"
        measured = f"{target.measured:.4g} {target.unit} (at most {target.at_most:g}{largest})"
        print(f"{state:<7}{target.subject}, {target.metric}: {measured}", flush=True)


def figure(subject: str, metric: str, values: list[float]) -> Figure:
    """Return a line of the log."""
    return Figure.of("review", subject, metric, "s", values)


def p95_target(subject: str, what: str, at_most_ms: float, seconds: list[float]) -> Target:
    """Return a target for the 95th percentile of some times."""
    measured = 1000 * float(np.percentile(seconds, 95))
    return Target(subject, f"{what}, p95", "ms", at_most_ms, measured, 1000 * max(seconds))


if __name__ == "__main__":
    sys.exit(main())
