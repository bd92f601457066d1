"""Two processes, each on its half of the batches, exchange the compact gradient only."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing

from leaml.selective import SelectedAdamW, linear_weights
from leaml.selective.optimizer import IN_PLACE_FROM
from tests.selective.tiny import loss, random_entries, tiny_llama, tokens

STEPS = 3


def train_share(rank: int, folder: str, budget: float) -> None:
    """Train on this process's half of each batch; save the model, and how much was exchanged."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    exchanged = []
    all_reduce = dist.all_reduce

    def counted(tensor, **options):
        exchanged.append(tensor.numel())
        all_reduce(tensor, **options)

    dist.all_reduce = counted
    model = tiny_llama()
    weights, entries = random_entries(model, budget)
    optimizer = SelectedAdamW(linear_weights(model).weights, entries, processes=dist.group.WORLD)
    for step in range(STEPS):
        loss(model, tokens(step)[2 * rank : 2 * rank + 2]).backward()
        optimizer.clip(0.5)
        optimizer.step(1e-2)
    in_place = budget > IN_PLACE_FROM
    size = sum(weight.numel() for weight in weights.values()) if in_place else optimizer.selected
    assert exchanged == [size] * STEPS
    torch.save(model.state_dict(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("budget", [0.1, 0.85])
def test_two_processes_train_like_one(tmp_path: Path, budget: float):
    torch.multiprocessing.spawn(train_share, (str(tmp_path), budget), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert all(first[name].equal(second[name]) for name in first)
    alone = tiny_llama()
    _, entries = random_entries(alone, budget)
    optimizer = SelectedAdamW(linear_weights(alone).weights, entries)
    for step in range(STEPS):
        loss(alone, tokens(step)).backward()
        optimizer.clip(0.5)
        optimizer.step(1e-2)
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-5, msg=name)
