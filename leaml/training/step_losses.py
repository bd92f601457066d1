"""The losses of one step of a training, as `leaml.training.train.train` asks for them: a function of the step alone.

A batch is computed in shares, at once, and each share in parts, one after the other.
"""

from collections.abc import Iterator, Sequence

import torch

from leaml.config import GeneratorConfig, TrainConfig
from leaml.models.backbone import Backbone
from leaml.models.features import ImageFeatures
from leaml.training.mixture import Mixture, Weighted
from leaml.training.objectives import (
    Sample,
    beside_others,
    collate,
    cycle_indices,
    flip_some,
    per_token,
    sequence_losses,
    split,
    told_apart,
)
from leaml.training.passes import generator_sides
from leaml.training.reading import some_blank
from leaml.training.train import Loss, shares_of


def generator_losses(
    backbone: Backbone,
    features: ImageFeatures,
    questions: Sequence[Sample],
    captions: Sequence[Sample],
    config: GeneratorConfig,
    step: int,
) -> list[Iterator[Loss]]:
    """Return L_G = L_QA + lambda L_C (Eq. 4) of one step's batch, half of it captions where there are any."""
    train = config.train
    own, other = generator_sides(train, questions=len(questions), captions=len(captions))
    asked = [questions[i] for i in cycle_indices(own.count, own.a_step, seed=train.seed, step=step)]
    if config.generator_reads:
        asked = some_blank(asked, seed=train.seed, step=step)
    told: list[Sample] = []
    if captions:
        chosen = cycle_indices(other.count, other.a_step, seed=train.seed + 1, step=step)
        told = flip_some([captions[i] for i in chosen], train.flips, seed=train.seed, step=step)
    mistold = beside_others(told) if config.contrast else []
    features.see(sample.image_id for sample in [*asked, *told])

    def losses(asking: Sequence[Sample], telling: Sequence[Sample], mistelling: Sequence[Sample]) -> Iterator[Loss]:
        parts = zip(*(split(samples, train.accumulation) for samples in (asking, telling, mistelling)), strict=True)
        for ask, tell, mistell in parts:  # apart, since a question that is padded to a caption's length takes its time
            if ask:
                lost, tokens = sequence_losses(backbone, collate(backbone, features, ask))
                yield lost.sum() / len(asked), {"question_loss": per_token(lost, tokens)}
            if tell:
                missed, figures = told_apart(backbone, features, tell, mistell, contrast=config.contrast)
                yield config.caption_weight * missed.sum() / len(told), figures

    shares = shares_of(train, backbone.device)
    found = [losses(*share) for share in zip(*(split(s, shares) for s in (asked, told, mistold)), strict=True)]
    return found if shares == 1 else [_as_one(parts) for parts in found]


def answer_losses(
    backbone: Backbone, features: ImageFeatures, mixture: Mixture, config: TrainConfig, step: int
) -> list[Iterator[Loss]]:
    """Return L_VQA of one step's batch: the weighted mean over samples of the answers' negative log-likelihood (Eq. 3).

    Weights are not normalised: a batch of doubtful pairs moves less than one of labels.
    """
    chosen = mixture.batch(config, step)
    shown = flip_some([sample for sample, _ in chosen], config.flips, seed=config.seed, step=step)
    features.see(sample.image_id for sample in shown)
    weighted = list(zip(shown, (weight for _, weight in chosen), strict=True))

    def losses(share: Sequence[Weighted]) -> Iterator[Loss]:
        for part in split(share, config.accumulation):
            if part:
                lost, tokens = sequence_losses(backbone, collate(backbone, features, [sample for sample, _ in part]))
                weights = lost.new_tensor([weight for _, weight in part])
                yield (lost * weights).sum() / len(chosen), {"answer_loss": per_token(lost, tokens)}

    return [losses(share) for share in split(weighted, shares_of(config, backbone.device))]


def _as_one(parts: Iterator[Loss]) -> Iterator[Loss]:
    """Yield the parts of a share as one: two shares then add two gradients up, whose sum is the same in either order.

    With four of them, a training could not be repeated to the bit.
    """
    found = list(parts)
    if found:
        figures = {name: value for _, seen in found for name, value in seen.items()}
        yield torch.stack([loss for loss, _ in found]).sum(), figures
