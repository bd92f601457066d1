"""The benchmark of the feature cache: its formula, its exit code, and that it measures both kinds of step."""

import csv
import json

import pytest

from benchmarks import record, vision_cache
from benchmarks.vision_cache import (
    CACHED,
    ENCODED,
    Shape,
    ceiling,
    large_config,
    main,
    shape_of,
    step_flops,
    tower_flops,
)


def test_the_large_model_has_its_published_size():
    shape = shape_of(large_config())
    embedding = 151936 * 1536
    assert shape.tower_weights + shape.decoder_weights + embedding == pytest.approx(2.21e9, rel=0.01)
    assert shape.tower_weights == pytest.approx(665e6, rel=0.01)


def test_the_formula_by_hand():
    shape = Shape(10, 2, 4, 100, 3, 8, 50, 8)
    assert tower_flops(shape, 6) == 2 * 10 * 6 + 2 * 4 * 36 * 4
    assert step_flops(shape, 7, 2) == 6 * 100 * 7 + 6 * 3 * 49 * 8 + 6 * 50 * 8 * 2
    assert ceiling(shape, 28) == 1 + tower_flops(shape, 4) / step_flops(shape, 97, 8)


@pytest.mark.parametrize(("seconds", "code"), [(1.29, 1), (1.31, 0)])
def test_a_factor_below_the_target_is_a_failure(seconds, code, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(vision_cache, "measure", lambda rounds: {CACHED: [1.0] * rounds, ENCODED: [seconds] * rounds})
    monkeypatch.setattr(record.append, "__defaults__", (tmp_path / "log.csv",))
    monkeypatch.setattr("sys.argv", ["vision_cache", "--rounds", "3", "--json", str(tmp_path / "out.json")])
    assert main() == code
    assert ("missed" in capsys.readouterr().out) == bool(code)
    written = json.loads((tmp_path / "out.json").read_text())
    logged = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert written["met"] == (not code) and len(logged) == len(written["rows"]) == 5


def test_both_kinds_of_step_are_measured(monkeypatch):
    monkeypatch.setattr(vision_cache, "BATCH_SIZE", 2)
    monkeypatch.setattr(vision_cache, "IMAGES", 3)
    times = vision_cache.measure(1)
    assert {kind: len(values) for kind, values in times.items()} == {CACHED: 1, ENCODED: 1}
    assert all(values[0] > 0 for values in times.values())
