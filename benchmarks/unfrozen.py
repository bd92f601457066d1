"""Is it the frozen tower that limits? `python -m benchmarks.unfrozen [--kvasir FOLDER] --json FILE`.

The tower's last blocks are trained with a small head on all labels of a part of the pool, on the sample and on Kvasir
polyps, and asked about the rest of it: macro accuracy over question types of the head, and of a linear probe of the
features that came of it, mean over divisions by image group. The same head on the frozen tower stands beside it. The
test sides are never read, and no decoder takes part.
"""

import json
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import EfficientNetModel

from assets.pretraining.model.tower import folded, load_tower, preprocess
from benchmarks.mini import probe
from benchmarks.mini.photos import Photos
from benchmarks.sight import HELD_OUT, macro_accuracy, write_lines
from leaml.records import ImageId

SIZE_PX, SPLITS = 256, 3
FIRST_BLOCKS = {"nothing": 16, "from stride 32": 11, "from stride 16": 5}
"""The first block that is trained, by number; 16 is behind the last one."""
EPOCHS, BATCH = 20, 16
HEAD_RATE, TOWER_RATE = 1e-3, 1e-4
CHANNELS = 64


class Reader(nn.Module):
    """The rest of the tower behind what was computed beforehand, and a head that sees where things are.

    It returns the tower's last features `[B, C, H, W]` and scores `[B, answers]`, those of all types side by side.
    """

    def __init__(self, tower: EfficientNetModel, first: int, cells: int, answers: int) -> None:
        """Take the tower's blocks from the first trained one on."""
        super().__init__()
        self.blocks = nn.Sequential(*tower.encoder.blocks[first:])
        self.top = nn.Sequential(tower.encoder.top_conv, tower.encoder.top_activation)
        self.head = nn.Sequential(
            nn.Conv2d(1280, CHANNELS, 1), nn.GELU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(CHANNELS * cells, answers)
        )

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and scores."""
        features = self.top(self.blocks(states))
        return features, self.head(features)


def before(tower: EfficientNetModel, first: int, photos: Photos) -> Tensor:
    """Return what the first trained block reads, of every picture: `[N, C, H, W]`."""
    rows = []
    with torch.inference_mode():
        for path in photos.images.values():
            states = tower.embeddings(preprocess([Image.open(path)], SIZE_PX))
            for block in tower.encoder.blocks[:first]:
                states = block(states)
            rows.append(states)
    return torch.cat(rows).clone()


def trained(photos: Photos, unfrozen: str, seed: int) -> tuple[Reader, Tensor, list[tuple[str, list[str]]]]:
    """Return the reader after its training on one division, what it reads, and its answers by type."""
    torch.manual_seed(seed)
    tower, first = folded(load_tower()), FIRST_BLOCKS[unfrozen]
    states, held = before(tower, first, photos), photos.held_out(HELD_OUT, seed=seed)
    kinds = [
        (kind, sorted({q.answer for q in photos.questions if q.type_id == kind}))
        for kind in sorted({q.type_id or "" for q in photos.questions})
    ]
    reader = Reader(tower, first, (SIZE_PX // 32) ** 2, sum(len(answers) for _, answers in kinds))
    for part in (reader.blocks, reader.top):
        part.requires_grad_(first < len(tower.encoder.blocks))
    groups = [
        {"params": list(reader.head.parameters()), "lr": HEAD_RATE},
        {"params": [p for p in [*reader.blocks.parameters(), *reader.top.parameters()] if p.requires_grad],
         "lr": TOWER_RATE},
    ]  # fmt: skip
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], weight_decay=0.01)
    wanted = targets(photos, kinds)
    train = torch.tensor([row for row, image in enumerate(photos.images) if image not in held])
    for _ in range(EPOCHS):
        for rows in train[torch.randperm(len(train))].split(BATCH):
            loss(reader.train()(states[rows])[1], wanted[rows], kinds).backward()
            optimizer.step()
            optimizer.zero_grad()
    return reader.eval(), states, kinds


def targets(photos: Photos, kinds: Sequence[tuple[str, list[str]]]) -> Tensor:
    """Return the number of each image's answer by type, -100 where it has none: `[N, types]`."""
    rows = {image: row for row, image in enumerate(photos.images)}
    found = torch.full((len(rows), len(kinds)), -100)
    place = {kind: (column, answers) for column, (kind, answers) in enumerate(kinds)}
    for question in photos.questions:
        column, answers = place[question.type_id or ""]
        found[rows[question.image_id], column] = answers.index(question.answer)
    return found


def loss(scores: Tensor, wanted: Tensor, kinds: Sequence[tuple[str, list[str]]]) -> Tensor:
    """Return the mean cross-entropy over the answers that are known."""
    parts = scores.split([len(answers) for _, answers in kinds], dim=1)
    losses = [
        nn.functional.cross_entropy(part, wanted[:, column], reduction="sum") for column, part in enumerate(parts)
    ]
    return torch.stack(losses).sum() / (wanted >= 0).sum()


def head_accuracy(photos: Photos, scores: Tensor, kinds: Sequence[tuple[str, list[str]]], held: set[ImageId]) -> float:
    """Return the head's macro accuracy on the held-out images."""
    wanted, out = targets(photos, kinds), torch.tensor([image in held for image in photos.images])
    shares = []
    for column, part in enumerate(scores.split([len(answers) for _, answers in kinds], dim=1)):
        asked = out & (wanted[:, column] >= 0)
        shares.append(float((part[asked].argmax(1) == wanted[asked, column]).float().mean()))
    return float(np.mean(shares))


def measure(photos: Photos) -> Iterator[dict[str, object]]:
    """Yield one line for each part of the tower that is trained."""
    for unfrozen in FIRST_BLOCKS:
        heads, probes = [], []
        for seed in range(SPLITS):
            reader, states, kinds = trained(photos, unfrozen, seed)
            with torch.inference_mode():
                pieces = [reader(part) for part in states.split(BATCH)]
            scores = torch.cat([piece[1] for piece in pieces])
            tokens = torch.cat([piece[0] for piece in pieces]).flatten(2).transpose(1, 2)
            heads.append(head_accuracy(photos, scores, kinds, photos.held_out(HELD_OUT, seed=seed)))
            probes.append(float(np.mean(list(macro_accuracy(photos, probe.kernel(tokens.numpy()), seed).values()))))
        line = {"photos": photos.name, "unfrozen": unfrozen}
        line |= {name: [round(float(np.mean(found)), 3), round(float(np.std(found, ddof=1)), 3)]
                 for name, found in (("head", heads), ("probe", probes))}  # fmt: skip
        print(json.dumps(line), flush=True)
        yield line


def main() -> None:
    """Measure, and write what was found."""
    write_lines(__doc__, measure)


if __name__ == "__main__":
    main()
