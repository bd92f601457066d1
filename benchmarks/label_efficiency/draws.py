"""Which questions the expert answers, and which pairs the expert reviews. No answer is looked at to choose."""

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from leaml.records import AnsweredQuestion, Candidate, RunId
from leaml.store import Store

FEWEST_LABELS = 12


def label_count(pool: Sequence[AnsweredQuestion], share: float) -> int:
    """Return how many labels a share of the pool's questions is; a few at least."""
    return max(FEWEST_LABELS, math.ceil(share * len(pool)))


def draw_labels(pool: Sequence[AnsweredQuestion], count: int, *, seed: int) -> list[AnsweredQuestion]:
    """Return `count` labels: question types in turn, images at random, a new image as long as there is one.

    A smaller draw of the same seed is the beginning of a larger one.
    """
    shuffled = random.Random(seed).sample(list(pool), len(pool))
    waiting: dict[str, list[AnsweredQuestion]] = defaultdict(list)
    for pair in shuffled:
        waiting[pair.type_id or ""].append(pair)
    kinds, used, chosen = sorted(waiting), set[str](), list[AnsweredQuestion]()
    while len(chosen) < min(count, len(pool)):
        for kind in kinds:
            if waiting[kind] and len(chosen) < count:
                pair = next((other for other in waiting[kind] if other.image_id not in used), waiting[kind][0])
                waiting[kind].remove(pair)
                used.add(pair.image_id)
                chosen.append(pair)
    return chosen


def queue_order(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return pairs as the app's queue shows them before anybody has decided: every other one a random audit."""
    with TemporaryDirectory() as folder, Store.open(Path(folder)) as store:
        store.results.add_generator_run(RunId("r0001"), candidates)
        return store.queue.next(len(candidates))


def doubtful_order(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return pairs with the least sure of each question type first, the types in turn.

    It is what the app's queue showed before half of it became an audit.
    """
    waiting: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in sorted(candidates, key=lambda row: (max(row.option_probabilities, default=0.0), row.id)):
        waiting[candidate.type_id or ""].append(candidate)
    ranked = [(place, kind, row) for kind, rows in waiting.items() for place, row in enumerate(rows)]
    return [row for _, _, row in sorted(ranked, key=lambda item: item[:2])]
