"""What training changed, as a small file; and one resident base model that wears one such change at a time.

A delta holds the *values* of the changed entries, not differences: adding and subtracting rounds, while values come
and go bit for bit. The resident model keeps its own values of the entries that a delta covers, and puts them back.
"""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from leaml.errors import ModelError
from leaml.selective.directory import check_replaceable, replace_directory
from leaml.selective.entries import Entries
from leaml.selective.files import pack_entries, read_tensors, unpack_entries, write_tensors

VALUES = "values/"
PLACES_KEPT = 2**25
"""Entries of a delta up to which a resident model keeps their 64-bit places (256 MB) from one swap to the next. To make
them anew takes as long as writing a small model's values; of a large model they would take more memory than it."""


@dataclass(frozen=True, eq=False)
class Delta:
    """New values of some entries of one base model.

    Attributes:
        entries: Where the values belong, by parameter name.
        values: Flat, in the order of `Entries.gather` and in the dtype of the weight.
        base_hash: Of the model that it belongs to (`weights_hash`).
        base_dtype: In which that model was loaded.
        about: Whatever describes how it came about, as JSON values.
    """

    entries: dict[str, Entries]
    values: dict[str, Tensor]
    base_hash: str
    base_dtype: str
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of values."""
        return sum(entries.count for entries in self.entries.values())

    def save(self, path: Path) -> None:
        """Write one safetensors file, its header holding the description as JSON; aside, then renamed."""
        shapes, places = pack_entries(self.entries)
        values = {VALUES + name: value.cpu() for name, value in self.values.items()}
        about = {"base_hash": self.base_hash, "base_dtype": self.base_dtype, "about": self.about, "shapes": shapes}
        write_tensors(path, "delta", about, places | values)

    @classmethod
    def load(cls, path: Path) -> "Delta":
        """Return the delta that `save` wrote.

        Raises:
            ModelError: If the file is not a delta, or is damaged.
        """
        about, tensors = read_tensors(path, "delta")
        entries = unpack_entries(about["shapes"], tensors)
        values = {name: tensors[VALUES + name] for name in entries if VALUES + name in tensors}
        wrong = [name for name, own in entries.items() if name not in values or values[name].numel() != own.count]
        if wrong:
            raise ModelError(f"The values of {wrong[0]} in {path} do not fit its entries. Make the delta again.")
        return cls(entries, values, about["base_hash"], about["base_dtype"], about["about"])


@dataclass(frozen=True)
class _Change:
    """The entries of one weight that a delta or a training changes, with all that a swap needs at hand."""

    weight: Tensor
    entries: Entries
    base: Tensor

    def write(self, values: Tensor) -> None:
        self.entries.scatter_(self.weight, values.to(self.weight.device))


class ResidentModel:
    """A base model that stays in memory while deltas come and go. At most one delta is active.

    Attributes:
        model: The model; train or use it as it is.
        base_hash: Of its weights when it was taken in.
    """

    def __init__(self, model: nn.Module) -> None:
        """Take in a model in its base state; its weights are hashed once."""
        self.model = model
        self.base_hash = weights_hash(model)
        self._parameters = dict(model.named_parameters())
        self._dtype = _dtype_name(model)
        self._fitted: WeakKeyDictionary[Delta, dict[str, _Change]] = WeakKeyDictionary()
        self._changed: dict[str, _Change] = {}
        self._active: Delta | None = None

    @property
    def active(self) -> Delta | None:
        """The delta whose values the model has; None while it is the base model."""
        return self._active

    def capture(self, entries: Mapping[str, Entries], **about: Any) -> Delta:
        """Return the model's present values of these entries, such as after training, as a delta.

        Args:
            entries: By parameter name.
            **about: JSON values to be kept with it.
        """
        own = {name: entries[name].to(self._parameters[name].device) for name in entries}
        values = {name: own[name].gather(self._parameters[name].detach()) for name in own}
        return Delta(own, values, self.base_hash, self._dtype, about)

    def train(self, entries: Mapping[str, Entries]) -> None:
        """Keep the base values of entries that training is about to change, so that `restore` can put them back.

        Raises:
            ModelError: If a delta is active.
        """
        if self._changed:
            raise ModelError("A delta is active already. Restore the base model before another training.")
        originals = self.capture(entries)
        self._changed = {
            name: _Change(self._parameters[name], originals.entries[name], originals.values[name]) for name in entries
        }

    @torch.no_grad()
    def apply(self, delta: Delta) -> None:
        """Give the model this delta's values, in place of the values of any other delta. Exact to the bit.

        The base model's values of the same entries are kept for as long as the delta is: a later swap only writes.

        Raises:
            ModelError: If the delta belongs to another base model; nothing is changed.
        """
        if delta is self._active:
            return
        if delta.base_hash != self.base_hash:
            raise ModelError(
                f"This delta belongs to another base model (weights {delta.base_hash[:12]} in {delta.base_dtype}) than "
                f"the one that is loaded (weights {self.base_hash[:12]} in {self._dtype}). Load the model it was "
                "trained from."
            )
        if delta not in self._fitted:
            self.restore()
            self._fitted[delta] = self._fit(delta)
        before, self._changed, self._active = self._changed, self._fitted[delta], delta
        for name, change in self._changed.items():
            # Weight by weight, so that each comes from memory once: that is what a swap's time goes into.
            if name in before:
                before[name].write(before[name].base)
            change.write(delta.values[name])
        for name in before.keys() - self._changed.keys():
            before[name].write(before[name].base)

    @torch.no_grad()
    def restore(self) -> None:
        """Put the base model's own values back, exact to the bit. Without an active delta nothing happens."""
        for change in self._changed.values():
            change.write(change.base)
        self._changed, self._active = {}, None

    def merge(self, delta: Delta, directory: Path, *processors: Any) -> None:
        """Write the model with this delta's values as an ordinary Hugging Face directory, aside and then renamed.

        The resident model is the base model afterwards. It must be one of transformers.

        Args:
            delta: Whose values are written, exact to the bit.
            directory: New, empty, or an earlier model's alone, which is replaced.
            *processors: Tokenizers or processors to be saved beside the weights.

        Raises:
            ModelError: If the delta belongs to another base model, the directory holds something else, or the disk
                does not take it.
        """
        directory = directory.resolve()  # a link is renamed by itself, without what it leads to
        check_replaceable(directory)
        self.apply(delta)
        aside = directory.with_name(f".{directory.name}.partial")
        shutil.rmtree(aside, ignore_errors=True)
        try:
            for part in (self.model, *processors):
                part.save_pretrained(aside)
            replace_directory(directory, aside)
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            raise ModelError(f"Cannot write {directory}: {error}. Free some disk space and try again.") from error
        finally:
            self.restore()

    def _fit(self, delta: Delta) -> dict[str, _Change]:
        """Return what swaps of a delta need; the model must be the base model now."""
        keep, fitted = delta.count <= PLACES_KEPT, {}
        # Of a weight that is changed as a whole, all deltas share the base values: they may be as large as the model.
        others = (item for changes in self._fitted.values() for item in changes.items())
        whole = {name: change.base for name, change in others if change.entries.columns is None}
        for name, entries in delta.entries.items():
            weight = self._parameters[name]
            own = entries.to(weight.device)
            base = whole.get(name) if own.columns is None else None
            values = own.gather(weight.detach()) if base is None else base
            fitted[name] = _Change(weight, own.wide() if keep else own, values)
        return fitted


def weights_hash(model: nn.Module) -> str:
    """Return the SHA-256 over the names, types, shapes and bits of a model's parameters and saved buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _dtype_name(model: nn.Module) -> str:
    kinds = sorted({str(parameter.dtype).removeprefix("torch.") for parameter in model.parameters()})
    return " and ".join(kinds)
