"""Can the sample's question types be learnt at all? `python -m benchmarks.sample_types --json FILE`.

For each type: the accuracy of a small head on the frozen tower's features, trained on all reference answers
of four fifths of the pool's near-duplicate groups and tried on the rest, five times; beside it the share of
the pool's most common answer. With `--source DIR` (the copy of BCCD) rejected candidates are measured too.
The test side is never read. Not covered: few labels, and the decoder; the app measures those.
"""

import argparse
import json
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from assets.pretraining.model.tower import load_tower, preprocess
from data.samples.build_blood_smears import (
    TARGET,
    UNBOXED_WHITE_CELL,
    Box,
    Field,
    edge_gap,
    off_centre,
    read_field,
)

SPLITS, HELD_OUT = 5, 0.2
COMPONENTS, HIDDEN, EPOCHS, BATCH, RATE = 128, 24, 60, 32, 3e-3
LEAST_LIFT = 0.10

Measure = Callable[[Field], float]
Answers = dict[str, str]
"""Answer by file name."""


class Head(nn.Module):
    """A readout of `[B, T, C]` tokens: one linear path that keeps places and one with attention pooling."""

    def __init__(self, tokens: int, options: int) -> None:
        super().__init__()
        self.inner = nn.Linear(COMPONENTS, HIDDEN)
        self.attention = nn.Linear(HIDDEN, 4)
        self.placed = nn.Linear(HIDDEN * tokens, options)
        self.pooled = nn.Linear(HIDDEN * 4, options)
        self.dropout = nn.Dropout(0.3)
        nn.init.zeros_(self.placed.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits `[B, options]`."""
        inner = functional.gelu(self.inner(self.dropout(tokens)))
        pooled = (self.attention(inner).softmax(dim=1).transpose(1, 2) @ inner).flatten(1)
        logits: Tensor = self.placed(self.dropout(inner.flatten(1))) + self.pooled(pooled)
        return logits


def red_width(field: Field) -> float:
    """Return the median longer side of the boxed red cells in pixels."""
    return float(np.median([max(b[2] - b[0], b[3] - b[1]) for b in field.red]))


def aspect(field: Field) -> float:
    """Return longer by shorter side of the largest white cell's box."""
    left, top, right, bottom = field.largest
    return field.side / min(right - left, bottom - top)


def overlapping_share(field: Field) -> float:
    """Return the share of red-cell boxes that overlap another by more than 8 pixels both ways."""
    return float(np.mean([any(_overlap(a, b) for b in field.red if b is not a) for a in field.red]))


def _overlap(a: Box, b: Box) -> bool:
    return min(a[2], b[2]) - max(a[0], b[0]) > 8 and min(a[3], b[3]) - max(a[1], b[1]) > 8


def stained_share(field: Field) -> float:
    """Return the share of the picture that red cells cover."""
    return float(field.red_mask.mean())


def background_tint(field: Field) -> float:
    """Return the median of red minus blue over the brighter half of the picture."""
    pixels = np.asarray(field.image).astype(int).reshape(-1, 3)
    bright = pixels[pixels.sum(axis=1) >= np.median(pixels.sum(axis=1))]
    return float(np.median(bright[:, 0] - bright[:, 2]))


def sharpness(field: Field) -> float:
    """Return the 97th percentile of the grey gradient."""
    grey = np.asarray(field.image.convert("L"), dtype=float)
    return float(np.percentile(np.hypot(*np.gradient(grey)), 97))


def quadrant(field: Field) -> float:
    """Return 0 to 3 for the quadrant of the largest white cell's centre."""
    return float(field.centre[0] > 0.5) + 2 * float(field.centre[1] > 0.5)


def is_whole(field: Field) -> bool:
    """Return whether no edge cuts the largest white cell."""
    return edge_gap(field) >= 4


def has_red_boxes(field: Field) -> bool:
    """Return whether more than five red cells are boxed: fewer means that the boxes are missing."""
    return len(field.red) > 5


def always(field: Field) -> bool:
    """Return True."""
    return True


REJECTED: dict[str, tuple[Measure, tuple[float, ...], Callable[[Field], bool]]] = {
    "quadrant": (quadrant, (0.5, 1.5, 2.5), always),
    "white_cells": (lambda field: len(field.white), (1.5,), always),
    "white_cell_round": (aspect, (1.1,), is_whole),
    "white_by_red_width": (lambda field: field.side / red_width(field), (1.75, 2.05), has_red_boxes),
    "off_centre_in_three": (off_centre, (116, 172), always),
    "platelets": (lambda field: len(field.platelets), (0.5, 1.5), always),
    "any_platelet": (lambda field: len(field.platelets), (0.5,), always),
    "red_cells": (lambda field: len(field.red), (11, 13), has_red_boxes),
    "red_cell_width": (red_width, (106, 111), has_red_boxes),
    "red_cells_overlap": (overlapping_share, (0.58,), has_red_boxes),
    "red_cell_cover": (stained_share, (0.355, 0.385), always),
    "background_tint": (background_tint, (3, 5), always),
    "sharpness": (sharpness, (5.7, 6.5), always),
}
"""Candidates that are not in the sample: measure, cuts and the fields to which the question applies."""


def read_lines(name: str) -> Iterator[dict[str, str]]:
    """Yield the rows of one of the sample's JSONL files."""
    for line in (TARGET / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def kept_answers() -> dict[str, Answers]:
    """Return the reference answers by question type and file."""
    answers: dict[str, Answers] = {}
    for row in read_lines("reference"):
        answers.setdefault(row["question_type"], {})[row["file"]] = row["answer"]
    return answers


def rejected_answers(source: Path, files: list[str]) -> dict[str, Answers]:
    """Return the answers (the index of the option) to the rejected candidates."""
    boxed = [file for file in files if Path(file).stem not in UNBOXED_WHITE_CELL]
    fields = {file: read_field(source, Path(file).stem) for file in boxed}
    answers: dict[str, Answers] = {}
    for name, (measure, cuts, applies) in REJECTED.items():
        asked = {file: field for file, field in fields.items() if applies(field)}
        answers[name] = {file: str(bisect_right(cuts, measure(field))) for file, field in asked.items()}
    return answers


def tower_features(files: list[str], size: int) -> NDArray[np.float32]:
    """Return the frozen tower's tokens `[N, T, 1280]` for pictures of `size` pixels square."""
    tower, parts = load_tower(), []
    with torch.inference_mode():
        for start in range(0, len(files), 16):
            paths = [TARGET / "images" / file for file in files[start : start + 16]]
            images = [Image.open(path).convert("RGB") for path in paths]
            grid = tower(preprocess(images, size)).last_hidden_state
            parts.append(grid.flatten(2).transpose(1, 2).numpy())
    return np.concatenate(parts)


def held_out(groups: list[str], seed: int) -> NDArray[np.bool_]:
    """Return which images are held out: whole near-duplicate groups."""
    unique = np.random.default_rng(seed).permutation(np.unique(groups))
    return np.isin(groups, unique[: int(HELD_OUT * len(unique))])


def reduced(features: NDArray[np.float32], train: NDArray[np.bool_]) -> Tensor:
    """Return the features' principal components `[N, T, 128]`, fitted to the training images' tokens."""
    tokens = features[train].reshape(-1, features.shape[2])
    mean = tokens.mean(axis=0)
    values, vectors = np.linalg.eigh((tokens - mean).T @ (tokens - mean) / len(tokens))
    scaled = (features - mean) @ vectors[:, ::-1][:, :COMPONENTS] * (3 / math.sqrt(values[-1]))
    return torch.tensor(scaled, dtype=torch.float32)


def accuracy(features: Tensor, labels: Tensor, train: Tensor, test: Tensor, seed: int) -> float:
    """Return the accuracy on the rows `test` of a head trained on the rows `train`."""
    torch.manual_seed(seed)
    head = Head(features.shape[1], int(labels.max()) + 1)
    steps = EPOCHS * math.ceil(len(train) / BATCH)
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(EPOCHS):
        for rows in train[torch.randperm(len(train))].split(BATCH):
            loss = functional.cross_entropy(head(features[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    head.eval()
    with torch.inference_mode():
        return float((head(features[test]).argmax(dim=1) == labels[test]).float().mean())


def measure_types(answers: dict[str, Answers], size: int) -> list[dict[str, object]]:
    """Return for each type the majority share and the supervised accuracy (mean and sd of the splits)."""
    pool = [row for row in read_lines("images") if row["split"] == "pool"]
    files, groups = [row["file"] for row in pool], [row["group"] for row in pool]
    features = tower_features(files, size)
    scores: dict[str, list[float]] = {name: [] for name in answers}
    for seed in range(SPLITS):
        out = held_out(groups, seed)
        tokens = reduced(features, ~out)
        for name, given in answers.items():
            options = sorted({given[file] for file in files if file in given})
            labels = torch.tensor([options.index(given[file]) if file in given else -1 for file in files])
            sides = [np.flatnonzero(side & (labels.numpy() >= 0)) for side in (~out, out)]
            train, test = (torch.from_numpy(rows) for rows in sides)
            scores[name].append(accuracy(tokens, labels, train, test, seed))
    asked = {name: [given[file] for file in files if file in given] for name, given in answers.items()}
    return [result_row(name, asked[name], scores[name], size) for name in answers]


def result_row(name: str, pool_answers: list[str], scores: list[float], size: int) -> dict[str, object]:
    """Return one row of the result."""
    majority = Counter(pool_answers).most_common(1)[0][1] / len(pool_answers)
    mean, sd = float(np.mean(scores)), float(np.std(scores, ddof=1))
    return {
        "question_type": name,
        "size_px": size,
        "images": len(pool_answers),
        "majority": round(majority, 3),
        "supervised": round(mean, 3),
        "sd": round(sd, 3),
        "learnable": mean - majority >= LEAST_LIFT,
        "in_sample": name not in REJECTED,
    }


def main() -> None:
    """Measure, print and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, required=True, help="where the result is written")
    parser.add_argument("--source", type=Path, help="the copy of BCCD: measures the rejected candidates too")
    parser.add_argument("--size", type=int, nargs="+", default=[256], help="pixels square; one or several")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    answers = kept_answers()
    if arguments.source:
        files = [row["file"] for row in read_lines("images") if row["split"] == "pool"]
        answers |= rejected_answers(arguments.source, files)
    rows = [row for size in arguments.size for row in measure_types(answers, size)]
    arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        print(*row.values(), sep="\t")


if __name__ == "__main__":
    main()
