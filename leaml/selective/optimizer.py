"""AdamW on chosen entries only. The forward pass runs on the ordinary weights; nothing is wrapped.

Masking the gradient of a dense optimizer would be wrong: weight decay and stale momentum move unselected entries.
Here a hook gathers the selected gradient entries into one flat float32 buffer and drops the dense gradient; Adam's
state exists for the selected entries alone; the result is written back to just these places. Unselected entries are
never written, so their bits cannot change.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from leaml.errors import TrainingError


class SelectedAdamW:
    """AdamW (Loshchilov and Hutter 2019) over the selected entries of several weights, as one flat vector.

    The float32 master copy matters: in bfloat16 most updates of a small learning rate would round away.
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], masks: Mapping[str, Tensor], *, weight_decay: float = 0.0
    ) -> None:
        """Prepare to train the entries where `masks[name]` is True of `parameters[name]`, of the same shape.

        Raises:
            TrainingError: If a mask has another shape than its weight, or nothing is selected.
        """
        self._parameters = dict(parameters)
        self._places: dict[str, Tensor] = {}
        self._spans: dict[str, slice] = {}
        end = 0
        for name, parameter in self._parameters.items():
            mask = masks[name]
            if mask.shape != parameter.shape:
                raise TrainingError(f"The mask of {name} is {tuple(mask.shape)}, its weight {tuple(parameter.shape)}.")
            self._places[name] = mask.reshape(-1).nonzero().squeeze(1).to(parameter.device)
            self._spans[name] = slice(end, end + len(self._places[name]))
            end = self._spans[name].stop
        if end == 0:
            raise TrainingError("No weight is selected for training. Raise the row budget.")
        self._master = nn.Parameter(self._gather({n: p.detach() for n, p in self._parameters.items()}))
        self._gradient = torch.zeros_like(self._master)
        self._adam = torch.optim.AdamW([self._master], weight_decay=weight_decay, fused=True)
        self._hooks = []
        for name, parameter in self._parameters.items():
            parameter.requires_grad_(True)
            self._hooks.append(parameter.register_post_accumulate_grad_hook(self._collector(name)))

    @property
    def selected(self) -> int:
        """Number of entries that are trained."""
        return self._master.numel()

    def clip(self, max_norm: float) -> float:
        """Scale the gathered gradient to at most this L2 norm; return the norm before."""
        norm = float(self._gradient.norm())
        if norm > max_norm:
            self._gradient.mul_(max_norm / norm)
        return norm

    def step(self, learning_rate: float) -> None:
        """Update the selected entries from the gathered gradient, which is then zero again."""
        self._adam.param_groups[0]["lr"] = learning_rate
        self._master.grad = self._gradient
        self._adam.step()
        self._gradient.zero_()
        self._scatter()

    def state_dict(self) -> dict[str, Any]:
        """Return master values and Adam's state, from which `load_state_dict` continues bit for bit."""
        return {"master": self._master.detach(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`, the weights included.

        Raises:
            TrainingError: If the state is of another selection.
        """
        if state["master"].shape != self._master.shape:
            raise TrainingError(
                f"The checkpoint trains {state['master'].numel()} entries, this run {self.selected}. Start a new run."
            )
        with torch.no_grad():
            self._master.copy_(state["master"])
        self._adam.load_state_dict(state["adam"])
        self._scatter()

    def close(self) -> None:
        """Stop watching the weights; they keep their trained values."""
        for hook in self._hooks:
            hook.remove()
        for parameter in self._parameters.values():
            parameter.requires_grad_(False)
            parameter.grad = None

    def _collector(self, name: str) -> Any:
        places, span = self._places[name], self._spans[name]

        def collect(parameter: Tensor) -> None:
            assert parameter.grad is not None
            self._gradient[span] += parameter.grad.reshape(-1)[places].float()
            parameter.grad = None  # at most one layer's dense gradient is alive

        return collect

    def _gather(self, tensors: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([tensors[name].reshape(-1)[self._places[name]].float() for name in self._parameters])

    @torch.no_grad()
    def _scatter(self) -> None:
        for name, parameter in self._parameters.items():
            values = self._master[self._spans[name]].to(parameter.dtype)
            parameter.view(-1).index_copy_(0, self._places[name], values)
