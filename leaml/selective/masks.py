"""Which entries of each weight may move: the top-K scores of every output row (LEAML, Eq. 6)."""

import math
from collections.abc import Mapping
from typing import TypedDict

import torch
from torch import Tensor


class ModuleSummary(TypedDict):
    """How one weight fared: `share` of its entries may move; they hold `score_share` of the model's total score."""

    layer: int
    module: str
    rows: int
    columns: int
    share: float
    score_share: float


def row_count(columns: int, row_budget: int | float) -> int:
    """Return how many entries of a row of `columns` may move: a whole number, or a share rounded up, clamped."""
    wanted = row_budget if isinstance(row_budget, int) else math.ceil(row_budget * columns)
    return min(wanted, columns)


def select_rows(scores: Tensor, row_budget: int | float) -> Tensor:
    """Return a boolean mask `[out, in]` with the K largest scores of each row; the lower index wins a tie.

    Args:
        scores: `[out, in]` float32, not negative.
        row_budget: K, or the share of a row. K above `in` selects the whole row.
    """
    count = row_count(scores.shape[1], row_budget)
    # A stable descending sort keeps equal scores in the order of their index; topk promises no order.
    best = scores.sort(dim=1, descending=True, stable=True).indices[:, :count]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, best, True)


def realised_density(masks: Mapping[str, Tensor]) -> float:
    """Return the share of all masked weights' entries that may move."""
    return sum(int(mask.sum()) for mask in masks.values()) / sum(mask.numel() for mask in masks.values())


def mask_summary(scores: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> list[ModuleSummary]:
    """Return one row a weight, in the model's order. Names must be like `layers.3.self_attn.q_proj`."""
    total = sum(float(score.sum(dtype=torch.float64)) for score in scores.values()) or 1.0
    return [
        ModuleSummary(
            layer=next((int(part) for part in name.split(".") if part.isdigit()), 0),
            module=name.rsplit(".", 1)[-1],
            rows=mask.shape[0],
            columns=mask.shape[1],
            share=float(mask.float().mean()),
            score_share=float(scores[name][mask].sum(dtype=torch.float64)) / total,
        )
        for name, mask in masks.items()
    ]
