"""Importance of each weight for question answering."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from torch import Tensor

from leaml.errors import TrainingError

Batch = TypeVar("Batch")


def mean_gradient_scores(
    parameters: Mapping[str, Tensor], batches: Iterable[tuple[Batch, int]], loss: Callable[[Batch], Tensor]
) -> dict[str, Tensor]:
    """Return `s = | mean over samples of dL/dtheta |` (LEAML, Eq. 5), float32, shaped like each parameter.

    The absolute value is taken of the mean gradient, not the mean of absolute values: samples whose gradients point
    in opposite directions cancel.

    Args:
        parameters: The weights to score, by name. They need not require gradients; that is restored afterwards.
        batches: Micro-batches with their number of samples, all of the labelled data once.
        loss: The *mean* loss of a micro-batch's samples.

    Raises:
        TrainingError: If there is no sample, or a gradient is not finite.
    """
    before = {name: parameter.requires_grad for name, parameter in parameters.items()}
    sums: dict[str, Tensor] = {}
    samples = 0
    for name, parameter in parameters.items():
        parameter.requires_grad_(True)
        parameter.grad = None
        sums[name] = parameter.detach().new_zeros(parameter.shape, dtype=parameter.float().dtype)
    try:
        for batch, count in batches:
            loss(batch).backward()
            samples += count
            for name, parameter in parameters.items():
                if parameter.grad is not None:
                    sums[name].add_(parameter.grad.float(), alpha=count)
                    parameter.grad = None
    finally:
        for name, parameter in parameters.items():
            parameter.requires_grad_(before[name])
            parameter.grad = None
    if samples == 0:
        raise TrainingError("Cannot score the weights: there is no labelled sample. Label some images first.")
    for name, total in sums.items():
        total.div_(samples).abs_()
        if not bool(total.isfinite().all()):
            raise TrainingError(f"Cannot score the weights: the gradient of {name} is not finite. Check the data.")
    return sums
