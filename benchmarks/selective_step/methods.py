"""The ways to train that are compared: each owns a model of its own, and does one whole step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, ShiraConfig, get_peft_model
from torch import Tensor, nn
from torch.autograd.graph import Node, get_gradient_edge
from torch.multiprocessing.reductions import StorageWeakRef
from transformers import LlamaForCausalLM

from benchmarks.selective_step.models import Setting, batch, loss
from leaml.selective import Entries, ResidentModel, SelectedAdamW, linear_weights, select_rows

RATE, CLIP_NORM = 1e-5, 1.0
DENSITIES = (0.05, 0.25, 0.5, 0.8)
FULL, FULL_LINEAR, NAIVE, LORA, SHIRA = "full", "full, linear weights", "masked gradients, 50%", "LoRA r16", "SHiRA"
FLOOR = "forward and backward alone"
COMPILED = ", compiled blocks"


def selective(density: float) -> str:
    """Return the name of selective training at a density."""
    return f"selective, {density:.0%}"


METHODS = (
    FLOOR,
    FULL,
    FULL_LINEAR,
    *map(selective, DENSITIES),
    NAIVE,
    LORA,
    SHIRA,
    FULL_LINEAR + COMPILED,
    selective(0.25) + COMPILED,
)


@dataclass
class Method:
    """One way to train.

    Attributes:
        name: One of METHODS.
        model: Its own.
        update: Clips and steps after the backward pass.
        trained: Number of entries that move.
        state_bytes: Tells the optimizer's bytes: master copy and moments.
        save: Writes what training changed.
        watch: The weights whose dense gradients are counted.
        alive: Most dense gradients of linear weights that were there at once; counted while `counting`.
    """

    name: str
    model: LlamaForCausalLM
    update: Callable[[], None]
    trained: int
    state_bytes: Callable[[], int]
    save: Callable[[Path], None]
    watch: Mapping[str, nn.Parameter]
    alive: int = 0
    nodes: Sequence[Node] = ()
    counting: bool = False

    def step(self, ids: Tensor) -> None:
        """Do one training step."""
        loss(self.model, ids).backward()
        self.update()


def build_method(name: str, model: LlamaForCausalLM) -> Method:
    """Return a method that trains this model. Masks are random: a step's cost does not depend on where they lie."""
    plain = name.removesuffix(COMPILED)
    if plain != name:
        for block in model.get_decoder().layers:
            block.compile()
    weights = linear_weights(model, within=model.get_decoder()).weights
    method: Method | None = None

    seen: list[StorageWeakRef] = []

    def count(gradients: tuple[Tensor, ...]) -> None:
        if method is not None and method.counting:
            seen.append(StorageWeakRef(gradients[0].untyped_storage()))
            method.alive = max(method.alive, sum(not gradient.expired() for gradient in seen))

    nodes = []
    if plain not in (LORA, SHIRA):  # a hook made before the optimizer's own sees each gradient before it is dropped
        nodes = [get_gradient_edge(weight.requires_grad_(True)).node for weight in weights.values()]
        for node in nodes:
            node.register_prehook(count)
    method = _make(plain, model, weights)
    method.name, method.nodes = name, nodes
    return method


def _make(name: str, model: LlamaForCausalLM, weights: Mapping[str, nn.Parameter]) -> Method:
    if name == FLOOR:
        return _floor(model, weights)
    if name == FULL:
        return _dense(name, model, dict(model.named_parameters()), weights)
    if name == FULL_LINEAR:
        return _dense(name, model, weights, weights)
    if name == NAIVE:
        return _dense(name, model, weights, weights, masks=_entries(weights, 0.5))
    if name == LORA:
        modules = [path.removesuffix(".weight") for path in weights]
        return _adapter(name, model, LoraConfig(r=16, lora_alpha=32, target_modules=modules), "lora_", weights)
    if name == SHIRA:
        modules = [path.removesuffix(".weight") for path in weights]
        config = ShiraConfig(r=shira_rank(weights), random_seed=0, target_modules=modules)
        return _adapter(name, model, config, "shira_", weights)
    density = next(density for density in DENSITIES if selective(density) == name)
    return _selective(name, model, weights, _entries(weights, density))


