"""Eq. 5: the absolute value of the mean gradient, whatever the micro-batches."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from leaml.errors import TrainingError
from leaml.selective import mean_gradient_scores


def squared_error(layer, batch):
    inputs, targets = batch
    return (layer(inputs) - targets).pow(2).sum(1).mean()


def data(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 5, generator=generator), torch.randn(count, 3, generator=generator)


@given(cuts=st.lists(st.integers(1, 11), max_size=4, unique=True))
@settings(max_examples=20, deadline=None)
def test_scores_do_not_depend_on_the_micro_batches(cuts):
    torch.manual_seed(0)
    layer = nn.Linear(5, 3)
    inputs, targets = data(12)
    edges = [0, *sorted(cuts), 12]
    batches = [((inputs[a:b], targets[a:b]), b - a) for a, b in itertools.pairwise(edges)]
    scores = mean_gradient_scores({"weight": layer.weight}, batches, lambda b: squared_error(layer, b))
    layer.weight.requires_grad_(True)
    squared_error(layer, (inputs, targets)).backward()
    torch.testing.assert_close(scores["weight"], layer.weight.grad.abs())


def test_opposite_gradients_cancel():
    layer = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(layer.weight)
    batches = [((torch.ones(1, 1), torch.ones(1, 1)), 1), ((torch.ones(1, 1), -torch.ones(1, 1)), 1)]
    scores = mean_gradient_scores({"weight": layer.weight}, batches, lambda b: squared_error(layer, b))
    assert scores["weight"].item() == 0.0


def test_scoring_leaves_the_model_as_it_was():
    layer = nn.Linear(5, 3).requires_grad_(False)
    before = layer.weight.clone()
    mean_gradient_scores({"weight": layer.weight}, [(data(4), 4)], lambda b: squared_error(layer, b))
    assert torch.equal(layer.weight, before)
    assert not layer.weight.requires_grad and layer.weight.grad is None


def test_no_sample_and_infinite_gradients_are_refused():
    layer = nn.Linear(5, 3)
    with pytest.raises(TrainingError, match="no labelled sample"):
        mean_gradient_scores({"weight": layer.weight}, [], lambda b: squared_error(layer, b))
    broken = (torch.full((1, 5), float("inf")), torch.zeros(1, 3))
    with pytest.raises(TrainingError, match="weight is not finite"):
        mean_gradient_scores({"weight": layer.weight}, [(broken, 1)], lambda b: squared_error(layer, b))
