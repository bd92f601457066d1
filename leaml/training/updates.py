"""Which weights of the decoder move in a training run: all, or selected neurons (those of an adapter: `adapters`).

Every kind of update is trained by the same loop on the same data, and ends as a `Delta` of the same base model.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leaml.config import SelectionConfig, TrainConfig
from leaml.errors import TrainingError
from leaml.models.backbone import Backbone
from leaml.models.features import ImageFeatures
from leaml.models.precision import autocast
from leaml.selective import Delta, Entries, SelectedAdamW, Selection, score_weights, select
from leaml.training.objectives import Sample, collate, sequence_losses
from leaml.training.train import DenseAdamW, Optimizer

SCORE_BATCH = 16
"""Samples that are scored at once, at most."""


@dataclass(frozen=True)
class Update:
    """The weights that a training run moves.

    Attributes:
        optimizer: Owns them.
        finish: Folds an adapter into the weights, if there is one, and returns the entries that may have changed.
    """

    optimizer: Optimizer
    finish: Callable[[], Mapping[str, Entries]]

    def save(self, backbone: Backbone, path: Path, *, model: str, **about: Any) -> None:
        """Write what training changed as a delta of the pretrained model, which it names.

        An adapter is folded into the weights first: nothing can be trained by this update afterwards.
        """
        trained = self.optimizer.selected
        delta = backbone.resident.capture(self.finish(), model=model, trained_entries=trained, **about)
        delta.save(path)


def full_update(backbone: Backbone, *, weight_decay: float) -> Update:
    """Return an update of every weight of the decoder, its embeddings and norms included."""
    weights = backbone.decoder_weights()
    everything = whole(weights)
    if all(weight.dtype == torch.float32 for weight in weights.values()):
        return Update(DenseAdamW(weights, weight_decay=weight_decay), lambda: everything)
    # In 16 bits small steps would round away: a float32 copy of each weight is what moves.
    return Update(SelectedAdamW(weights, everything, weight_decay=weight_decay), lambda: everything)


def selective_update(backbone: Backbone, selection: Selection, *, weight_decay: float) -> Update:
    """Return an update of the selected entries alone.

    Raises:
        TrainingError: If the entries were selected on other weights.
    """
    if selection.base_hash != backbone.resident.base_hash:
        raise TrainingError("The neurons were selected on other weights than the model has now. Start a new run.")
    parameters = dict(backbone.model.named_parameters())
    weights = {name: parameters[name] for name in selection.entries}
    return Update(SelectedAdamW(weights, selection.entries, weight_decay=weight_decay), lambda: selection.entries)


def started_from(start: Delta | None, backbone: Backbone, update: Callable[[], Update]) -> Update:
    """Give the model a delta's values, and return an update that goes on from these.

    Args:
        start: Of the same pretrained model. All of its entries are saved in the result, even those that this training
            does not move. None goes on from the pretrained weights.
        backbone: The model.
        update: Makes the update, of the model with those values.

    Raises:
        ModelError: If the delta belongs to another pretrained model.
    """
    if start is None:
        return update()
    backbone.resident.apply(start)
    weights = dict(backbone.model.named_parameters())
    started = whole({name: weights[name] for name in start.entries})
    own = update()  # an adapter changes the parameters' names
    return replace(own, finish=lambda: dict(own.finish()) | started)


def scored_at_once(train: TrainConfig) -> int:
    """Return how many samples are scored at once: no more than a training like this has in memory, if that is split."""
    return SCORE_BATCH if train.accumulation == 1 else math.ceil(train.batch_size / train.accumulation)


def choose_entries(
    backbone: Backbone,
    features: ImageFeatures,
    samples: Sequence[Sample],
    config: SelectionConfig,
    *,
    weights: Mapping[str, nn.Parameter],
    data_hash: str,
    at_once: int = SCORE_BATCH,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Selection:
    """Return the decoder's entries that matter most for these samples (LEAML, Eqs. 5 and 6).

    Args:
        backbone: The pretrained model.
        features: Of the samples' images.
        samples: Every labelled sample.
        config: How to score, and how many entries to keep.
        weights: The linear weights to choose from, by their name in the model.
        data_hash: Of the labels, kept with the selection.
        at_once: Samples whose activations are in memory together; one where a rule wants samples one by one.
        tell: Hears how many samples of how many are done.
    """
    size = at_once if config.rule == "mean_gradient" else 1

    def batches() -> Iterator[tuple[Sequence[Sample], int]]:
        for start in range(0, len(samples), size):
            part = samples[start : start + size]
            yield part, len(part)
            tell(start + len(part), len(samples))

    def loss(part: Sequence[Sample]) -> Tensor:
        with autocast(backbone.device):
            return sequence_losses(backbone, collate(backbone, features, part))[0].mean()

    memory = None if config.score_memory_mb is None else config.score_memory_mb * 2**20
    groups = score_weights(weights, batches, loss, rule=config.rule, memory_bytes=memory)
    return select(
        groups,
        config.row_budget,
        base_hash=backbone.resident.base_hash,
        data_hash=data_hash,
        config=config.to_json(),
    )


def whole(weights: Mapping[str, nn.Parameter]) -> dict[str, Entries]:
    """Return all entries of these weights."""
    return {name: Entries(tuple(weight.shape)) for name, weight in weights.items()}
