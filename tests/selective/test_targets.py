"""Which weights can be selected, and what is said of the others."""

import pytest
import torch
from torch import nn

from leaml.errors import TrainingError
from leaml.selective import linear_weights
from tests.selective.tiny import tiny_llama


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Parameter(torch.zeros(4, 6, 8))


def test_a_tied_head_stays_frozen_and_an_untied_one_can_be_selected():
    tied, untied = linear_weights(tiny_llama()), linear_weights(tiny_llama(tied=False))
    assert tied.skipped == {"model.embed_tokens.weight": "an embedding, which may be tied to the head"}
    assert set(untied.weights) - set(tied.weights) == {"lm_head.weight"}
    assert len(tied.weights) == 2 * 7 and all(weight.ndim == 2 for weight in tied.weights.values())
    assert not any("bias" in name or "norm" in name for name in tied.weights)


def test_looking_within_a_part_keeps_the_names_of_the_whole():
    model = tiny_llama(tied=False)
    found = linear_weights(model, within=model.get_decoder().layers[1]).weights
    assert len(found) == 7 and all(name.startswith("model.layers.1.") for name in found)


def test_experts_convolutions_and_attention_blocks_are_skipped_with_a_reason():
    model = nn.ModuleDict(
        {"head": nn.Linear(4, 2), "moe": Experts(), "conv": nn.Conv2d(3, 4, 2), "att": nn.MultiheadAttention(8, 2)}
    )
    found = linear_weights(model)
    assert list(found.weights) == ["head.weight", "att.out_proj.weight"]
    assert found.skipped == {
        "moe.up": "a weight of 3 dimensions of Experts: experts and convolutions have no plain rows",
        "conv.weight": "a weight of 4 dimensions of Conv2d: experts and convolutions have no plain rows",
        "att.in_proj_weight": "a weight of MultiheadAttention, not of a linear layer",
    }


def test_quantised_weights_are_skipped_and_a_model_without_linear_weights_is_refused():
    model = nn.Sequential(nn.Linear(4, 2), nn.Linear(4, 2))
    model[0].weight = nn.Parameter(torch.zeros(2, 4, dtype=torch.int8), requires_grad=False)
    assert "quantised to torch.int8: load the model unquantised" in linear_weights(model).skipped["0.weight"]
    with pytest.raises(TrainingError, match="no linear weight that can be selected"):
        linear_weights(nn.Sequential(nn.Conv2d(1, 1, 1)))
