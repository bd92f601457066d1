"""Selective training against a dense oracle, and the gates of method: what stays, what it costs, how it resumes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd.graph import get_gradient_edge
from torch.multiprocessing.reductions import StorageWeakRef

from leaml.errors import TrainingError
from leaml.selective import Entries, SelectedAdamW, linear_weights
from leaml.threads import share_cores
from leaml.training.train import DenseAdamW
from tests.selective.tiny import loss, random_entries, tiny_llama, tokens

RATE = 1e-2


def train_selected(model, entries, steps, *, weight_decay=0.1, clip=0.05, start=0, state=None):
    optimizer = SelectedAdamW(linear_weights(model).weights, entries, weight_decay=weight_decay)
    if state is not None:
        optimizer.load_state_dict(state)
    for step in range(start, steps):
        loss(model, tokens(step)).backward()
        optimizer.clip(clip)
        optimizer.step(RATE)
    return optimizer


def train_oracle(model, entries, steps, *, weight_decay=0.1, clip=0.05, restore=True):
    """Dense AdamW on masked gradients; with `restore`, every unselected entry is put back after each step."""
    weights = linear_weights(model).weights
    masks, originals = {n: entries[n].mask() for n in weights}, {n: w.clone() for n, w in weights.items()}
    adam = torch.optim.AdamW([w.requires_grad_(True) for w in weights.values()], lr=RATE, weight_decay=weight_decay)
    for step in range(steps):
        loss(model, tokens(step)).backward()
        for name, weight in weights.items():
            weight.grad.mul_(masks[name])
        nn.utils.clip_grad_norm_(weights.values(), clip, error_if_nonfinite=True)
        adam.step()
        adam.zero_grad()
        with torch.no_grad():
            for name, weight in weights.items() if restore else ():
                weight.copy_(torch.where(masks[name], weight, originals[name]))


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def frozen_is_as_before(model, before, entries):
    return all(
        value[~entries[name].mask() if name in entries else ...].equal(
            before[name][~entries[name].mask() if name in entries else ...]
        )
        for name, value in model.state_dict().items()
    )


@given(budget=st.one_of(st.integers(1, 60), st.floats(0.02, 1.0)), seed=st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_the_update_equals_a_dense_masked_and_restored_oracle(budget, seed):
    selected, oracle = tiny_llama(seed), tiny_llama(seed)
    _, entries = random_entries(selected, budget, seed)
    train_selected(selected, entries, 4)
    train_oracle(oracle, entries, 4)
    for (name, mine), theirs in zip(selected.state_dict().items(), oracle.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=2e-6, msg=name)


@given(budget=st.floats(0.8, 1.0), seed=st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_the_update_in_place_equals_a_dense_masked_oracle(budget, seed):
    selected, oracle = tiny_llama(seed), tiny_llama(seed)
    _, entries = random_entries(selected, budget, seed)
    train_selected(selected, entries, 4, weight_decay=0.0)
    train_oracle(oracle, entries, 4, weight_decay=0.0)
    for (name, mine), theirs in zip(selected.state_dict().items(), oracle.state_dict().values(), strict=True):
        # A thousandth of one step: Adam keeps the rounding of gradients that are nearly zero.
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=RATE / 1000, msg=name)


@given(
    budget=st.one_of(st.integers(1, 60), st.floats(0.02, 1.0)),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    tied=st.booleans(),
    weight_decay=st.sampled_from([0.0, 0.5]),
)
@settings(max_examples=25, deadline=None)
def test_unselected_bits_stay_with_and_without_weight_decay(budget, dtype, tied, weight_decay):
    model = tiny_llama(tied=tied, dtype=dtype)
    before = state_of(model)
    _, entries = random_entries(model, budget)
    train_selected(model, entries, 3, weight_decay=weight_decay)
    assert frozen_is_as_before(model, before, entries)
    for name, own in entries.items():
        changed = (model.state_dict()[name] != before[name])[own.mask()]
        assert changed.float().mean() > (0.9 if dtype == torch.float32 else 0.5), name


@pytest.mark.parametrize(("budget", "weight_decay"), [(0.3, 0.1), (0.85, 0.0)])
def test_narrow_places_train_to_the_same_bits_as_wide_ones(monkeypatch, budget, weight_decay):
    wide, narrow = tiny_llama(), tiny_llama()
    _, entries = random_entries(wide, budget)
    train_selected(wide, entries, 3, weight_decay=weight_decay)
    monkeypatch.setattr("leaml.selective.optimizer.WIDE_PLACES_TO", 0)
    train_selected(narrow, entries, 3, weight_decay=weight_decay)
    after = state_of(narrow)
    assert all(value.equal(after[name]) for name, value in wide.state_dict().items())


def test_masking_the_gradient_of_a_dense_optimizer_would_move_unselected_entries():
    model = tiny_llama()
    before = state_of(model)
    _, entries = random_entries(model, 0.1)
    train_oracle(model, entries, 3, restore=False)
    assert not frozen_is_as_before(model, before, entries)


def test_a_budget_of_whole_rows_equals_full_fine_tuning_of_these_weights():
    selected, full = tiny_llama(), tiny_llama()
    _, entries = random_entries(selected, 10_000)
    assert all(own.layout == "dense" for own in entries.values())
    train_selected(selected, entries, 5)
    weights = linear_weights(full).weights.values()
    adam = torch.optim.AdamW([w.requires_grad_(True) for w in weights], lr=RATE, weight_decay=0.1, fused=True)
    for step in range(5):
        loss(full, tokens(step)).backward()
        nn.utils.clip_grad_norm_(weights, 0.05)
        adam.step()
        adam.zero_grad()
    for name, mine in selected.state_dict().items():
        torch.testing.assert_close(mine, full.state_dict()[name], rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("budget", [1, 0.05, 0.5, 0.8])
def test_optimizer_state_is_twelve_bytes_a_selected_entry(budget):
    model = tiny_llama()
    _, entries = random_entries(model, budget)
    optimizer = train_selected(model, entries, 1)
    assert optimizer.selected == sum(own.count for own in entries.values())
    assert optimizer.state_bytes == 12 * optimizer.selected
    saved = optimizer.state_dict()
    moments = [t for t in saved["adam"]["state"][0].values() if isinstance(t, torch.Tensor) and t.numel() > 1]
    assert sum(t.nbytes for t in [saved["master"], *moments]) == 12 * optimizer.selected


def test_most_of_a_float32_weight_is_trained_in_place_for_eight_bytes_an_entry():
    model, before = tiny_llama(), state_of(tiny_llama())
    weights, some = random_entries(model, 0.2)
    _, most = random_entries(model, 0.85)
    names = list(weights)
    entries = {name: (most if place % 2 else some)[name] for place, name in enumerate(names)}
    optimizer = train_selected(model, entries, 3, weight_decay=0.0)
    in_place = [weights[name].numel() for name in names[1::2]]
    assert optimizer.state_bytes == 8 * sum(in_place) + 12 * sum(entries[name].count for name in names[::2])
    assert optimizer.state_bytes < 12 * optimizer.selected
    assert frozen_is_as_before(model, before, entries)


def test_a_gradient_that_is_not_finite_moves_nothing_where_nothing_is_selected():
    weight = nn.Parameter(torch.ones(1, 5))
    entries = Entries((1, 5), torch.tensor([[0, 1, 3, 4]], dtype=torch.int16))
    optimizer = SelectedAdamW({"w": weight}, {"w": entries})
    for _ in range(2):  # the second one is added to the first
        (weight * torch.tensor([[3.0, 0.0, torch.nan, 4.0, 0.0]])).sum().backward()
    assert optimizer.clip(100.0) == pytest.approx(10.0) and optimizer.broken_weights() == []
    optimizer.step(0.1)
    assert weight.tolist() == [[pytest.approx(0.9), 1.0, 1.0, pytest.approx(0.9), 1.0]] and weight.grad is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("budget", "weight_decay"), [(0.2, 0.1), (0.85, 0.1), (0.85, 0.0)])
def test_resume_continues_bit_for_bit(dtype, budget, weight_decay):
    whole, halves, fresh = (tiny_llama(dtype=dtype) for _ in range(3))
    _, entries = random_entries(whole, budget)
    train_selected(whole, entries, 6, weight_decay=weight_decay)
    state = train_selected(halves, entries, 3, weight_decay=weight_decay).state_dict()
    train_selected(fresh, entries, 6, start=3, state=state, weight_decay=weight_decay)
    assert all(mine.equal(fresh.state_dict()[name]) for name, mine in whole.state_dict().items())


def test_small_updates_of_a_bfloat16_model_are_kept_in_the_float32_master():
    weight = nn.Parameter(torch.ones(1, 1, dtype=torch.bfloat16))
    optimizer = SelectedAdamW({"w": weight}, {"w": Entries((1, 1))})
    seen = []
    for _ in range(8):  # a step of 1e-3 is less than half of bfloat16's spacing at 1: alone it would round away
        weight.sum().backward()
        optimizer.step(1e-3)
        seen.append(weight.item())
    assert seen[0] == 1.0 and seen[-1] < 1.0


@pytest.mark.parametrize(("budget", "tolerance"), [(0.2, 1e-5), (0.85, 5e-5)])
def test_parts_of_a_batch_add_up_to_the_whole_batch(budget, tolerance):
    whole, parts = tiny_llama(), tiny_llama()
    _, entries = random_entries(whole, budget)
    ids = tokens(0, count=6)
    for model, pieces in ((whole, [ids]), (parts, list(ids.split(2)))):
        optimizer = SelectedAdamW(linear_weights(model).weights, entries)
        for piece in pieces:
            (loss(model, piece) * len(piece) / len(ids)).backward()
        norm = optimizer.clip(1.0)
        optimizer.step(RATE)
    assert norm > 0
    for name, mine in whole.state_dict().items():
        torch.testing.assert_close(mine, parts.state_dict()[name], rtol=1e-4, atol=tolerance, msg=name)


def test_a_weight_that_takes_no_part_in_a_step_has_no_gradient_left_from_the_last_one():
    first, second = nn.Parameter(torch.ones(1, 2)), nn.Parameter(torch.ones(1, 2))
    both = {"first": Entries((1, 2)), "second": Entries((1, 2))}
    optimizer = SelectedAdamW({"first": first, "second": second}, both)
    (first.sum() + second.sum()).backward()
    assert optimizer.clip(10.0) == pytest.approx(2.0)
    optimizer.step(0.1)
    first.sum().backward()
    assert optimizer.clip(10.0) == pytest.approx(2**0.5)


def test_clipping_measures_the_selected_entries_only():
    weight = nn.Parameter(torch.zeros(1, 4))
    entries = Entries((1, 4), torch.tensor([[1, 3]], dtype=torch.int16))
    optimizer = SelectedAdamW({"w": weight}, {"w": entries})
    (weight * torch.tensor([[100.0, 3.0, 100.0, 4.0]])).sum().backward()
    assert optimizer.clip(1.0) == pytest.approx(5.0)
    assert optimizer.clip(1.0) == pytest.approx(1.0)


def run_variant(change):
    """Train three steps with activation checkpointing, autocast, or compiled blocks; return the model."""
    model = tiny_llama()
    _, entries = random_entries(model, 0.3)
    if change == "checkpointing":
        model.train()
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    if change == "compiled blocks":
        for block in model.get_decoder().layers:
            block.compile()
    optimizer = SelectedAdamW(linear_weights(model).weights, entries)
    for step in range(3):
        with torch.autocast("cpu", torch.bfloat16, enabled=change == "autocast"):
            value = loss(model, tokens(step))
        value.backward()
        optimizer.step(1e-3)
    return model, entries


@pytest.mark.parametrize(
    ("change", "tolerance"), [("checkpointing", 1e-6), ("autocast", 4e-3), ("compiled blocks", 1e-4)]
)
def test_the_same_training_in_other_ways_to_compute_it(change, tolerance):
    plain, _ = run_variant("")
    other, entries = run_variant(change)
    assert frozen_is_as_before(other, tiny_llama().state_dict(), entries)
    for name, mine in other.state_dict().items():
        torch.testing.assert_close(mine, plain.state_dict()[name], rtol=0, atol=tolerance, msg=name)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_one_dense_gradient_is_alive_at_most_and_close_freezes(checkpointing):
    model = tiny_llama()
    weights, entries = random_entries(model, 2)
    if checkpointing:
        model.train()
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    alive, seen = [], []

    def count(gradients):
        seen.append(StorageWeakRef(gradients[0].untyped_storage()))
        alive.append(sum(not gradient.expired() for gradient in seen))

    # Registered before the optimizer's own hooks, so called before them; kept, so that torch makes no others.
    nodes = [get_gradient_edge(weight.requires_grad_(True)).node for weight in weights.values()]
    for node in nodes:
        node.register_prehook(count)
    optimizer = SelectedAdamW(weights, entries)
    loss(model, tokens(0)).backward()
    assert alive == [1] * len(weights)
    assert all(weight.grad is None for weight in weights.values())
    optimizer.close()
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("budget", [0.3, 0.85])
@pytest.mark.parametrize("kind", ["selected", "dense"])
def test_backward_passes_at_once_leave_what_one_after_the_other_leaves(kind, budget):
    """To the bit, and many times: what two threads take from each other is rarely seen."""
    model = tiny_llama()
    weights, entries = random_entries(model, budget)
    optimizer = SelectedAdamW(weights, entries) if kind == "selected" else DenseAdamW(weights)

    def backward(number):
        loss(model, tokens(number)).backward()

    def gradient():
        if kind == "dense":
            taken = [weight.grad.clone() for weight in weights.values()]
            for weight in weights.values():
                weight.grad = None
            return taken
        taken = [optimizer._gradient.clone()]
        optimizer._gathered.clear()
        return taken

    cores = torch.get_num_threads()
    with share_cores(2) as threads:
        torch.set_num_threads(max(1, cores // 2))
        backward(0), backward(1)
        expected = gradient()
        for _ in range(30):
            list(threads.map(backward, (0, 1)))
            assert all(map(torch.equal, gradient(), expected))
        torch.set_num_threads(cores)
    assert torch.get_num_threads() == cores


def test_wrong_shapes_empty_selections_and_foreign_checkpoints_are_refused():
    model = tiny_llama()
    weights, entries = random_entries(model, 2)
    name = next(iter(weights))
    with pytest.raises(TrainingError, match=rf"selection of {name} is for the shape \(2, 2\), but its weight has \(32"):
        SelectedAdamW(weights, entries | {name: Entries((2, 2))})
    with pytest.raises(TrainingError, match="No weight is selected"):
        SelectedAdamW({}, {})
    state = SelectedAdamW(weights, entries).state_dict()
    _, more = random_entries(model, 3)
    with pytest.raises(TrainingError, match=r"trains \d+ entries, this run \d+. Start a new run"):
        SelectedAdamW(weights, more).load_state_dict(state)
    _, most = random_entries(model, 0.85)
    _, others = random_entries(model, 0.95)
    state = SelectedAdamW(weights, most).state_dict()
    with pytest.raises(TrainingError, match=r"trains \d+ entries, this run \d+. Start a new run"):
        SelectedAdamW(weights, others).load_state_dict(state)
