"""Eq. 5 and the other rules, whatever the micro-batches and the memory."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from leaml.errors import ConfigError, TrainingError
from leaml.selective import score_weights, select
from tests.selective.tiny import linear_weights, loss, tiny_llama, tokens


def squared_error(layer, batch):
    inputs, targets = batch
    return (layer(inputs) - targets).pow(2).sum(1).mean()


def data(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 5, generator=generator), torch.randn(count, 3, generator=generator)


def scores_of(layer, batches, **options):
    (scores,) = score_weights({"weight": layer.weight}, lambda: batches, lambda b: squared_error(layer, b), **options)
    return scores["weight"]


@given(cuts=st.lists(st.integers(1, 11), max_size=4, unique=True))
@settings(max_examples=20, deadline=None)
def test_scores_do_not_depend_on_the_micro_batches(cuts):
    torch.manual_seed(0)
    layer = nn.Linear(5, 3)
    inputs, targets = data(12)
    edges = [0, *sorted(cuts), 12]
    scores = scores_of(layer, [((inputs[a:b], targets[a:b]), b - a) for a, b in itertools.pairwise(edges)])
    squared_error(layer, (inputs, targets)).backward()
    torch.testing.assert_close(scores, layer.weight.grad.abs())


def test_opposite_gradients_cancel_in_the_mean_but_not_in_the_other_rules():
    layer = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(layer.weight)
    batches = [((torch.ones(1, 1), torch.ones(1, 1)), 1), ((torch.ones(1, 1), -torch.ones(1, 1)), 1)]
    values = [scores_of(layer, batches, rule=rule).item() for rule in ("mean_gradient", "mean_absolute", "fisher")]
    assert values == [0.0, 2.0, 4.0]


@pytest.mark.parametrize("rule", ["mean_absolute", "fisher"])
def test_per_sample_rules_against_gradients_taken_one_by_one(rule):
    torch.manual_seed(0)
    layer, (inputs, targets) = nn.Linear(5, 3), data(7)
    samples = [(inputs[i : i + 1], targets[i : i + 1]) for i in range(7)]
    gradients = torch.stack([torch.autograd.grad(squared_error(layer, s), layer.weight)[0] for s in samples])
    expected = gradients.abs().mean(0) if rule == "mean_absolute" else gradients.pow(2).mean(0)
    torch.testing.assert_close(scores_of(layer, [(sample, 1) for sample in samples], rule=rule), expected)
    with pytest.raises(ConfigError, match="micro-batch has 7"):
        scores_of(layer, [((inputs, targets), 7)], rule=rule)


def llama_scores(model, **options):
    weights = linear_weights(model).weights
    return score_weights(weights, lambda: [(tokens(s), 4) for s in (1, 2)], lambda ids: loss(model, ids), **options)


def test_groups_bound_the_memory_and_give_the_same_scores():
    model = tiny_llama()
    (whole,) = llama_scores(model)
    groups = list(llama_scores(model, memory_bytes=16_000))
    largest = 4 * max(score.numel() for score in whole.values())
    assert len(groups) > 3
    assert all(sum(4 * s.numel() for s in group.values()) <= max(16_000, largest) for group in groups)
    joined = {name: score for group in groups for name, score in group.items()}
    assert list(joined) == list(whole) and all(joined[name].equal(whole[name]) for name in whole)
    selections = [select(llama_scores(model, memory_bytes=bytes_), 0.2) for bytes_ in (None, 1)]
    assert all(selections[0].entries[n].columns.equal(selections[1].entries[n].columns) for n in whole)


def test_one_dense_gradient_is_alive_at_most_and_only_in_the_group_that_is_scored():
    model = tiny_llama()
    weights = linear_weights(model).weights
    alive = []

    def watched(ids):
        value = loss(model, ids)
        for weight in weights.values():
            if weight.requires_grad:
                weight.register_hook(lambda _: alive.append(sum(w.grad is not None for w in weights.values())))
        return value

    list(score_weights(weights, lambda: [(tokens(1), 4)], watched))
    assert len(alive) == len(weights) and max(alive) <= 1


def test_sums_are_kept_in_float32_for_a_bfloat16_model():
    layer = nn.Linear(1, 1, bias=False).to(torch.bfloat16)
    nn.init.zeros_(layer.weight)
    # The gradient of each sample is -1. Adding 1 to 256 in bfloat16 gives 256: the sum would stop growing there.
    batch = ((torch.ones(1, 1, dtype=torch.bfloat16), torch.full((1, 1), 0.5, dtype=torch.bfloat16)), 1)
    score = scores_of(layer, [batch] * 600)
    assert score.dtype == torch.float32 and score.item() == 1.0


def test_scoring_leaves_the_model_as_it_was_even_when_it_fails():
    layer = nn.Linear(5, 3).requires_grad_(False)
    before = layer.weight.clone()
    scores_of(layer, [(data(4), 4)])
    with pytest.raises(RuntimeError):
        scores_of(layer, [((torch.ones(1, 4), torch.ones(1, 3)), 1)])
    assert layer.weight.equal(before)
    assert not layer.weight.requires_grad and layer.weight.grad is None and not layer.weight._post_accumulate_grad_hooks


def test_no_sample_infinite_gradients_and_unknown_rules_are_refused():
    layer = nn.Linear(5, 3)
    with pytest.raises(TrainingError, match="no labelled sample"):
        scores_of(layer, [])
    broken = (torch.full((1, 5), float("inf")), torch.zeros(1, 3))
    with pytest.raises(TrainingError, match="weight is not finite"):
        scores_of(layer, [(broken, 1)])
    with pytest.raises(ConfigError, match=r"rule is 'magnitude'.*mean_gradient, mean_absolute, fisher"):
        scores_of(layer, [(data(4), 4)], rule="magnitude")
