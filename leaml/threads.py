"""Threads that each compute on a share of the cores: of small things at once, faster than in turn on all cores."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

import torch


@contextmanager
def share_cores(count: int) -> Iterator[Executor]:
    """Return so many threads, each with its share of the cores; where there is one only, it has them all."""
    cores = torch.get_num_threads()
    each = max(1, cores // max(1, count))
    with ThreadPoolExecutor(max(1, count), initializer=lambda: torch.set_num_threads(each)) as threads:
        try:
            yield threads
        finally:
            torch.set_num_threads(cores)  # what a thread sets is what later ones begin with
