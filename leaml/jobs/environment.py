"""The environment of processes that compute: settings that have to be there before their first library loads."""

import os

KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**32)}
"""glibc gives large blocks back to the system at once and gets them again, page by page, at every training step: 13% of
a step of the bundled model, and 7% of the whole loop. With these settings a worker keeps what it will need again."""
YIELD_CORES = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}
"""OpenMP's threads wait for each other by turning in circles. As soon as anything else needs a core too, the one that
works waits for the one that turns. Turning so few times before they sleep costs little there, and waking takes time
where nothing else runs: `python -m benchmarks.waiting_threads`."""


def worker_environment(at_once: int = 1) -> dict[str, str]:
    """Return this process's environment with the settings above, unless it sets them otherwise.

    Of several workers at once, each has its share of the cores.
    """
    share = {"OMP_NUM_THREADS": str(max(1, cores() // at_once))} if at_once > 1 else {}
    return {**KEEP_MEMORY, **YIELD_CORES, **share, **os.environ}


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
