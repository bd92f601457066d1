"""`python -m benchmarks.label_efficiency.tune`: learning rates, three for each kind of training, and the best recipe.

A quarter of the pool's groups stands in for the test side, which is never read. The labels are those of draws that no
table uses. One line a run in tuning.csv; what was found is written into `methods.py` by hand.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.label_efficiency import log
from benchmarks.label_efficiency.collection import blood_smears, kvasir
from benchmarks.label_efficiency.methods import (
    ALL_WEIGHTS,
    BY_NAME,
    CONTRASTED,
    FULL,
    LORA,
    METHODS,
    REVIEWED,
    SELECTED,
    SUPERVISED,
    Budget,
    Method,
    Pairs,
)
from benchmarks.label_efficiency.run import run_methods
from benchmarks.label_efficiency.study import Study
from leaml.config import BUNDLED_MODEL, MixtureConfig
from leaml.models.backbone import load

TUNING = Path(__file__).parent / "tuning.csv"
SHARE, DRAW = 0.05, 1000
RECIPE_DRAWS = (1000, 1001)
FULL_RATES, LORA_RATES = (2e-4, 5e-4, 1e-3), (1e-3, 3e-3, 1e-2)
CONTRASTS = (0.3, 1.0, 3.0)
DENSE_RATES, SELECTED_RATES = (5e-4, 1e-3, 2e-3), (3e-3, 6e-3, 1e-2)


def longer(budget: Budget, times: int) -> Budget:
    """Return a budget of so many times the updates, of generator, judge and model alike."""
    return replace(
        budget, generator=times * budget.generator, judge=times * budget.judge, finetune=times * budget.finetune
    )


def rates() -> Iterator[Method]:
    """Yield a method for each learning rate; a generator is judged by its pairs' precision and the model they make."""
    for method, tried in ((FULL, FULL_RATES), (LORA, LORA_RATES)):
        for rate in tried:
            yield replace(method, name=f"{method.name} at {rate:g}", learning_rate=rate)
    for recipe, tried in ((ALL_WEIGHTS, DENSE_RATES), (SELECTED, SELECTED_RATES)):
        for rate in tried:
            name = f"{recipe.name}_at_{rate:g}"
            yield Method(f"generator {name}", recipe=replace(recipe, name=name, learning_rate=rate))


def recipes() -> Iterator[Method]:
    """Yield ways to read unreviewed and 200 reviewed pairs, beside what they are to beat and what they are to reach."""
    yield from (FULL, LORA)
    for moves, rate in (("full", FULL.learning_rate), ("lora", LORA.learning_rate)):
        way = Method("", SELECTED, moves=moves, learning_rate=rate)
        yield replace(way, name=f"fully supervised, {moves}", recipe=None, labels="all")
        yield replace(way, name=f"unreviewed, {moves}")
        half = MixtureConfig(pseudo_share=0.5, weighting="agreement")
        yield replace(way, name=f"unreviewed, half by agreement, {moves}", mixture=half)
        yield replace(way, name=f"reviewed alone, {moves}", pairs=Pairs(None, 200))
        for share in (0.25, 0.5):
            mixture = MixtureConfig(pseudo_share=share, weighting="acceptance")
            name = f"reviewed, {share:.0%} others by acceptance, {moves}"
            yield replace(way, name=name, pairs=Pairs(0.0, 200), mixture=mixture)


def continued() -> Iterator[Method]:
    """Yield models that go on from a generator, and what they are to beat."""
    yield from (FULL, LORA, BY_NAME["full fine-tuning, mirrored"], BY_NAME["LoRA, mirrored"])
    yield from (method for method in METHODS if method.starts_from == "generator" and method.flips != "none")
    yield BY_NAME["LEAML, contrast, half labels, weighted, mirrored"]
    yield BY_NAME["LEAML, contrast, 200 reviewed, mirrored"]


def mirrored() -> Iterator[Method]:
    """Yield what mirrored pictures are to help."""
    yield from (FULL, LORA, SUPERVISED, BY_NAME["LEAML, 200 reviewed"])
    plain = (method for method in METHODS if method.flips != "none" and method.starts_from == "pretrained")
    yield from (method for method in plain if method.pairs.reviewed in (0, 200))


def contrasted() -> Iterator[Method]:
    """Yield what captions that must be unlikely beside other images do to pairs and to the models they make."""
    tried = [replace(CONTRASTED, name=f"contrast_{weight:g}", contrast=weight) for weight in CONTRASTS]
    mirrored = [replace(recipe, name=f"{recipe.name}_flips", caption_flips="both") for recipe in tried[1:]]
    for recipe in (SELECTED, *tried, *mirrored):
        yield Method(f"unreviewed, {recipe.name}", recipe)
        yield replace(REVIEWED, name=f"200 reviewed, {recipe.name}", recipe=recipe, pairs=Pairs(None, 200))


TRIED = {"contrasted": contrasted, "continued": continued, "recipes": recipes, "mirrored": mirrored, "rates": rates}


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing, print the lines."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_efficiency.tune", description=__doc__)
    parser.add_argument("--kvasir", metavar="FOLDER", default=os.environ.get("LEAML_KVASIR") or None)
    parser.add_argument("--work", type=Path, metavar="FOLDER", required=True, help="keeps features and generators")
    parser.add_argument("--log", type=Path, default=TUNING, metavar="FILE", help="the log to add to")
    parser.add_argument("--times", type=int, default=1, metavar="N", help="N times the app's updates")
    parser.add_argument("--samples", type=int, default=Budget().samples, metavar="N", help="texts of each image")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="of those that are tried only these [all]")
    parser.add_argument("--draws", type=int, nargs="+", default=RECIPE_DRAWS, metavar="DRAW", help="of the recipes")
    parser.add_argument("--only", choices=TRIED, nargs="+", default=list(TRIED), help="what is tried [everything]")
    arguments = parser.parse_args(argv)
    budget = replace(longer(Budget(), arguments.times), samples=arguments.samples)
    base = load(BUNDLED_MODEL).resident.base_hash[:12]
    for collection in (blood_smears(), *([kvasir(Path(arguments.kvasir))] if arguments.kvasir else [])):
        asked = [(draw, name) for name in arguments.only for draw in ((DRAW,) if name == "rates" else arguments.draws)]
        for draw, name in asked:
            known = {run.key for run in log.read(arguments.log)}
            study = Study(collection.inner(), SHARE, draw, 0, budget, arguments.work / base)
            tried = (one for one in TRIED[name]() if not arguments.methods or one.name in arguments.methods)
            left = [method for method in tried if study.key(method, base) not in known]
            run_methods(study, left, arguments.log, base)
    return 0


if __name__ == "__main__":
    sys.exit(main())
