"""AdamW on chosen entries only. The forward pass runs on the ordinary weights; nothing is wrapped.

Masking the gradient of a dense optimizer would be wrong: weight decay and stale momentum move unselected entries.
Here a hook gathers the selected gradient entries into one flat float32 buffer and drops the dense gradient; Adam's
state exists for the selected entries alone; the result is written back to just these places. Unselected entries are
never written, so their bits cannot change.

Where more than seven ninths of a float32 weight are selected, that takes more memory and time than moments of all its
entries do. Such a weight is trained in place, without weight decay only: the gradient of its other entries is zero at
every step, so their moments stay zero, and a step of zero changes no bit.

Gradients of several backward passes add up until `step`, also of passes that run at once, in threads. With several
processes, each on its own share of a batch, only the flat buffer is exchanged.
"""

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.graph import Node, get_gradient_edge
from torch.utils.hooks import RemovableHandle

from leaml.errors import TrainingError
from leaml.selective.entries import Entries

IN_PLACE_FROM = 7 / 9
"""Density above which moments and gradient of every entry, and the places of the others, are smaller than moments,
master copy, gradient and places of the selected ones: 14 bytes an entry against 18 a selected one."""
WIDE_PLACES_TO = 2**22
"""Selected entries up to which their places are kept as 64-bit numbers (32 MB): half a percent of a small model's step.
For a large model they would take half as much memory as all else that an entry needs."""

Collect = Callable[[Tensor], None]
"""Takes a weight's gradient."""


