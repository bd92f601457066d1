"""Deltas of whole weights, as LoRA and full fine-tuning leave them: the base model is kept once beside all of them."""

import torch

from leaml.selective import Delta, Entries, ResidentModel, linear_weights, weights_hash
from tests.selective.tiny import tiny_llama


def whole_delta(resident: ResidentModel, seed: int) -> Delta:
    """Return random values of every linear weight."""
    random = torch.Generator().manual_seed(seed)
    entries = {name: Entries(tuple(w.shape)) for name, w in linear_weights(resident.model).weights.items()}
    values = {name: torch.randn(own.count, generator=random) for name, own in entries.items()}
    return Delta(entries, values, resident.base_hash, "float32")


def test_the_base_values_are_kept_once_for_all_deltas():
    resident = ResidentModel(tiny_llama())
    made = [whole_delta(resident, seed) for seed in range(3)]
    for delta in (*made, made[0]):
        resident.apply(delta)
        own = dict(resident.model.named_parameters())
        assert all(own[name].flatten().equal(values) for name, values in delta.values.items())
    kept = {change.base.data_ptr() for changes in resident._fitted.values() for change in changes.values()}
    assert len(kept) == len(made[0].entries)
    del made[0], delta  # the one whose base values the others have
    resident.apply(made[0])
    resident.restore()
    assert weights_hash(resident.model) == resident.base_hash
