"""Attention in training on a CPU with bfloat16 products: plain ones, where torch's fused backward pass is the slower.

The fused one took 44% of a step of pretraining there (docs/decisions/bundled-model.md). It stays for everything
else: in float32, for long sequences, whose weights plain products would keep in memory, where nothing is trained, and
on other devices.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from leaml.models.precision import multiplies_bfloat16

LONGEST = 512
"""Tokens up to which the weights `[B, H, S, S]` are kept."""
NAME = "plain_in_training"


def use_plain_attention(model: Any) -> None:
    """Let the decoder of a model of transformers use `attend` where it helps, if it has torch's fused attention now."""
    config = model.config.get_text_config()
    if config._attn_implementation == "sdpa" and multiplies_bfloat16("cpu"):
        config._attn_implementation = NAME


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Return the attended values `[B, S, H, D]`, as transformers' attention functions do.

    Args:
        module: The layer.
        query: `[B, H, S, D]`.
        key: `[B, K, T, D]`; each of K heads serves H / K of the query's.
        value: `[B, K, T, D]`.
        attention_mask: `[B, 1, S, T]`, true where a query reads a key; None where each reads those up to its own.
        options: Further ones, as transformers passes them.
    """
    trains = torch.is_grad_enabled() and query.requires_grad and query.device.type == "cpu"
    usual = not any(options.get(name) for name in ("dropout", "softcap")) and options.get("position_bias") is None
    usual = usual and (attention_mask is None or attention_mask.dtype == torch.bool)
    if not trains or not usual or key.shape[2] > LONGEST:
        fused: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return fused
    if attention_mask is None:
        attention_mask = _read(module, query, key, options.get("is_causal"))
    groups = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    scaling = options.get("scaling")
    scores = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    # Not minus infinity: a row of padding reads nothing, and must not become NaN.
    scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(-1, dtype=torch.float32).to(value.dtype)
    return (weights @ value).transpose(1, 2).contiguous(), None


def _read(module: Any, query: Tensor, key: Tensor, causal: bool | None) -> Tensor:
    """Return the mask `[S, T]` that is meant where there is none."""
    every = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool)
    causal = getattr(module, "is_causal", True) if causal is None else causal
    return every.tril() if causal else every


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
