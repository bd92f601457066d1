"""The whole chain's losses, step by step, as they were when it was checked against the oracle."""

import pytest

from leaml.selective import SelectedAdamW, linear_weights, score_weights, select
from tests.selective.tiny import loss, tiny_llama, tokens

GOLDEN = [3.72087, 3.706126, 3.617491, 3.629272, 3.581739, 3.593446]


def chain():
    """Return the losses of six steps on the neurons that two labelled batches chose."""
    model = tiny_llama()
    weights = linear_weights(model).weights
    scores = score_weights(weights, lambda: [(tokens(s), 4) for s in (1, 2)], lambda ids: loss(model, ids))
    optimizer = SelectedAdamW(weights, select(scores, 0.1).entries, weight_decay=0.01)
    losses = []
    for step in range(6):
        value = loss(model, tokens(1 + step % 2))
        value.backward()
        optimizer.clip(1.0)
        optimizer.step(1e-2)
        losses.append(value.item())
    return losses


def test_golden_losses():
    assert chain() == pytest.approx(GOLDEN, rel=1e-4)
