"""The training loop, for the generator and for every VQA model, and what may move in each.

`train` is the whole loop: read a batch, take the loss, step, report, save. What differs between methods is which
entries the optimizer owns and which samples the batches hold.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from leaml.config import TrainConfig
from leaml.errors import TrainingError
from leaml.models.precision import autocast
from leaml.report import Cancelled, Report
from leaml.threads import share_cores
from leaml.training.checkpoint import load_checkpoint, save_checkpoint

Loss = tuple[Tensor, dict[str, float]]
"""A part of the value to minimise, and figures to report. The parts of a step add up."""


class Optimizer(Protocol):
    """What the loop needs of an optimizer; `SelectedAdamW` and `DenseAdamW` have it."""

    def clip(self, max_norm: float) -> float:
        """Scale the gradient to at most this norm, where that is finite; return the norm before."""

    def broken_weights(self) -> list[str]:
        """Return the names of the weights whose gradient is not finite."""

    def step(self, learning_rate: float) -> None:
        """Update, and forget the gradient."""

    @property
    def selected(self) -> int:
        """Number of entries that are trained."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that a resumed run needs, the trained values included."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`."""

    def close(self) -> None:
        """Freeze the weights again."""


class DenseAdamW:
    """AdamW over whole weights: full fine-tuning, and the adapters of LoRA."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], *, weight_decay: float = 0.0) -> None:
        """Own these weights and let them require gradients."""
        self._names = list(parameters)
        self._parameters = [parameter.requires_grad_(True) for parameter in parameters.values()]
        self._adam = torch.optim.AdamW(self._parameters, weight_decay=weight_decay, fused=True)
        # torch locks the node that adds to a gradient; kept, it is the same one in all threads.
        self._nodes = [get_gradient_edge(parameter).node for parameter in self._parameters]

    @property
    def selected(self) -> int:
        """Number of entries that are trained."""
        return sum(parameter.numel() for parameter in self._parameters)

    def clip(self, max_norm: float) -> float:
        """Scale the gradient to at most this L2 norm; return the norm before.

        One that is not finite scales nothing: it would spread to every weight, and hide which one broke.
        """
        norm = nn.utils.get_total_norm([p.grad for p in self._parameters if p.grad is not None])
        if bool(norm.isfinite()):
            nn.utils.clip_grads_with_norm_(self._parameters, max_norm, norm)
        return float(norm)

    def broken_weights(self) -> list[str]:
        """Return the names of the weights whose gradient is not finite."""
        named = zip(self._names, self._parameters, strict=True)
        return [name for name, p in named if p.grad is not None and not bool(p.grad.isfinite().all())]

    def step(self, learning_rate: float) -> None:
        """Update the weights and drop their gradients."""
        self._adam.param_groups[0]["lr"] = learning_rate
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the weights and Adam's state."""
        return {"weights": [p.detach() for p in self._parameters], "adam": self._adam.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`, the weights included.

        Raises:
            TrainingError: If the state is of another model.
        """
        mine, saved = [p.shape for p in self._parameters], [weight.shape for weight in state["weights"]]
        if mine != saved:
            raise TrainingError("The checkpoint's weights have other shapes than this model's. Start a new run.")
        with torch.no_grad():
            for parameter, weight in zip(self._parameters, state["weights"], strict=True):
                parameter.copy_(weight)
        self._adam.load_state_dict(state["adam"])

    def close(self) -> None:
        """Freeze the weights."""
        self._nodes.clear()
        for parameter in self._parameters:
            parameter.requires_grad_(False)
            parameter.grad = None


def train(
    stage: str,
    optimizer: Optimizer,
    losses_of_step: Callable[[int], Sequence[Iterator[Loss]]],
    config: TrainConfig,
    *,
    checkpoints: Path,
    report: Report,
    device: torch.device,
) -> dict[str, float]:
    """Run the whole training, or the rest of it where a checkpoint lies; return the last step's figures.

    Args:
        stage: Its name in the reports, and of its folder of checkpoints.
        optimizer: Owns the entries that move.
        losses_of_step: From a step's number, counted from 0, the losses of that step's batch, in the shares of
            `shares_of`, which are computed at once; a share comes part by part: each part's graph is gone before the
            next is built.
        config: Steps, learning rate, clipping, checkpoints.
        checkpoints: Folder of the run's checkpoints.
        report: Hears each step.
        device: Chooses autocast.

    Raises:
        TrainingError: If the loss or the gradient is not finite; the last checkpoint stays.
        Cancelled: If the report says so; the state is saved first.
    """
    folder = checkpoints / stage
    torch.manual_seed(config.seed)
    start, figures = 0, {}
    if (saved := load_checkpoint(folder)) is not None:
        start, figures = saved[0], saved[1]["figures"]
        optimizer.load_state_dict(saved[1]["optimizer"])
    kept = start
    with share_cores(shares_of(config, device)) as cores:
        for step in range(start, config.steps):
            began = time.perf_counter()
            loss, figures = backward(losses_of_step(step), device, cores)
            norm = optimizer.clip(config.clip_norm)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise TrainingError(_broken(stage, step + 1, loss, norm, optimizer.broken_weights(), kept))
            optimizer.step(learning_rate(config, step))
            done = step + 1
            report.progress(stage, done, config.steps, **figures, norm=norm, step_s=time.perf_counter() - began)
            cancelled = report.cancelled()
            if cancelled or done % config.checkpoint_every == 0 or done == config.steps:
                save_checkpoint(folder, done, {"optimizer": optimizer.state_dict(), "figures": figures})
                kept = done
            if cancelled:
                raise Cancelled
    optimizer.close()
    return figures


def shares_of(config: TrainConfig, device: torch.device) -> int:
    """Return how many shares of a batch are computed at once: two on a CPU, each on half of its cores.

    Products of a small model are too small to keep several cores busy. Not more than two: the sum of two gradients is
    the same in either order, so that a training can be repeated to the bit.
    """
    plain = config.accumulation == 1 and not (config.checkpoint_activations or config.compile_blocks)
    several = device.type == "cpu" and torch.get_num_threads() > 1 and config.batch_size > 1
    return 2 if plain and several else 1


def backward(shares: Sequence[Iterator[Loss]], device: torch.device, cores: Executor) -> tuple[float, dict[str, float]]:
    """Add up the gradients of a step's shares; return the whole loss and the mean of their figures.

    Args:
        shares: Of the batch; each yields the losses of its parts.
        device: Chooses autocast.
        cores: Threads for several shares.
    """
    at_once = cores.map if len(shares) > 1 else map
    done = list(at_once(partial(_backward_share, device), shares))
    seen = [figures for _, parts in done for figures in parts]
    names = dict.fromkeys(name for figures in seen for name in figures)
    means = {name: fmean(figures[name] for figures in seen if name in figures) for name in names}
    return sum(loss for loss, _ in done), means


def _backward_share(device: torch.device, losses: Iterator[Loss]) -> tuple[float, list[dict[str, float]]]:
    """Add the gradients of a share's parts to those that are there; return its loss and its parts' figures."""
    total, seen = 0.0, list[dict[str, float]]()
    while True:
        with autocast(device):
            part = next(losses, None)
        if part is None:
            return total, seen
        part[0].backward()
        total += part[0].item()
        seen.append(part[1])


def _broken(stage: str, step: int, loss: float, norm: float, weights: list[str], kept: int) -> str:
    """Return the sentence for a training that cannot go on."""
    where = f" in {weights[0]}" + f" and {len(weights) - 1} more" * (len(weights) > 1) if weights else ""
    state = f"The checkpoint of step {kept} is kept. " if kept else ""
    return (
        f"The {stage} training broke at step {step}: loss {loss:.3g}, gradient norm {norm:.3g}{where}. "
        f"{state}Lower the learning rate and start a new run."
    )


def learning_rate(config: TrainConfig, step: int) -> float:
    """Return the learning rate of a step counted from 0: linear warm-up, then a cosine to zero."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    share = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
