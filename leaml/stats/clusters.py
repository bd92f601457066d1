"""Right answers counted by cluster and question type, and the bootstrap over clusters.

A cluster is what is drawn as a whole: an image, or a group of images that are not independent of one another.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from leaml.errors import ConfigError
from leaml.records import ImageId, Prediction

RESAMPLES = 2000
SEED = 20250
Floats = NDArray[np.float64]
Groups = Mapping[ImageId, str]
"""The group of each image. Without one, each image is a group of its own."""


def count_right(predictions: Sequence[Prediction], groups: Groups | None) -> tuple[Floats, Floats]:
    """Return counts `[clusters, types]` of right answers and of questions, in the order of first appearance.

    Raises:
        ConfigError: If there are no predictions, or the groups lack an image.
    """
    if not predictions:
        raise ConfigError("There are no test answers to average. Evaluate the model on some test questions first.")
    names = [_cluster(prediction.image_id, groups) for prediction in predictions]
    rows = {name: row for row, name in enumerate(dict.fromkeys(names))}
    types = {kind: column for column, kind in enumerate(dict.fromkeys(p.type_id for p in predictions))}
    right, asked = np.zeros((2, len(rows), len(types)))
    for name, prediction in zip(names, predictions, strict=True):
        cell = rows[name], types[prediction.type_id]
        asked[cell] += 1
        right[cell] += prediction.correct
    return right, asked


def macro(right: Floats, asked: Floats) -> Floats:
    """Return the mean over the last axis (types) of right / asked; a type that was not drawn is left out."""
    with np.errstate(invalid="ignore"):
        result: Floats = np.nanmean(np.where(asked > 0, right / np.maximum(asked, 1), np.nan), axis=-1)
    return result


@lru_cache(maxsize=4)
def draw_clusters(clusters: int) -> Floats:
    """Return how often each cluster is in each resample: `[RESAMPLES, clusters]`, read-only, the same in every call."""
    generator = np.random.default_rng(SEED)
    drawn = generator.multinomial(clusters, np.full(clusters, 1 / clusters), size=RESAMPLES).astype(np.float64)
    drawn.flags.writeable = False
    return drawn


def standard_error(resampled: Floats, clusters: int) -> float:
    """Return the bootstrap's standard error of one estimate from its resampled values; infinite for one cluster.

    Resampling n clusters gives a variance that is too small by (n - 1) / n (Efron and Tibshirani 1993, eq. 5.12).
    """
    if clusters < 2:
        return float("inf")
    return float(np.std(resampled) * np.sqrt(clusters / (clusters - 1)))


def _cluster(image_id: ImageId, groups: Groups | None) -> str:
    if groups is None:
        return image_id
    if image_id not in groups:
        raise ConfigError(f"The image {image_id} has no group. Give the group of every test image, or of none.")
    return groups[image_id]