class SelectedAdamW:
    """AdamW (Loshchilov and Hutter 2019) over the selected entries of several weights, as one flat vector.

    The float32 master copy matters: in bfloat16 most updates of a small learning rate would round away.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        entries: Mapping[str, Entries],
        *,
        weight_decay: float = 0.0,
        processes: dist.ProcessGroup | None = None,
    ) -> None:
        """Prepare to train the chosen entries of these weights, until `close`.

        Args:
            weights: By name; each is made to require gradients.
            entries: By the same names.
            weight_decay: Decoupled; acts on the selected entries.
            processes: Average the gradient over this group; None trains alone.

        Raises:
            TrainingError: If entries are of another shape than their weight, or nothing is selected.
        """
        self._weights = dict(weights)
        self._entries: dict[str, Entries] = {}
        for name, weight in self._weights.items():
            chosen = entries[name]
            if chosen.shape != tuple(weight.shape):
                raise TrainingError(
                    f"The selection of {name} is for the shape {chosen.shape}, but its weight has "
                    f"{tuple(weight.shape)}. Select again on this model."
                )
            self._entries[name] = chosen.to(weight.device)
        if not self.selected:
            raise TrainingError("No weight is selected for training. Raise the row budget.")
        if self.selected <= WIDE_PLACES_TO:
            self._entries = {name: chosen.wide() for name, chosen in self._entries.items()}
        self._in_place = [
            name
            for name, weight in self._weights.items()
            if weight.dtype == torch.float32 and not weight_decay and self._entries[name].density > IN_PLACE_FROM
        ]
        copied = [name for name in self._weights if name not in self._in_place]
        self._spans: dict[str, slice] = {}
        end = 0
        for name in (*copied, *self._in_place):  # the flat gradient begins with that of the master copy
            size = self._weights[name].numel() if name in self._in_place else self._entries[name].count
            self._spans[name] = slice(end, end + size)
            end += size
        device = next(iter(self._weights.values())).device
        none = torch.empty(0, device=device)
        values = [self._entries[name].gather(self._weights[name].detach()).float() for name in copied]
        self._master = nn.Parameter(torch.cat([none, *values]))
        self._gradient = torch.zeros(end, device=device)
        others = {name: self._entries[name].others() for name in self._in_place}
        self._others = {name: own for name, own in others.items() if own is not None}
        # The same for all weights: writing a number as such takes torch six times as long.
        self._zeros = torch.zeros(max((own.count for own in self._others.values()), default=0), device=device)
        self._gathered: set[str] = set()
        self._divisor = 1.0  # that clipping asks of the gathered gradient
        trained: list[Tensor] = [self._master] if copied else []
        trained += [self._weights[name] for name in self._in_place]
        self._adam = torch.optim.AdamW(trained, weight_decay=weight_decay, fused=True)
        self._processes = processes
        self._averaged = processes is None
        self._writers = [
            self._entries[name].scattering(self._weights[name], self._master.detach()[self._spans[name]])
            for name in copied
        ]
        self._hooks: list[RemovableHandle] = []
        self._nodes: list[Node] = []  # kept, or torch would make new ones without the hooks
        for name, weight in self._weights.items():
            weight.requires_grad_(True)
            node = get_gradient_edge(weight).node
            self._hooks.append(node.register_prehook(_taking(self._collector(name))))
            self._nodes.append(node)

    @property
    def selected(self) -> int:
        """Number of entries that are trained."""
        return sum(entries.count for entries in self._entries.values())

    @property
    def state_bytes(self) -> int:
        """Memory of the master copy and of Adam's two moments: 12 bytes a selected entry, or 8 an entry in place."""
        state = (value for values in self._adam.state.values() for value in values.values())
        moments = sum(value.nbytes for value in state if isinstance(value, Tensor) and value.numel() > 1)
        return self._master.nbytes + moments

    def clip(self, max_norm: float) -> float:
        """Scale the gathered gradient to at most this L2 norm; return the norm before."""
        self._complete()
        norm = float(self._gradient.norm()) / self._divisor
        if norm > max_norm:
            self._divisor *= norm / max_norm
        return norm

    def broken_weights(self) -> list[str]:
        """Return the names of the weights whose gathered gradient is not finite."""
        return [name for name, span in self._spans.items() if not bool(self._gradient[span].isfinite().all())]

    def step(self, learning_rate: float) -> None:
        """Update the selected entries from the gathered gradient, and forget it."""
        self._complete()
        self._adam.param_groups[0]["lr"] = learning_rate
        self._master.grad = self._gradient[: self._master.numel()]
        for name in self._in_place:
            self._weights[name].grad = self._gradient[self._spans[name]].view_as(self._weights[name])
        # The fused step divides as it reads, as it does for torch's GradScaler: scaling the gradient beforehand would
        # read and write it once more.
        divisor = None if self._divisor == 1 else self._gradient.new_tensor(self._divisor)
        self._adam.grad_scale = divisor  # type: ignore[attr-defined]
        self._adam.step()
        self._divisor = 1.0
        for name in self._in_place:
            self._weights[name].grad = None
        self._gathered.clear()
        self._averaged = self._processes is None
        self._scatter()

    def state_dict(self) -> dict[str, Any]:
        """Return master values and Adam's state, from which `load_state_dict` continues bit for bit."""
        in_place = [self._weights[name].detach() for name in self._in_place]
        counts = [self._entries[name].count for name in self._in_place]
        adam = self._adam.state_dict()
        return {"master": self._master.detach(), "in_place": in_place, "in_place_counts": counts, "adam": adam}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`, the weights included.

        Raises:
            TrainingError: If the state is of another selection.
        """
        weights = [self._master, *(self._weights[name] for name in self._in_place)]
        saved, counts = [state["master"], *state.get("in_place", [])], state.get("in_place_counts", [])
        own = [self._entries[name].count for name in self._in_place]
        if counts != own or [value.shape for value in saved] != [weight.shape for weight in weights]:
            count = state["master"].numel() + sum(counts)
            raise TrainingError(f"The checkpoint trains {count} entries, this run {self.selected}. Start a new run.")
        with torch.no_grad():
            for weight, value in zip(weights, saved, strict=True):
                weight.copy_(value)
        self._adam.load_state_dict(state["adam"])
        self._scatter()

    def close(self) -> None:
        """Stop watching the weights; they keep their trained values."""
        for hook in self._hooks:
            hook.remove()
        self._nodes.clear()
        for weight in self._weights.values():
            weight.requires_grad_(False)
            weight.grad = None

    def _collector(self, name: str) -> Collect:
        return self._masker(name) if name in self._in_place else self._gatherer(name)

    def _masker(self, name: str) -> Collect:
        buffer = self._gradient[self._spans[name]].view_as(self._weights[name])
        others, gathered = self._others.get(name), self._gathered
        clear = None if others is None else others.scattering(buffer, self._zeros[: others.count])

        def collect(gradient: Tensor) -> None:
            if name in gathered:
                buffer.add_(gradient)
            else:
                buffer.copy_(gradient)
            if clear is not None:
                clear()
            gathered.add(name)

        return collect

    def _gatherer(self, name: str) -> Collect:
        gather, buffer, gathered = self._entries[name].gather, self._gradient[self._spans[name]], self._gathered
        same_type, read = self._weights[name].dtype == buffer.dtype, self._entries[name].gathering(buffer)

        def collect(gradient: Tensor) -> None:
            if name in gathered:
                buffer.add_(gather(gradient))
            elif same_type:
                read(gradient)
            else:
                buffer.copy_(gather(gradient))
            gathered.add(name)

        return collect

    def _complete(self) -> None:
        """Make the gathered gradient that of this step on all processes: zero where a weight took no part, averaged."""
        if len(self._gathered) < len(self._spans):
            for name in self._spans.keys() - self._gathered:
                self._gradient[self._spans[name]].zero_()
            self._gathered.update(self._spans)
        if not self._averaged:
            dist.all_reduce(self._gradient, group=self._processes)
            self._gradient.div_(dist.get_world_size(self._processes))
            self._averaged = True

    @torch.no_grad()
    def _scatter(self) -> None:
        for write in self._writers:
            write()


def _taking(collect: Collect) -> Callable[[tuple[Tensor, ...]], tuple[None]]:
    """Return the hook that gives a weight's gradient away before torch keeps it: one layer's is alive at a time.

    Not a hook after torch has kept it: of two backward passes at once, one would take what the other is adding to.
    """
    one_at_a_time = Lock()

    def take(gradients: tuple[Tensor, ...]) -> tuple[None]:
        with one_at_a_time:
            collect(gradients[0])
        return (None,)

    return take
