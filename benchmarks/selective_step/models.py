"""Decoders with random weights: the cost of a step does not depend on what they know."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from leaml.models.precision import autocast


@dataclass(frozen=True)
class Shape:
    """A decoder's shape, the batch that it is trained with (`[batch, length]` tokens), and how often it is measured."""

    hidden: int
    feed_forward: int
    layers: int
    heads: int
    key_value_heads: int
    vocabulary: int
    batch: int
    length: int
    rounds: int = 25


SHAPES = {
    "tiny": Shape(256, 768, 6, 4, 4, 4096, batch=16, length=128, rounds=100),  # the bundled model's decoder
    "135m": Shape(576, 1536, 30, 9, 3, 49152, batch=4, length=128),  # SmolLM2-135M
    "0.5b": Shape(896, 4864, 24, 14, 2, 151936, batch=16, length=512),  # Qwen2-0.5B
    "1.5b": Shape(1536, 8960, 28, 12, 2, 151936, batch=16, length=512),  # Qwen2-1.5B, the decoder of Qwen2-VL-2B
}


@dataclass(frozen=True)
class Setting:
    """What is measured where.

    Attributes:
        model: One of SHAPES.
        device: `cpu` or `cuda`.
        weights: Their type, `float32` or `bfloat16`; products are bfloat16 in both.
    """

    model: str
    device: str
    weights: str

    @property
    def shape(self) -> Shape:
        """The decoder's shape."""
        return SHAPES[self.model]

    @property
    def name(self) -> str:
        """A short name."""
        return f"{self.model}_{self.device}_{self.weights}"


def build(setting: Setting) -> LlamaForCausalLM:
    """Return a frozen decoder; the same weights at each call."""
    torch.manual_seed(0)
    shape = setting.shape
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
    )
    with torch.device(setting.device):
        return LlamaForCausalLM(config).to(getattr(torch, setting.weights)).eval().requires_grad_(False)


def twin(model: LlamaForCausalLM, setting: Setting) -> LlamaForCausalLM:
    """Return another model on the very same weights in memory: where they lie makes a step up to 2% faster."""
    other = build(setting)
    for own, shared in zip(other.parameters(), model.parameters(), strict=True):
        own.data = shared.data
    return other


def batch(setting: Setting, seed: int) -> Tensor:
    """Return random token ids `[batch, length]` int64."""
    generator, shape = torch.Generator().manual_seed(seed), setting.shape
    ids = torch.randint(1, shape.vocabulary, (shape.batch, shape.length), generator=generator)
    return ids.to(setting.device)


def loss(model: LlamaForCausalLM, ids: Tensor) -> Tensor:
    """Return the mean next-token loss in the precision that training computes it in."""
    with autocast(ids.device):
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        return functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
