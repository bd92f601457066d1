"""docs/backbones.md says what the code computes and tests."""

from pathlib import Path

import pytest

from benchmarks.memory import MODELS, SHARE, Model, stage_bytes, table
from tests.backbones.conftest import ALL

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "backbones.md").read_text(encoding="utf-8")


def test_the_table_is_the_computed_one():
    assert table() in PAGE


def test_the_formulas_by_hand():
    model = Model("f", "n", "l", 1000, 300, 10, 4, False, 3, 2)
    assert (model.decoder, model.linear) == (700, 620)
    activations = (2 * 3 + 34) * 512 * 4 + 12 * 64 * 10
    assert stage_bytes(model, "sample") == 4000 + 4 * 620 + (2 * 4 * 3 * 2 + 34 * 4) * 4096
    assert stage_bytes(model, "sample", 2) == 2000 + 2 * 620 + (2 * 2 * 3 * 2 + 34 * 4) * 4096
    assert stage_bytes(model, "score") == 4000 + 4 * 620 + activations
    assert stage_bytes(model, "selective") == pytest.approx(4000 + 18 * SHARE * 620 + activations)
    assert stage_bytes(model, "full") == 4000 + 12 * 700 + activations
    assert stage_bytes(model, "score", 2) == 2000 + 4 * 620 + activations
    assert stage_bytes(model, "full", 2) == 2000 + 16 * 700 + activations


def test_every_family_of_the_table_is_tested():
    names = {model.family.lower().replace(" ", "").replace("-", "_").replace(".", "_") for model in MODELS}
    tested = {name.replace("fast_vlm", "fastvlm") for name in ALL}
    assert names == tested