def shira_rank(weights: Mapping[str, nn.Parameter]) -> int:
    """Return the rank at which SHiRA trains as many entries as selective training does at 5%."""
    wanted = sum(entries.count for entries in _entries(weights, DENSITIES[0]).values())
    return max(1, round(wanted / sum(sum(weight.shape) for weight in weights.values())))


def _entries(weights: Mapping[str, nn.Parameter], density: float) -> dict[str, Entries]:
    generator = torch.Generator().manual_seed(0)
    drawn = {name: select_rows(torch.rand(w.shape, generator=generator), density) for name, w in weights.items()}
    return {name: entries.to(weights[name].device) for name, entries in drawn.items()}


def _floor(model: LlamaForCausalLM, weights: Mapping[str, nn.Parameter]) -> Method:
    """Return what every method that needs dense weight gradients pays, and no update."""

    def drop() -> None:
        for weight in weights.values():
            weight.grad = None

    return Method(FLOOR, model, drop, 0, lambda: 0, lambda _: None, weights)


def _dense(
    name: str,
    model: LlamaForCausalLM,
    trained: Mapping[str, nn.Parameter],
    weights: Mapping[str, nn.Parameter],
    masks: Mapping[str, Entries] | None = None,
) -> Method:
    """Return AdamW on whole weights, with float32 master copies of 16-bit ones; masks make gradients zero outside."""
    parameters = [parameter.requires_grad_(True) for parameter in trained.values()]
    masters = parameters if model.dtype == torch.float32 else [nn.Parameter(p.detach().float()) for p in parameters]
    adam = torch.optim.AdamW(masters, lr=RATE, weight_decay=0.0, fused=True)
    kept = {name: own.mask().to(model.device) for name, own in (masks or {}).items()}

    def update() -> None:
        for key, mask in kept.items():
            gradient = trained[key].grad
            assert gradient is not None
            gradient.mul_(mask)
        nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        if masters is not parameters:
            for master, parameter in zip(masters, parameters, strict=True):
                master.grad, parameter.grad = parameter.grad.float(), None
        adam.step()
        adam.zero_grad()
        if masters is not parameters:
            with torch.no_grad():
                for master, parameter in zip(masters, parameters, strict=True):
                    parameter.copy_(master)

    def state_bytes() -> int:
        return _adam_bytes(adam) + sum(p.nbytes for p in masters if masters is not parameters)

    whole = {key: Entries(tuple(parameter.shape)) for key, parameter in trained.items()}
    count = sum(own.count for own in (masks or whole).values())
    return Method(name, model, update, count, state_bytes, _saver(model, masks or whole), weights)


def _selective(
    name: str, model: LlamaForCausalLM, weights: Mapping[str, nn.Parameter], entries: Mapping[str, Entries]
) -> Method:
    optimizer = SelectedAdamW(weights, entries)

    def update() -> None:
        optimizer.clip(CLIP_NORM)
        optimizer.step(RATE)

    return Method(
        name, model, update, optimizer.selected, lambda: optimizer.state_bytes, _saver(model, entries), weights
    )


def _adapter(
    name: str, model: LlamaForCausalLM, config: Any, prefix: str, weights: Mapping[str, nn.Parameter]
) -> Method:
    adapted = get_peft_model(model, config)
    parameters = [parameter for path, parameter in adapted.named_parameters() if prefix in path]
    adam = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.0, fused=True)

    def update() -> None:
        nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        adam.step()
        adam.zero_grad()

    count = sum(parameter.numel() for parameter in parameters)
    return Method(name, model, update, count, lambda: _adam_bytes(adam), adapted.save_pretrained, weights)


def _saver(model: LlamaForCausalLM, entries: Mapping[str, Entries]) -> Callable[[Path], None]:
    return lambda folder: ResidentModel(model).capture(entries).save(folder / "delta.safetensors")


def _adam_bytes(adam: torch.optim.AdamW) -> int:
    states = (value for state in adam.state.values() for value in state.values())
    return sum(value.nbytes for value in states if isinstance(value, Tensor) and value.numel() > 1)


def warm_up(method: Method, setting: Setting) -> None:
    """Do two steps, so that optimizer state and compiled code are there; count dense gradients in the second."""
    method.step(batch(setting, 0))
    method.counting = True
    method.step(batch(setting, 1))
    method.counting = False
