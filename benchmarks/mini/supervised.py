"""What full supervision reaches: zero-shot, fine-tuned with the app's training code, and linear probes.

Trained on the answers of the pool without a validation part, near-duplicates on one side; the test side is never read.
An answer that names several things is in no option list: it is not trained on, and counts as wrong in the macro.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from benchmarks.mini import probe
from benchmarks.mini.photos import Photos
from benchmarks.mini.place import Place
from benchmarks.mini.rows import Row
from benchmarks.mini.timed import Lesson, train_for
from leaml import stats
from leaml.evaluate import predict
from leaml.models.features import ImageFeatures
from leaml.prompts import marked, match_option
from leaml.records import AnsweredQuestion, ImageId, Prediction
from leaml.training.objectives import answer_sample

PART = "supervised"
VALIDATION, SPLIT_SEED = 0.25, 4


def measure(place: Place) -> list[Row]:
    """Return accuracies on the validation part of each collection."""
    rows: list[Row] = []
    for photos in place.collections():
        rows += _collection(place, photos)
    if place.kvasir is None:
        print("supervised: Kvasir polyps skipped; give --kvasir FOLDER or set LEAML_KVASIR.", flush=True)
    return rows


def parts(photos: Photos) -> tuple[list[AnsweredQuestion], list[AnsweredQuestion]]:
    """Return the questions to train on and those of the validation part; no group has both."""
    out = photos.held_out(VALIDATION, seed=SPLIT_SEED)
    train = [q for q in photos.questions if q.image_id not in out and match_option(q.answer, q.options)]
    return train, [q for q in photos.questions if q.image_id in out]


def _collection(place: Place, photos: Photos) -> list[Row]:
    backbone = place.backbone()
    train, held = parts(photos)
    features = place.photo_features(backbone, {q.image_id: photos.images[q.image_id] for q in [*train, *held]})
    common = stats.majority_predictions(train, held)
    zero = predict(backbone, features, held, lambda done, total: None)
    rows = accuracy_rows(f"{photos.name}, zero-shot", zero, common, photos.groups, by_type=False)
    for name, found in probes(place, features, train, held).items():
        rows += accuracy_rows(f"{photos.name}, linear probe of the {name}", found, common, photos.groups, by_type=True)
    samples = [answer_sample(question) for question in train]
    trained = train_for(backbone, features, samples, seconds=place.amounts.finetune_s, lesson=Lesson(photos.flips))
    tuned = predict(backbone, features, held, lambda done, total: None)
    name = f"{photos.name}, fine-tuned"
    rows += accuracy_rows(name, tuned, common, photos.groups, by_type=True)
    matched = [bool(match_option(row.reference, row.options)) for row in tuned]
    if not all(matched):
        single = [row for row, fits in zip(tuned, matched, strict=True) if fits]
        guess = [row for row, fits in zip(common, matched, strict=True) if fits]
        rows += accuracy_rows(f"{name}, one answer", single, guess, photos.groups, by_type=False)
    beside = {"seconds": trained.seconds, "encoding before": trained.encoding}
    rows.append(Row(PART, name, "training", "steps", trained.steps, len(train), beside=beside))
    return rows


def accuracy_rows(
    subject: str,
    found: Sequence[Prediction],
    common: Sequence[Prediction],
    groups: Mapping[ImageId, str],
    *,
    by_type: bool,
) -> list[Row]:
    """Return the macro accuracy, each type's accuracy, and the least lift over the majority answer, in points."""
    majority = {name: row.value for name, row in stats.accuracy_by_type(common).items()}
    types = stats.accuracy_by_type(found, groups)
    macro = stats.macro_accuracy(found, groups)
    beside = {"majority": float(np.mean(list(majority.values())))}
    rows = [Row(PART, subject, "macro accuracy", "share", macro.value, len(found), macro.low, macro.high, beside)]
    if not by_type:
        return rows
    for name, row in types.items():
        asked = sum(prediction.type_id == name for prediction in found)
        beside = {"majority": majority[name]}
        rows.append(Row(PART, subject, f"accuracy: {name}", "share", row.value, asked, row.low, row.high, beside))
    least = min(types, key=lambda name: types[name].value - majority[name])
    lift = 100 * (types[least].value - majority[least])
    return [*rows, Row(PART, subject, "least lift over the majority", "points", lift, len(types))]


def probes(
    place: Place, features: ImageFeatures, train: Sequence[AnsweredQuestion], held: Sequence[AnsweredQuestion]
) -> dict[str, list[Prediction]]:
    """Return the answers of linear probes of the projected tokens and of the tower's."""
    images = list(dict.fromkeys(q.image_id for q in [*train, *held]))
    seen = torch.stack([image.features for (image,) in features.batch(images)])
    products = {"projector": probe.kernel(seen.numpy())}
    if all(image in place.towers for image in images):
        products["tower"] = probe.kernel(torch.stack([place.towers[i] for i in images]).float().numpy())
    at = {image: row for row, image in enumerate(images)}
    kinds: dict[str, tuple[list[AnsweredQuestion], list[AnsweredQuestion]]] = defaultdict(lambda: ([], []))
    for side, questions in enumerate((train, held)):
        for question in questions:
            kinds[question.type_id or "free"][side].append(question)
    found: dict[str, list[Prediction]] = {name: [] for name in products}
    for name, matrix in products.items():
        for known, asked in kinds.values():
            if not known or not asked:
                continue
            answers = [""] * len(images)
            for question in known:
                answers[at[question.image_id]] = question.answer
            guessed = probe.predict(matrix, answers, [at[q.image_id] for q in known], [at[q.image_id] for q in asked])
            found[name] += [marked(q, guess) for q, guess in zip(asked, guessed, strict=True)]
    return found
