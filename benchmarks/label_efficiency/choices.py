"""Labels that are chosen instead of drawn, in the app's own order (`leaml.labelling.order`): by looks, or by doubt."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random

from benchmarks.label_efficiency.collection import Collection
from leaml.labelling.looks import image_vectors
from leaml.labelling.order import Guess, Guesses, LabelOrder
from leaml.models.backbone import Backbone
from leaml.models.decoding import option_probabilities
from leaml.models.features import ImageFeatures
from leaml.records import AnsweredQuestion, ImageRow

OFFERED = 0.8
"""Share of the pool's images that a draw may choose from: without it, all draws of a chosen set would be the same."""


def nobody_guesses(_: str) -> Sequence[Guess]:
    """Return no guess: no model has been trained yet."""
    return []


def choose_labels(
    collection: Collection,
    first: Sequence[AnsweredQuestion],
    count: int,
    *,
    seed: int,
    cache: Path,
    guesses: Guesses = nobody_guesses,
) -> list[AnsweredQuestion]:
    """Return `first` and further labels up to `count`: images unlike the labelled ones, or where guesses are unsure.

    Args:
        collection: Whose pool is labelled.
        first: Labels that are there already.
        count: How many in all.
        seed: Of the images on offer.
        cache: Features of the tower, of every pool image.
        guesses: What a model trained on `first` thinks.
    """
    pool = [image for image in collection.images if image.split == "pool"]
    offered = _offered(pool, {pair.image_id for pair in first}, seed)
    answers = {(pair.image_id, pair.type_id): pair for pair in collection.pool}
    unknown = [
        (image.id, kind.id) for image in offered for kind in collection.types if (image.id, kind.id) not in answers
    ]
    order = LabelOrder(offered, image_vectors({image.id: collection.folder / image.path for image in offered}, cache))
    chosen = order.choose(collection.types, first, guesses, skipped=unknown, limit=count - len(first))
    return [*first, *(answers[choice.asked] for choice in chosen)]


def guesses_of(model: Backbone, features: ImageFeatures, pool: Sequence[AnsweredQuestion]) -> Guesses:
    """Return what a model thinks about every question of the pool; no reference answer is looked at."""
    probabilities = option_probabilities(model, features, pool, lambda done, total: None)
    by_type: dict[str, list[Guess]] = defaultdict(list)
    for pair, found in zip(pool, probabilities, strict=True):
        by_type[pair.type_id or ""].append(Guess(pair.image_id, pair.options, found))
    return lambda type_id: by_type[type_id]


def _offered(pool: Sequence[ImageRow], needed: set[str], seed: int) -> list[ImageRow]:
    drawn = {image.id for image in Random(seed).sample(list(pool), round(OFFERED * len(pool)))}
    return [image for image in pool if image.id in drawn | needed]
