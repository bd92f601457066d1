"""Eq. 6: the top-K of each row."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leaml.selective import mask_summary, realised_density, select_rows

shapes = st.tuples(st.integers(1, 12), st.integers(1, 40))


@given(shape=shapes, budget=st.integers(1, 60), seed=st.integers(0, 999), levels=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_each_row_keeps_its_largest_scores_and_the_lower_index_wins_a_tie(shape, budget, seed, levels):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, levels, shape, generator=generator).float()  # few levels: many ties
    mask = select_rows(scores, budget)
    for row, kept in zip(scores.tolist(), mask.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda column: (-row[column], column))
        assert {column for column, on in enumerate(kept) if on} == set(order[:budget])


@pytest.mark.parametrize(("budget", "kept"), [(3, 3), (0.5, 5), (0.01, 1), (0.31, 4), (1.0, 10), (99, 10)])
def test_budget_is_a_number_or_a_share_rounded_up(budget, kept):
    assert select_rows(torch.rand(4, 10), budget).sum(1).tolist() == [kept] * 4


def test_density_and_summary():
    scores = {"layers.0.mlp.up_proj": torch.ones(2, 4), "layers.1.mlp.up_proj": torch.ones(2, 4) * 3}
    masks = {name: select_rows(score, budget) for (name, score), budget in zip(scores.items(), (1, 3), strict=True)}
    assert realised_density(masks) == 8 / 16
    first, second = mask_summary(scores, masks)
    assert (first["layer"], first["module"], first["share"]) == (0, "up_proj", 0.25)
    assert second["score_share"] == pytest.approx(18 / 32)
