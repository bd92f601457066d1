"""Plain attention in training: the fused one's values and gradients, and who takes which."""

from types import SimpleNamespace

import pytest
import torch
from torch.testing import assert_close
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from leaml.config import BUNDLED_MODEL
from leaml.models import attention
from leaml.models.attention import LONGEST, attend
from leaml.models.backbone import load


def tensors(keys: int = 7, *, trains: bool = True):
    torch.manual_seed(0)
    shapes = [(2, 4, 5, 8), (2, 2, keys, 8), (2, 2, keys, 8)]
    return [torch.randn(shape).requires_grad_(trains) for shape in shapes]


def padded() -> torch.Tensor:
    """Return a causal mask whose second row begins with padding, which reads nothing."""
    mask = torch.ones(2, 1, 5, 7, dtype=torch.bool).tril(2)
    mask[1, :, :, :4] = False
    return mask


LAYER = SimpleNamespace(num_key_value_groups=2, is_causal=True)


@pytest.mark.parametrize("options", [{}, {"scaling": 0.3}, {"is_causal": False}])
@pytest.mark.parametrize("mask", [padded(), None])
def test_values_and_gradients_are_those_of_the_fused_one(mask, options):
    keys = 7 if mask is not None else 5
    found = []
    for function in (attend, sdpa_attention_forward):
        given = tensors(keys)
        values, _ = function(LAYER, *given, mask, **options)
        read = values if mask is None else values[mask.any(-1).transpose(1, 2).expand(-1, -1, 4)]  # not of padding
        read.square().sum().backward()
        found.append((read.detach(), *(each.grad for each in given)))
    for one, other in zip(*found, strict=True):
        assert_close(one, other)


def test_padding_that_reads_nothing_is_finite():
    given = tensors()
    values, _ = attend(LAYER, *given, padded())
    values.sum().backward()
    assert values.isfinite().all()
    assert all(each.grad.isfinite().all() for each in given)


@pytest.mark.parametrize(("keys", "trains", "plain"), [(7, True, True), (7, False, False), (LONGEST + 1, True, False)])
def test_long_sequences_and_answers_take_the_fused_one(monkeypatch, keys, trains, plain):
    asked = []
    monkeypatch.setattr(attention, "sdpa_attention_forward", lambda *_, **__: asked.append("fused") or (None, None))
    attend(LAYER, *tensors(keys, trains=trains), torch.ones(2, 1, 5, keys, dtype=torch.bool))
    assert asked == ([] if plain else ["fused"])


@pytest.mark.parametrize(("fast", "name"), [(True, attention.NAME), (False, "sdpa")])
def test_the_bundled_model_takes_it_where_products_are_in_bfloat16(monkeypatch, fast, name):
    monkeypatch.setattr(attention, "multiplies_bfloat16", lambda _: fast)
    assert load(BUNDLED_MODEL).decoder.config._attn_implementation == name
