"""The measurements: interleaved in one process, except for peak memory, which needs a process of its own."""

import gc
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoProcessor

from benchmarks.selective_step.methods import CLIP_NORM, DENSITIES, METHODS, RATE, Method, build_method, warm_up
from benchmarks.selective_step.models import Setting, batch, build, loss, twin
from leaml.models.backbone import BUNDLED_PATH
from leaml.selective import (
    Delta,
    Entries,
    ResidentModel,
    linear_weights,
    score_weights,
    select,
    select_rows,
    weights_hash,
)
from leaml.training.train import DenseAdamW

LABELLED_BATCHES = 4
STATUS, CLEAR_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def seconds(do: Callable[[], Any], device: str) -> float:
    """Return how long a call takes, the accelerator's work included."""
    _wait(device)
    began = time.perf_counter()
    do()
    _wait(device)
    return time.perf_counter() - began


def time_steps(methods: Mapping[str, Method], setting: Setting, rounds: int) -> dict[str, list[float]]:
    """Return each method's step times `[rounds]` in seconds: every round does one step of each, in a new order."""
    order, times = list(methods), {name: [0.0] * rounds for name in methods}
    shuffle = random.Random(0)
    for number in range(rounds):
        shuffle.shuffle(order)
        ids = batch(setting, 10 + number)
        for name in order:
            times[name][number] = seconds(partial(methods[name].step, ids), setting.device)
    return times


def time_scoring(setting: Setting, rounds: int) -> tuple[list[float], list[float]]:
    """Return the seconds of scoring and selecting on the labelled data, and of training on it once, per round."""
    model = build(setting)
    weights = linear_weights(model, within=model.get_decoder()).weights
    data = [(batch(setting, seed), setting.shape.batch) for seed in range(LABELLED_BATCHES)]

    def score() -> None:
        select(score_weights(weights, lambda: data, lambda ids: loss(model, ids)), 0.25)

    def epoch() -> None:
        for ids, _ in data:
            loss(model, ids).backward()
            optimizer.clip(CLIP_NORM)
            optimizer.step(RATE)

    scored, trained = [], []
    for number in range(rounds + 1):
        first = seconds(score, setting.device)
        optimizer = DenseAdamW(dict(weights))
        loss(model, data[0][0]).backward()
        optimizer.step(RATE)  # the moments are made here, outside the measured epoch
        second = seconds(epoch, setting.device)
        optimizer.close()
        if number:  # the first round warms up
            scored.append(first)
            trained.append(second)
    return scored, trained


