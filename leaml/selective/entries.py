"""The chosen entries of one weight: where they are, how to read and write them, how to keep them on disk.

Every row has the same number K of chosen entries, so that their values form a rectangle `[out, K]`. In memory they
are int16 columns: reading by column is as fast as copying, while unpacking a bit mask at each step is ten times
slower (docs/performance.md). Where they are few, whoever reads them at every step keeps them as the 64-bit numbers that
torch wants (`wide`). On disk they are whatever is smaller: a bit a weight, or 16 bits a chosen entry.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from leaml.errors import ModelError

Layout = Literal["dense", "bitmask", "columns"]

BITMASK_FROM = 1 / 16
"""Density above which a bit a weight is smaller than 16 bits an entry."""
CHUNK_CPU, CHUNK_ACCELERATOR = 2**20, 2**26
"""Weights whose entries are read or written at once. Their 64-bit places are made for the moment only; on a CPU they
and the weights should stay in the cache."""


@dataclass(frozen=True)
class Entries:
    """The chosen entries of one weight.

    Attributes:
        shape: Of the weight.
        columns: `[out, K]` int16 (int32 beyond 32,768 columns; int64 when wide), ascending in each row; None chooses
            every entry.
    """

    shape: tuple[int, ...]
    columns: Tensor | None = None

    @property
    def count(self) -> int:
        """Number of chosen entries."""
        return math.prod(self.shape) if self.columns is None else self.columns.numel()

    @property
    def density(self) -> float:
        """Share of the weight's entries that are chosen."""
        return self.count / math.prod(self.shape)

    @property
    def layout(self) -> Layout:
        """How the places are kept on disk."""
        if self.columns is None:
            return "dense"
        return "bitmask" if self.density > BITMASK_FROM else "columns"

    def to(self, device: torch.device) -> "Entries":
        """Return the same entries with their places on another device."""
        return Entries(self.shape, None if self.columns is None else self.columns.to(device))

    def wide(self) -> "Entries":
        """Return the same entries with 64-bit places: a third faster to read and write, in four times the memory."""
        return Entries(self.shape, None if self.columns is None else self.columns.long())

    def gather(self, weight: Tensor, out: Tensor | None = None) -> Tensor:
        """Return a copy of the chosen values, flat: row by row, columns ascending.

        Args:
            weight: Of `shape`, any dtype, on the device of the places; detached.
            out: Where to write them, if not into a new tensor; flat, of the weight's dtype.
        """
        values = weight.new_empty(self.count) if out is None else out
        if self.columns is None:
            return values.copy_(weight.reshape(-1))
        for block, places, part in self._blocks(weight, values):
            torch.gather(block, 1, places, out=part)
        return values

    @torch.no_grad()
    def scatter_(self, weight: Tensor, values: Tensor) -> None:
        """Write the chosen entries in the weight's own dtype; no other entry is touched.

        Args:
            weight: Of `shape`, changed in place.
            values: Flat, in the order of `gather`.
        """
        if self.columns is None:
            weight.copy_(values.view(self.shape))
            return
        for block, places, part in self._blocks(weight, values):
            block.scatter_(1, places, part.to(weight.dtype))

    def gathering(self, out: Tensor) -> Callable[[Tensor], Any]:
        """Return a function that is `gather` into `out`, with all done beforehand that can be.

        Within a backward pass each line of Python costs several times what it costs in a loop of its own.
        """
        columns = self.columns
        if columns is None or self._rows_at_once(out.device) < self.shape[0]:
            return lambda weight: self.gather(weight, out)
        rectangle = out.view(columns.shape)
        return lambda weight: torch.gather(weight, 1, columns.long(), out=rectangle)

    def scattering(self, weight: Tensor, values: Tensor) -> Callable[[], Any]:
        """Return a function that is `scatter_` of these values into this weight, prepared likewise; needs `no_grad`."""
        columns = self.columns
        if columns is None or weight.dtype != values.dtype or self._rows_at_once(weight.device) < self.shape[0]:
            return lambda: self.scatter_(weight, values)
        rectangle = values.view(columns.shape)
        return lambda: weight.scatter_(1, columns.long(), rectangle)

    def others(self) -> "Entries | None":
        """Return the entries that are not chosen, on the same device; None where all are."""
        if self.columns is None or self.count == math.prod(self.shape):
            return None
        columns = (~self.mask()).nonzero()[:, 1].view(self.shape[0], -1)
        return Entries(self.shape, columns.to(self.columns.device, self.columns.dtype))

    def mask(self) -> Tensor:
        """Return the chosen entries as a boolean tensor of the weight's shape."""
        if self.columns is None:
            return torch.ones(self.shape, dtype=torch.bool)
        return torch.zeros(self.shape, dtype=torch.bool).scatter_(1, self.columns.cpu().long(), True)

    def pack(self) -> Tensor | None:
        """Return the places in their layout: None, packed bits `[out, in / 8]` uint8, or the columns."""
        if self.columns is None:
            return None
        if self.layout == "bitmask":
            return torch.from_numpy(np.packbits(self.mask().numpy(), axis=1))
        return self.columns.cpu().to(column_dtype(self.shape[1]))

    @classmethod
    def unpack(cls, shape: tuple[int, ...], packed: Tensor | None) -> "Entries":
        """Return the entries that `pack` wrote.

        Raises:
            ModelError: If rows hold different numbers of entries, or columns outside the weight.
        """
        if packed is None:
            return cls(shape)
        if packed.dtype == torch.uint8:
            bits = np.unpackbits(packed.numpy(), axis=1, count=shape[1]).astype(bool)
            counts = bits.sum(1)
            if bits.shape[0] != shape[0] or counts.min() != counts.max():
                raise ModelError(f"The bit mask of a weight of shape {shape} is damaged. Make the file again.")
            columns = torch.from_numpy(np.nonzero(bits)[1].reshape(shape[0], -1))
        else:
            columns = packed
        inside = columns.numel() > 0 and 0 <= int(columns.min()) and int(columns.max()) < shape[1]
        if len(columns) != shape[0] or not inside:
            raise ModelError(f"The columns of a weight of shape {shape} are damaged. Make the file again.")
        return cls(shape, columns.to(column_dtype(shape[1])))

    def _rows_at_once(self, device: torch.device) -> int:
        assert self.columns is not None
        if self.columns.dtype == torch.int64:  # nothing is made for the moment
            return self.shape[0]
        return max(1, (CHUNK_CPU if device.type == "cpu" else CHUNK_ACCELERATOR) // self.shape[1])

    def _blocks(self, weight: Tensor, values: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield blocks of rows: of the weight, of the places as 64-bit columns, and of the values."""
        assert self.columns is not None
        rectangle = values.view(self.columns.shape)
        rows = self._rows_at_once(weight.device)
        if rows >= self.shape[0]:  # slicing costs as much as reading a small weight
            yield weight, self.columns.long(), rectangle
            return
        for start in range(0, self.shape[0], rows):
            part = slice(start, start + rows)
            yield weight[part], self.columns[part].long(), rectangle[part]


def column_dtype(columns: int) -> torch.dtype:
    """Return the smallest integer type that can name this many columns."""
    return torch.int16 if columns <= 2**15 else torch.int32
