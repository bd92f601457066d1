"""The review benchmark at a small size: that it measures what it says, and notices what is lost."""

import json
import subprocess
import sys

import pytest

from benchmarks import record
from benchmarks.review.__main__ import Target
from benchmarks.review.crowd import Crowd, lost_and_doubled
from benchmarks.review.workspace import make_workspace
from leaml.labelling.experts import as_pair
from leaml.records import Review
from leaml.store import Store


def test_it_runs_and_says_what_was_missed(tmp_path):
    """In a process of its own, whose memory is measured."""
    before = record.RESULTS.read_bytes()
    told = ["--quick", "--kills", "1", "--seconds", "3", "--json", str(tmp_path / "review.json")]
    done = subprocess.run([sys.executable, "-m", "benchmarks.review", *told], check=False, timeout=500)
    found = json.loads((tmp_path / "review.json").read_text())
    assert done.returncode == (0 if all(target["met"] for target in found["targets"]) else 1)
    by_metric = {target["metric"]: target["measured"] for target in found["targets"]}
    assert len(found["targets"]) == 15 and not found["troubles"]
    wrong = [target["measured"] for target in found["targets"] if target["unit"] == "decisions"]
    assert wrong == [0, 0, 0, 0], "lost and doubled, without and with a killed app"
    assert 0 < by_metric["next card, p95"] < 5000 and 0.05 < by_metric["memory at its peak"] < 1.5
    assert by_metric["decision to next card through HTTP, p95"] != float("inf")
    assert 1 < by_metric["key press to next card painted, p95"] < 20_000
    assert abs(by_metric["growth of the page's nodes"]) < 500
    assert record.RESULTS.read_bytes() == before, "a quick run is no measurement to keep"


@pytest.mark.parametrize(("measured", "met"), [(20.0, True), (20.1, False), (float("inf"), False)])
def test_a_target_is_met_up_to_its_bound(measured, met):
    assert Target("x", "time", "ms", 20.0, measured).met is met


def test_lost_and_doubled_decisions_are_counted(tmp_path):
    names = make_workspace(tmp_path / "w", images=5, pairs=20, reviewers=2)
    with Store.open(tmp_path / "w") as store:
        first, second = store.queue.next(2)
        for row, name in ((first, names[0]), (second, names[0]), (second, names[1])):
            store.add_review(Review(row.id, "accept", as_pair(row), None, name, 1.0))
    kept = [(names[0], first.id, "accept"), (names[0], second.id, "accept")]
    assert lost_and_doubled(tmp_path / "w", Crowd(confirmed=kept)) == (0, 1)
    missing = [*kept, (names[1], first.id, "accept"), (names[0], first.id, "reject")]
    assert lost_and_doubled(tmp_path / "w", Crowd(confirmed=missing)) == (2, 1)
