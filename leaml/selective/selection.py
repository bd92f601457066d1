"""Which entries of each weight may move: the top-K scores of every output row (LEAML, Eq. 6)."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from leaml.selective.entries import Entries, column_dtype
from leaml.selective.files import pack_entries, read_tensors, unpack_entries, write_tensors

LARGEST_ROWS = 8


@dataclass(frozen=True)
class RowSummary:
    """One output row of a weight, and its share of the model's total score."""

    row: int
    score_share: float


@dataclass(frozen=True)
class WeightSummary:
    """How one weight fared.

    Attributes:
        name: Of the parameter.
        layer: The first number in its name.
        module: The linear layer's own name, such as `up_proj`.
        rows: Output rows.
        columns: Entries a row.
        share: Share of its entries that may move.
        score_share: Share of the model's total score that these entries hold.
        largest_rows: The rows whose chosen entries score highest, the highest first.
    """

    name: str
    layer: int
    module: str
    rows: int
    columns: int
    share: float
    score_share: float
    largest_rows: tuple[RowSummary, ...]


@dataclass(frozen=True)
class Selection:
    """The chosen entries of a model, and where they come from.

    Attributes:
        entries: By parameter name.
        summary: One row a weight, in the model's order.
        base_hash: Of the weights that were scored (`leaml.selective.weights_hash`); empty where nobody said.
        data_hash: Of the labelled data.
        config: The settings of scoring and selection.
    """

    entries: dict[str, Entries]
    summary: tuple[WeightSummary, ...]
    base_hash: str = ""
    data_hash: str = ""
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of entries that may move."""
        return sum(entries.count for entries in self.entries.values())

    @property
    def density(self) -> float:
        """Share of all targeted weights' entries that may move: what the row budget came to."""
        return self.count / sum(math.prod(entries.shape) for entries in self.entries.values())

    def save(self, path: Path) -> None:
        """Write one safetensors file, its header holding all but the places as JSON; aside, then renamed."""
        about = {name: value for name, value in vars(self).items() if name not in ("entries", "summary")}
        about["summary"] = [asdict(row) for row in self.summary]
        shapes, tensors = pack_entries(self.entries)
        write_tensors(path, "selection", about | {"shapes": shapes}, tensors)

    @classmethod
    def load(cls, path: Path) -> "Selection":
        """Return the selection that `save` wrote.

        Raises:
            ModelError: If the file is not a selection, or is damaged.
        """
        about, tensors = read_tensors(path, "selection")
        entries = unpack_entries(about.pop("shapes"), tensors)
        summary = tuple(
            WeightSummary(**row | {"largest_rows": tuple(RowSummary(**best) for best in row["largest_rows"])})
            for row in about.pop("summary")
        )
        return cls(entries, summary, **about)


def select(
    score_groups: Iterable[Mapping[str, Tensor]],
    row_budget: int | float,
    *,
    base_hash: str = "",
    data_hash: str = "",
    config: Mapping[str, Any] | None = None,
) -> Selection:
    """Return the entries with the K largest scores of each row of each weight.

    Args:
        score_groups: From `score_weights`; each group is dropped before the next is asked for.
        row_budget: K, or the share of a row.
        base_hash: Of the scored model, to be kept with the selection.
        data_hash: Of the labelled data.
        config: Further settings to keep.
    """
    entries: dict[str, Entries] = {}
    totals: dict[str, float] = {}
    row_scores: dict[str, Tensor] = {}
    for scores in score_groups:
        for name in scores:
            entries[name] = select_rows(scores[name], row_budget)
            totals[name] = float(scores[name].sum(dtype=torch.float64))
            chosen = entries[name].gather(scores[name]).view(len(scores[name]), -1)
            row_scores[name] = chosen.sum(1, dtype=torch.float64).cpu()
        del scores  # before the next group is made
    total = sum(totals.values()) or 1.0
    summary = tuple(_summarise(name, entries[name], row_scores[name] / total) for name in entries)
    settings = {"row_budget": row_budget, **(config or {})}
    return Selection(entries, summary, base_hash, data_hash, settings)


def select_rows(scores: Tensor, row_budget: int | float) -> Entries:
    """Return the entries with the K largest scores of each row; the lower index wins a tie.

    Args:
        scores: `[out, in]` float32, not negative.
        row_budget: K, or the share of a row. K from `in` upwards selects everything.
    """
    rows, columns = scores.shape
    count = row_count(columns, row_budget)
    shape = (rows, columns)
    if count == columns:
        return Entries(shape)
    # topk promises no order among equal scores, but the K-th largest value itself is certain.
    threshold = scores.topk(count, dim=1, sorted=False).values.amin(1, keepdim=True)
    above, level = scores > threshold, scores == threshold
    open_places = count - above.sum(1, keepdim=True)
    chosen = above | (level & (level.cumsum(1) <= open_places))
    places = chosen.nonzero()[:, 1].view(rows, count)
    return Entries(shape, places.to(column_dtype(columns)))


def row_count(columns: int, row_budget: int | float) -> int:
    """Return how many entries of a row of `columns` may move: a whole number, or a share rounded up, clamped."""
    wanted = row_budget if isinstance(row_budget, int) else math.ceil(row_budget * columns)
    return min(wanted, columns)


def _summarise(name: str, entries: Entries, row_shares: Tensor) -> WeightSummary:
    """Return one weight's summary. `row_shares`: `[out]`, each row's share of the model's total score."""
    parts = name.removesuffix(".weight").split(".")
    best = row_shares.topk(min(LARGEST_ROWS, len(row_shares)))
    return WeightSummary(
        name=name,
        layer=next((int(part) for part in parts if part.isdigit()), 0),
        module=parts[-1],
        rows=entries.shape[0],
        columns=entries.shape[1],
        share=entries.density,
        score_share=float(row_shares.sum()),
        largest_rows=tuple(
            RowSummary(row, share) for row, share in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ),
    )
