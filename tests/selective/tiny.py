"""A decoder small enough to train in a test, and its data."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from leaml.selective import linear_weights, select_rows

VOCABULARY, LENGTH = 40, 9


def tiny_llama(seed: int = 0, *, tied: bool = True, dtype: torch.dtype = torch.float32) -> LlamaForCausalLM:
    """Return a two-layer decoder with random weights; its attention has biases."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        attention_bias=True,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=0,
    )
    return LlamaForCausalLM(config).to(dtype).eval().requires_grad_(False)


def tokens(seed: int, count: int = 4) -> Tensor:
    """Return random token ids `[count, LENGTH]` int64."""
    return torch.randint(1, VOCABULARY, (count, LENGTH), generator=torch.Generator().manual_seed(seed))


def loss(model: nn.Module, ids: Tensor) -> Tensor:
    """Return the mean next-token loss."""
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
    return functional.cross_entropy(logits.reshape(-1, VOCABULARY).float(), ids[:, 1:].reshape(-1))


def random_entries(model: nn.Module, budget: int | float, seed: int = 1):
    """Return the model's linear weights and, of each row, as many random entries as the budget says."""
    generator = torch.Generator().manual_seed(seed)
    weights = linear_weights(model).weights
    return weights, {n: select_rows(torch.rand(w.shape, generator=generator), budget) for n, w in weights.items()}
