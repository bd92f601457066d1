"""What images and captions can tell at all: `python -m benchmarks.label_efficiency.sources --work FOLDER --json FILE`.

Pseudo pairs can only be better than the labels-only model where the captions know something about the answers. So
linear probes read the frozen tower's features, the captions' words, or both, and learn from as many labels as the
methods have, or from all; they are asked about the other images of the pool. Macro accuracy over question types, mean
and standard deviation over draws. The test side is never read, and no decoder takes part.
"""

import argparse
import json
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray

from benchmarks.label_efficiency.collection import Collection, blood_smears, kvasir
from benchmarks.label_efficiency.draws import draw_labels, label_count
from benchmarks.mini import probe
from benchmarks.mini.splits import hold_out
from benchmarks.record import machine, versions
from leaml import stats
from leaml.config import BUNDLED_MODEL
from leaml.models.backbone import load
from leaml.models.features import ImageFeatures
from leaml.records import AnsweredQuestion, ImageId

SHARES, DRAWS = (0.02, 0.05), 5
HELD_OUT = 0.3
"""Share of the pool's groups that is asked about where all labels are learnt from."""
LEAST_CAPTIONS = 4
"""A word or two neighbouring words count from so many captions."""

Floats = NDArray[np.float64]


def word_kernel(captions: Mapping[ImageId, str]) -> Floats:
    """Return the cosines `[N, N]` of captions, as rare words and neighbouring words weigh more (tf-idf)."""
    found = [_terms(text) for text in captions.values()]
    known = Counter(term for terms in found for term in terms)
    kept = sorted(term for term, count in known.items() if LEAST_CAPTIONS <= count < len(found))
    weight = np.array([np.log(len(found) / known[term]) for term in kept])
    rows = np.array([[term in terms for term in kept] for terms in found]) * weight
    rows = rows - rows.mean(0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9
    products: Floats = rows @ rows.T
    return products


def image_kernel(images: Sequence[ImageId], features: ImageFeatures) -> Floats:
    """Return the inner products `[N, N]` of the frozen tower's features of images, scaled to a mean diagonal of 1."""
    tokens = np.stack([image.features.numpy() for (image,) in features.batch(images)])
    products = probe.kernel(tokens)
    return products / products.diagonal().mean()


def accuracy(products: Floats, rows: Mapping[ImageId, int], learnt: Sequence[AnsweredQuestion],
             asked: Sequence[AnsweredQuestion]) -> float:  # fmt: skip
    """Return the macro accuracy of a probe that learns from some questions and is asked others."""
    of_kind: dict[str, list[AnsweredQuestion]] = defaultdict(list)
    for question in asked:
        of_kind[question.type_id or ""].append(question)
    shares = []
    for kind, questions in of_kind.items():
        known = {pair.image_id: pair.answer for pair in learnt if (pair.type_id or "") == kind}
        answers = [known.get(image, "") for image in rows]
        train, test = [rows[image] for image in known], [rows[question.image_id] for question in questions]
        guesses = probe.predict(products, answers, train, test)
        shares.append(fmean(guess == question.answer for guess, question in zip(guesses, questions, strict=True)))
    return fmean(shares)


def divisions(home: Collection, share: float, draw: int) -> tuple[list[AnsweredQuestion], list[AnsweredQuestion]]:
    """Return the labels of a draw, and the questions about images without a label; of share 1, two parts of the pool.

    Only images with a caption take part, and only types of which at least two labels differ.
    """
    told = {caption.image_id for caption in home.captions}
    pool = [pair for pair in home.pool if pair.image_id in told]
    if share == 1:
        out = hold_out({pair.image_id: home.groups[pair.image_id] for pair in pool}, HELD_OUT, seed=draw)
        learnt = [pair for pair in pool if pair.image_id not in out]
    else:
        drawn = draw_labels(home.pool, label_count(home.pool, share), seed=draw)
        learnt = [pair for pair in drawn if pair.image_id in told]
        out = told - {pair.image_id for pair in learnt}
    answers: dict[str | None, set[str]] = defaultdict(set)
    for pair in learnt:
        answers[pair.type_id].add(pair.answer)
    return learnt, [pair for pair in pool if pair.image_id in out and len(answers[pair.type_id]) > 1]


def majority(learnt: Sequence[AnsweredQuestion], asked: Sequence[AnsweredQuestion]) -> float:
    """Return the macro accuracy of each type's most frequent label."""
    return stats.macro_accuracy(stats.majority_predictions(learnt, asked)).value


def measure(home: Collection, work: Path) -> Iterator[dict[str, object]]:
    """Yield one line for each share of labels."""
    captions = {caption.image_id: caption.text for caption in home.captions}
    rows = {image: row for row, image in enumerate(captions)}
    features = ImageFeatures(load(BUNDLED_MODEL), work / "features")
    features.add({image.id: home.folder / image.path for image in home.images if image.id in rows})
    words, looks = word_kernel(captions), image_kernel(list(rows), features)
    sources = {"captions": words, "images": looks, "both": words / words.diagonal().mean() + looks}
    for share in (*SHARES, 1.0):
        found: dict[str, list[float]] = defaultdict(list)
        for draw in range(DRAWS):
            learnt, asked = divisions(home, share, draw)
            found["majority"].append(majority(learnt, asked))
            for name, products in sources.items():
                found[name].append(accuracy(products, rows, learnt, asked))
        figures = {name: [round(fmean(values), 3), round(stdev(values), 3)] for name, values in found.items()}
        line = {"collection": home.name, "share": share, **figures}
        print(json.dumps(line), flush=True)
        yield line


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_efficiency.sources", description=__doc__)
    parser.add_argument("--kvasir", metavar="FOLDER", default=os.environ.get("LEAML_KVASIR") or None)
    parser.add_argument("--work", type=Path, metavar="FOLDER", required=True, help="keeps features")
    parser.add_argument("--json", type=Path, metavar="FILE", required=True)
    arguments = parser.parse_args(argv)
    collections = [blood_smears(), *([kvasir(Path(arguments.kvasir))] if arguments.kvasir else [])]
    lines = [line for home in collections for line in measure(home, arguments.work)]
    found = {"machine": machine(), "versions": versions(), "lines": lines}
    arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _terms(text: str) -> set[str]:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {*words, *(f"{first} {second}" for first, second in pairwise(words))}


if __name__ == "__main__":
    sys.exit(main())
