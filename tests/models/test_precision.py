"""Products are computed in the precision that this processor is fast in; weights have that which was asked for."""

import time
from statistics import median

import torch
from torch import Tensor, nn

from leaml.config import BUNDLED_MODEL
from leaml.models.backbone import load
from leaml.models.precision import autocast, dtype_of, multiplies_bfloat16
from leaml.training.updates import full_update

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


def test_small_steps_of_weights_with_16_bits_add_up():
    backbone = load(BUNDLED_MODEL, device="cpu", dtype=dtype_of("bfloat16"))
    weights = backbone.decoder_weights()
    before = {name: weight.detach().float() for name, weight in weights.items()}
    update = full_update(backbone, weight_decay=0.0)
    for _ in range(100):  # each step is a hundredth of the distance between two neighbouring values of 16 bits
        torch.stack([weight.float().sum() for weight in weights.values()]).sum().backward()
        update.optimizer.step(1e-5)
    name = next(name for name in weights if name.endswith("q_proj.weight"))
    assert weights[name].dtype == torch.bfloat16
    moved = (weights[name].detach().float() - before[name]).mean()
    torch.testing.assert_close(moved, torch.tensor(-1e-3), rtol=0.05, atol=0)
