"""Products are computed in the precision that this processor is fast in."""

import time
from statistics import median

import torch
from torch import Tensor, nn

from leaml.precision import autocast, multiplies_bfloat16

CPU = torch.device("cpu")


def _seconds(weight: Tensor, inputs: Tensor) -> float:
    times = []
    for _ in range(9):
        began = time.perf_counter()
        nn.functional.linear(inputs, weight)
        times.append(time.perf_counter() - began)
    return median(times)


def test_the_chosen_precision_is_not_the_slow_one():
    weight, inputs = torch.randn(768, 256), torch.randn(2048, 256)
    by_type = {kind: _seconds(weight.to(kind), inputs.to(kind)) for kind in (torch.float32, torch.bfloat16)}
    with autocast(CPU):
        chosen = nn.functional.linear(inputs, weight).dtype
    assert by_type[chosen] < 3 * min(by_type.values()), by_type  # the wrong choice costs a factor of eight


def test_a_cpu_without_bfloat16_instructions_stays_in_float32(monkeypatch):
    for able, expected in (({"avx2": True}, torch.float32), ({"avx512_bf16": True}, torch.bfloat16)):
        multiplies_bfloat16.cache_clear()
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able)
        with autocast(CPU):
            assert nn.functional.linear(torch.ones(2, 2), torch.ones(2, 2)).dtype == expected
    multiplies_bfloat16.cache_clear()
