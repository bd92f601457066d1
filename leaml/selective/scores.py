"""Importance of each weight for question answering, from the gradients of the labelled data."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, TypeVar

import torch
from torch import Tensor

from leaml.errors import ConfigError, TrainingError

Batch = TypeVar("Batch")
Rule = Literal["mean_gradient", "mean_absolute", "fisher"]
RULES: tuple[Rule, ...] = ("mean_gradient", "mean_absolute", "fisher")


def score_weights(
    weights: Mapping[str, Tensor],
    batches: Callable[[], Iterable[tuple[Batch, int]]],
    loss: Callable[[Batch], Tensor],
    *,
    rule: Rule = "mean_gradient",
    memory_bytes: int | None = None,
) -> Iterator[dict[str, Tensor]]:
    """Yield the scores of all weights, in float32 and in groups that fit the memory; each shaped like its weight.

    - `mean_gradient`: `| mean over samples of dL/dtheta |` (LEAML, Eq. 5). Samples whose gradients point in opposite
      directions cancel.
    - `mean_absolute`: the mean over samples of `|dL/dtheta|`; nothing cancels.
    - `fisher`: the mean over samples of `(dL/dtheta)^2`, the diagonal of the empirical Fisher information.

    A group's scores are one float32 copy of its weights, and at most one dense gradient is alive beside them. The
    data is read once for each group; without a bound there is one group. Drop a group before you ask for the next.

    Args:
        weights: The weights to score, by name. Whether they require gradients is restored afterwards.
        batches: Gives micro-batches with their number of samples: the whole labelled data, the same at each call.
        loss: The *mean* loss of a micro-batch's samples.
        rule: How gradients become scores. All but `mean_gradient` want micro-batches of one sample.
        memory_bytes: Largest size of a group's scores; a weight larger than that is a group of its own.

    Raises:
        ConfigError: If the rule is unknown, or wants smaller micro-batches.
        TrainingError: If there is no sample, or a gradient is not finite.
    """
    if rule not in RULES:
        raise ConfigError(f"The rule is {rule!r}, but must be one of {', '.join(RULES)}.")
    before = {name: weight.requires_grad for name, weight in weights.items()}
    try:
        for weight in weights.values():
            weight.requires_grad_(False)
        for names in _groups(weights, memory_bytes):
            yield _score_group({name: weights[name] for name in names}, batches(), loss, rule)
    finally:
        for name, weight in weights.items():
            weight.requires_grad_(before[name])


def _groups(weights: Mapping[str, Tensor], memory_bytes: int | None) -> list[list[str]]:
    """Return the names in groups of at most so many bytes of float32, in the order of the weights."""
    limit = math.inf if memory_bytes is None else memory_bytes
    groups: list[list[str]] = []
    room = 0.0
    for name, weight in weights.items():
        size = 4 * weight.numel()
        if not groups or size > room:
            groups.append([])
            room = limit
        groups[-1].append(name)
        room -= size
    return groups


def _score_group(
    weights: Mapping[str, Tensor], batches: Iterable[tuple[Batch, int]], loss: Callable[[Batch], Tensor], rule: Rule
) -> dict[str, Tensor]:
    sums = {name: torch.zeros_like(weight, dtype=torch.float32) for name, weight in weights.items()}
    samples = count = 0

    def collector(total: Tensor) -> Callable[[Tensor], None]:
        def collect(weight: Tensor) -> None:
            gradient, weight.grad = weight.grad, None  # at most one dense gradient is alive
            assert gradient is not None
            if rule == "mean_gradient":
                total.add_(gradient, alpha=count)
            elif rule == "mean_absolute":
                total.add_(gradient.abs())
            else:
                total.addcmul_(gradient.float(), gradient.float())

        return collect

    hooks = []
    try:
        for name, weight in weights.items():
            weight.grad = None
            weight.requires_grad_(True)
            hooks.append(weight.register_post_accumulate_grad_hook(collector(sums[name])))
        for batch, count in batches:
            if rule != "mean_gradient" and count != 1:
                raise ConfigError(f"{rule} scores samples one by one, but a micro-batch has {count}. Make it 1.")
            loss(batch).backward()
            samples += count
    finally:
        for hook in hooks:
            hook.remove()
        for weight in weights.values():
            weight.requires_grad_(False)
            weight.grad = None
    if samples == 0:
        raise TrainingError("Cannot score the weights: there is no labelled sample. Label some images first.")
    for name, total in sums.items():
        total.div_(samples).abs_()
        if not bool(total.isfinite().all()):
            raise TrainingError(f"Cannot score the weights: the gradient of {name} is not finite. Check the data.")
    return sums
