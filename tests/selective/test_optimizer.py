"""The masked update against a dense oracle, and the gates of selective training."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from leaml.errors import TrainingError
from leaml.selective import SelectedAdamW, select_rows


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))


def weights(model):
    return {name: p for name, p in model.named_parameters() if p.ndim == 2}


def masks_for(model, budget, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return {n: select_rows(torch.rand(p.shape, generator=generator), budget) for n, p in weights(model).items()}


def loss(model, step):
    generator = torch.Generator().manual_seed(step)
    return (model(torch.randn(7, 6, generator=generator)) - torch.randn(7, 4, generator=generator)).pow(2).mean()


def run_selected(model, masks, steps, *, weight_decay=0.1, clip=0.05, start=0, state=None):
    model.requires_grad_(False)
    optimizer = SelectedAdamW(weights(model), masks, weight_decay=weight_decay)
    if state is not None:
        optimizer.load_state_dict(state)
    for step in range(start, steps):
        loss(model, step).backward()
        optimizer.clip(clip)
        optimizer.step(1e-2)
    return optimizer


def run_oracle(model, masks, steps, *, weight_decay=0.1, clip=0.05):
    """Dense AdamW on masked gradients, every unselected entry put back after each step."""
    model.requires_grad_(False)
    trained = weights(model)
    originals = {name: p.clone() for name, p in trained.items()}
    adam = torch.optim.AdamW([p.requires_grad_(True) for p in trained.values()], lr=1e-2, weight_decay=weight_decay)
    for step in range(steps):
        loss(model, step).backward()
        for name, p in trained.items():
            p.grad.mul_(masks[name])
        nn.utils.clip_grad_norm_(trained.values(), clip, error_if_nonfinite=True)
        adam.step()
        adam.zero_grad()
        with torch.no_grad():
            for name, p in trained.items():
                p.copy_(torch.where(masks[name], p, originals[name]))


@given(budget=st.one_of(st.integers(1, 9), st.floats(0.05, 1.0)), seed=st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_selected_update_equals_the_dense_masked_and_restored_oracle(budget, seed):
    selected, oracle = network(seed), network(seed)
    masks = masks_for(selected, budget, seed)
    run_selected(selected, masks, 6)
    run_oracle(oracle, masks, 6)
    for (name, mine), theirs in zip(weights(selected).items(), weights(oracle).values(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_unselected_bits_and_every_other_parameter_stay_as_they_were(dtype):
    model = network().to(dtype)
    before = {name: p.clone() for name, p in model.named_parameters()}
    masks = masks_for(model, 2)
    model.requires_grad_(False)
    optimizer = SelectedAdamW(weights(model), masks, weight_decay=0.5)
    for step in range(5):
        generator = torch.Generator().manual_seed(step)
        model(torch.randn(7, 6, generator=generator).to(dtype)).pow(2).mean().backward()
        optimizer.step(1e-2)
    for name, p in model.named_parameters():
        frozen = ~masks[name] if name in masks else torch.ones_like(p, dtype=torch.bool)
        assert torch.equal(p[frozen], before[name][frozen])
        assert name not in masks or not torch.equal(p[masks[name]], before[name][masks[name]])


def test_optimizer_state_is_twelve_bytes_a_selected_entry():
    model = network()
    optimizer = run_selected(model, masks_for(model, 3), 1)
    state = optimizer.state_dict()
    moments = [t for t in state["adam"]["state"][0].values() if isinstance(t, torch.Tensor) and t.numel() > 1]
    held = sum(t.numel() * t.element_size() for t in [state["master"], *moments])
    assert optimizer.selected == 3 * (8 + 4)
    assert held == 12 * optimizer.selected


def test_resume_continues_bit_for_bit():
    whole, halves = network(), network()
    masks = masks_for(whole, 3)
    run_selected(whole, masks, 8)
    state = run_selected(halves, masks, 4).state_dict()
    fresh = network()
    run_selected(fresh, masks, 8, start=4, state=state)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), fresh.parameters(), strict=True))


def test_dense_gradients_are_dropped_at_once_and_close_freezes():
    model = network()
    optimizer = SelectedAdamW(weights(model.requires_grad_(False)), masks_for(model, 2))
    loss(model, 0).backward()
    assert all(p.grad is None for p in weights(model).values())
    optimizer.close()
    assert not any(p.requires_grad for p in model.parameters())


def test_wrong_shapes_empty_selections_and_foreign_checkpoints_are_refused():
    model = network()
    masks = masks_for(model, 2)
    with pytest.raises(TrainingError, match=r"mask of 0\.weight is \(2, 2\)"):
        SelectedAdamW(weights(model), masks | {"0.weight": torch.ones(2, 2, dtype=torch.bool)})
    with pytest.raises(TrainingError, match="No weight is selected"):
        SelectedAdamW(weights(model), {n: torch.zeros_like(m) for n, m in masks.items()})
    state = SelectedAdamW(weights(model), masks).state_dict()
    with pytest.raises(TrainingError, match="trains 24 entries, this run 36"):
        SelectedAdamW(weights(model), masks_for(model, 3)).load_state_dict(state)
