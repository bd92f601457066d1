"""Threads that each compute on one core: of many small things at once, faster than one after the other on all cores."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

import torch


@contextmanager
def threads_of_one_core(count: int) -> Iterator[Executor]:
    """Return so many threads; where there is one only, it has all cores."""
    cores = torch.get_num_threads()
    each = 1 if count > 1 else cores
    with ThreadPoolExecutor(max(1, count), initializer=lambda: torch.set_num_threads(each)) as threads:
        try:
            yield threads
        finally:
            torch.set_num_threads(cores)  # what a thread sets is what later ones begin with
