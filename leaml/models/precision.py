"""In which precision weights are kept, and products are computed: bfloat16 where the processor multiplies it."""

from contextlib import AbstractContextManager
from functools import cache

import torch

from leaml.config import Precision


def autocast(device: torch.device) -> AbstractContextManager[None]:
    """Return the context of a forward pass: bfloat16 products, where they are the faster ones, of whatever weights."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=multiplies_bfloat16(device.type))


def dtype_of(precision: Precision) -> torch.dtype:
    """Return torch's type of weights in this precision."""
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]


@cache
def multiplies_bfloat16(device_type: str) -> bool:
    """Return whether a kind of device has instructions for bfloat16 products.

    A CPU without them is eight times slower in bfloat16 than in float32 (docs/decisions/computing.md).
    """
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device_type == "cpu":
        able = torch.cpu.get_capabilities()
        return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return True
