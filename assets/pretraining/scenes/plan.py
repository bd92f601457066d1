"""Drawn scenes as facts: what is in each pretraining image, decided before anything is drawn.

A scene holds primitives that specialist images share (crowds of pale discs, odd bodies with a core, tiny dots, shaded
mounds, folds, vessels, overlays), never such an image itself. `plan_scene` is pure: the same seed gives the same
facts, so that only features have to be stored. Drawing lives in `drawing.py`, sentences and questions in `texts/`.
"""

from dataclasses import replace

import numpy as np

from assets.pretraining.scenes.facts import Rng, Scene, Thing
from assets.pretraining.scenes.objects import plan_background, plan_crowd, plan_dots, plan_few, plan_odd_ones
from assets.pretraining.scenes.overlays import plan_overlays
from assets.pretraining.scenes.tissue import plan_tissue_scene
from assets.pretraining.scenes.twins import twin

FAMILIES = {"tissue": 0.30, "crowd": 0.32, "few": 0.22, "single": 0.13, "empty": 0.03}
TWINS = 1 / 3
"""Share of the seed pairs (2k, 2k + 1) whose second scene differs from the first in one fact."""


def is_twin(seed: int) -> bool:
    """Return whether scene number `seed` is a near twin of scene `seed - 1`."""
    return bool(seed % 2 == 1 and np.random.default_rng([seed // 2, 23]).random() < TWINS)


def plan_scene(seed: int) -> Scene:
    """Return the facts of scene number `seed`."""
    if is_twin(seed):
        return replace(twin(_plan_alone(seed - 1), np.random.default_rng([seed, 29])), seed=seed)
    return _plan_alone(seed)


def _plan_alone(seed: int) -> Scene:
    rng = np.random.default_rng([seed, 7])
    family = str(rng.choice(list(FAMILIES), p=list(FAMILIES.values())))
    scene = plan_tissue_scene(rng, seed) if family == "tissue" else _plan_field(rng, seed, family)
    return plan_overlays(rng, scene) if rng.random() < 0.27 else scene


def _plan_field(rng: Rng, seed: int, family: str) -> Scene:
    background = plan_background(rng)
    crowd: tuple[Thing, ...] = ()
    clumped, main = False, crowd
    if family == "crowd":
        crowd, clumped = plan_crowd(rng, background)
        main = plan_odd_ones(rng, background, crowd[0].tint)
    elif family != "empty":
        main = plan_few(rng, background, 1 if family == "single" else int(rng.choice([*range(2, 11), 2, 3, 4, 5])))
    dots: tuple[Thing, ...] = ()
    if family != "empty" and rng.random() < (0.75 if family == "crowd" else 0.35):
        dots = plan_dots(rng, background, main, crowd, int(rng.integers(0, 11)))
    return Scene(
        seed=seed,
        look=seed,
        family=family,
        background=background,
        gradient=float(rng.uniform(0, 0.3)),
        main=main,
        crowd=crowd,
        dots=dots,
        clumped=clumped,
        vignette=float(rng.choice([0.0, 0.0, rng.uniform(0.3, 0.9)])),
        # a strong blur would wash the dots away
        blur=float(rng.choice([0.0, 0.0, rng.uniform(0.5, 1.0 if dots else 2.0)])),
        noise=float(rng.choice([0.0, rng.uniform(2, 12)])),
        stains=int(rng.choice([0, 0, 0, 1, 2])),
        highlights=0 if dots else int(rng.choice([0, 0, 1, 3])),  # a glint looks like a dot
    )