def time_swaps(setting: Setting, rounds: int) -> tuple[dict[str, list[float]], bool]:
    """Return the seconds of swaps between two deltas and of loading a merged model, and whether every swap was exact.

    What is loaded is what an answer needs: the model and a processor (the bundled one). A load is over when each
    weight has been read: weights are mapped into memory, and read when they are first used.
    """
    times: dict[str, list[float]] = {}
    model = build(setting)
    resident, exact = ResidentModel(model), True
    for density in DENSITIES:
        deltas = [_altered(resident, density, seed) for seed in (0, 1)]
        swaps = times[f"swap, {density:.0%}"] = []
        for number in range(rounds + 2):
            wanted = deltas[number % 2]
            taken = seconds(partial(resident.apply, wanted), setting.device)
            present = resident.capture(wanted.entries).values
            exact &= all(present[name].equal(values) for name, values in wanted.values.items())
            if number > 1:  # the first two warm up
                swaps.append(taken)
        resident.restore()
        exact &= weights_hash(model) == resident.base_hash
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # temporary folders may be in memory; this is a disk
        resident.merge(deltas[0], Path(folder) / "merged", AutoProcessor.from_pretrained(BUNDLED_PATH))
        for kind in ("warm", "cold"):
            times[f"load merged, {kind}"] = [
                _load(Path(folder) / "merged", setting, cold=kind == "cold") for _ in range(max(3, rounds // 3))
            ]
    return times, exact


def _load(folder: Path, setting: Setting, *, cold: bool) -> float:
    if cold:
        for file in folder.iterdir():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def load() -> None:
        AutoProcessor.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder).to(setting.device)
        with torch.no_grad():
            sum(parameter.sum() for parameter in model.parameters())

    return seconds(load, setting.device)


def time_traffic(setting: Setting, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of gathering and scattering half of the largest weight, and of the copies that bound them.

    The bound of a gather reads the whole weight once and writes the values; torch's own copy of as many bytes is the
    floor. So is that of a scatter, which reads the values and writes the weight. The copy of 256 MB, which no cache
    holds, is the speed at which an optimizer's state can be read and written.
    """
    rows, columns = setting.shape.feed_forward, setting.shape.hidden
    weight = torch.randn(rows, columns, device=setting.device)
    entries = select_rows(torch.rand(rows, columns), 0.5).to(weight.device)
    values, target = entries.gather(weight), torch.empty_like(weight)
    floor = torch.empty(
        3 * weight.numel() // 4, device=setting.device
    )  # reading 3/4 and writing 3/4: as many bytes in all
    source, large = torch.zeros(2, 2**26, device=setting.device)
    jobs: dict[str, Callable[[], Any]] = {
        "gather": lambda: entries.gather(weight),
        "scatter": lambda: entries.scatter_(target, values),
        "copy of as many bytes": lambda: floor.clone(),
        "copy of 256 MB": lambda: large.copy_(source),
    }
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(5 * rounds):
        for name, job in jobs.items():
            times[name].append(seconds(job, setting.device))
    return times


def file_sizes(methods: Mapping[str, Method]) -> dict[str, int]:
    """Return the bytes that each method's change takes on disk."""
    sizes = {}
    for name, method in methods.items():
        with tempfile.TemporaryDirectory() as folder:
            method.save(Path(folder))
            sizes[name] = sum(file.stat().st_size for file in Path(folder).rglob("*.safetensors"))
    return sizes


def peak_memory(setting: Setting, name: str) -> int:
    """Return the most bytes that three steps of a method need beyond the model itself, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.selective_step.measure", *vars(setting).values(), name]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(json.loads(printed.splitlines()[-1])["bytes"])


def _measure_memory(setting: Setting, name: str) -> int:
    model = build(setting)
    with torch.no_grad():
        loss(model, batch(setting, 0))  # libraries allocate their own workspaces in the first pass
    gc.collect()
    if setting.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        if CLEAR_PEAK.exists():
            CLEAR_PEAK.write_text("5")
        before = _resident("VmRSS")
    method = build_method(name, model)
    for seed in range(3):
        method.step(batch(setting, seed))
    return (torch.cuda.max_memory_allocated() if setting.device == "cuda" else _resident("VmHWM")) - before


def _resident(field: str) -> int:
    """Return this process's resident bytes: now (`VmRSS`) or at their peak (`VmHWM`)."""
    if not STATUS.exists():  # not Linux: the peak of the whole process is all there is
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def _altered(resident: ResidentModel, density: float, seed: int) -> Delta:
    """Return a delta of a share of each linear weight, with random values."""
    generator = torch.Generator().manual_seed(seed)
    weights = linear_weights(resident.model).weights
    entries: dict[str, Entries] = {}
    values = {}
    for name, weight in weights.items():
        entries[name] = select_rows(torch.rand(weight.shape, generator=generator), density).to(weight.device)
        values[name] = torch.randn(entries[name].count, generator=generator).to(weight)
    return Delta(entries, values, resident.base_hash, str(resident.model.dtype))


def make_methods(setting: Setting, names: Sequence[str] = METHODS) -> dict[str, Method]:
    """Return every method with a model of its own on the same memory, warmed up."""
    base, methods = build(setting), {}
    for name in names:
        methods[name] = build_method(name, twin(base, setting))
        warm_up(methods[name], setting)
    return methods


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    *what, which = sys.argv[1:]
    print(json.dumps({"bytes": _measure_memory(Setting(*what), which)}))
