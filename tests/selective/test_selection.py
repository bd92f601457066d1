"""Eq. 6: the top-K of each row, what is told about it, and its file."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leaml.errors import ModelError
from leaml.selective import Delta, Selection, select, select_rows

shapes = st.tuples(st.integers(1, 12), st.integers(1, 40))


@given(shape=shapes, budget=st.integers(1, 60), seed=st.integers(0, 999), levels=st.integers(1, 5))
@settings(max_examples=80, deadline=None)
def test_each_row_keeps_its_largest_scores_and_the_lower_index_wins_a_tie(shape, budget, seed, levels):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, levels, shape, generator=generator).float()  # few levels: many ties
    mask = select_rows(scores, budget).mask()
    for row, kept in zip(scores.tolist(), mask.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda column: (-row[column], column))
        assert {column for column, on in enumerate(kept) if on} == set(order[:budget])


@pytest.mark.parametrize(("budget", "kept"), [(3, 3), (0.5, 5), (0.01, 1), (0.31, 4), (1.0, 10), (99, 10)])
def test_budget_is_a_number_or_a_share_rounded_up(budget, kept):
    chosen = select_rows(torch.rand(4, 10), budget)
    assert chosen.count == 4 * kept and chosen.mask().sum(1).tolist() == [kept] * 4


def scores():
    first = torch.arange(8.0).view(2, 4)
    return {"layers.0.mlp.up_proj.weight": first, "layers.11.attn.q_proj.weight": torch.full((3, 4), 3.0)}


def test_the_summary_tells_shares_of_entries_and_of_scores():
    selection = select([scores()], 2)
    first, second = selection.summary
    total = 28 + 36
    assert (first.layer, first.module, first.rows, first.columns, first.share) == (0, "up_proj", 2, 4, 0.5)
    assert first.score_share == pytest.approx((2 + 3 + 6 + 7) / total)
    assert [(best.row, best.score_share) for best in first.largest_rows] == [
        (1, pytest.approx(13 / total)), (0, pytest.approx(5 / total))
    ]  # fmt: skip
    assert (second.layer, second.module, second.score_share) == (11, "q_proj", pytest.approx(18 / total))
    assert selection.density == (4 + 6) / 20


def test_groups_one_by_one_select_the_same():
    whole = select([scores()], 0.5)
    parts = select(({name: score} for name, score in scores().items()), 0.5)
    assert parts.summary == whole.summary
    assert all(parts.entries[name].mask().equal(own.mask()) for name, own in whole.entries.items())


def test_a_selection_survives_its_file_with_hashes_and_settings(tmp_path):
    selection = select([scores()], 0.25, base_hash="b" * 64, data_hash="d" * 64, config={"rule": "fisher"})
    selection.save(tmp_path / "selection.safetensors")
    again = Selection.load(tmp_path / "selection.safetensors")
    assert (again.base_hash, again.data_hash) == ("b" * 64, "d" * 64)
    assert again.config == {"row_budget": 0.25, "rule": "fisher"}
    assert again.summary == selection.summary and again.density == selection.density
    assert all(again.entries[name].columns.equal(own.columns) for name, own in selection.entries.items())
    assert [path.name for path in tmp_path.iterdir()] == ["selection.safetensors"]


def test_other_files_are_refused_with_a_sentence(tmp_path):
    path = tmp_path / "selection.safetensors"
    with pytest.raises(ModelError, match=r"Cannot read .*selection\.safetensors"):
        Selection.load(path)
    select([scores()], 2).save(path)
    with pytest.raises(ModelError, match="is not a delta of this version"):
        Delta.load(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ModelError, match=r"Cannot read .*Make it again"):
        Selection.load(path)
