"""What is minimised: the negative log-likelihood of targets given an image and a prompt (LEAML, Eqs. 2 to 4)."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from leaml.config import Flips
from leaml.errors import TrainingError
from leaml.models.backbone import Backbone, Encoded
from leaml.models.features import ImageFeatures
from leaml.models.vision import EncodedImage
from leaml.prompts import CAPTION_PROMPT, GENERATION_PROMPT, described, pair_target, question_prompt
from leaml.records import AnsweredQuestion, Candidate, Caption, ImageId
from leaml.training.flips import WAYS, flip_id, flip_question

IGNORED = -100
"""Label of tokens that are not predicted: the image, the prompt and padding."""

MARGIN, SHARPNESS = 0.3, 10.0
"""How much likelier, nats a token, a caption is to be beside its own image than beside another; the hinge's bend."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Sample:
    """A target text to be predicted after an image and a prompt."""

    image_id: ImageId
    prompt: str
    target: str


@dataclass(frozen=True)
class Batch:
    """Samples as tensors: `encoded` `[B, S]`, all their `images`, `labels` `[B, S]`, IGNORED outside targets."""

    encoded: Encoded
    images: Sequence[EncodedImage]
    labels: Tensor


def generation_sample(pair: AnsweredQuestion, caption: str = "") -> Sample:
    """Return the sample of L_QA: the pair's text given the image (Eq. 1), and a caption that is read beside it."""
    prompt = described(caption, GENERATION_PROMPT)
    return Sample(pair.image_id, prompt, pair_target(pair.question, pair.options, pair.answer))


def caption_sample(caption: Caption) -> Sample:
    """Return the sample of L_C: the teacher's caption given the image (Eq. 3)."""
    return Sample(caption.image_id, CAPTION_PROMPT, caption.text)


def answer_sample(pair: AnsweredQuestion | Candidate) -> Sample:
    """Return the sample of L_VQA: the answer given image and question."""
    return Sample(pair.image_id, question_prompt(pair.question, pair.options), pair.answer)


def flip_some(samples: Sequence[Sample], flips: Flips, *, seed: int, step: int) -> list[Sample]:
    """Return a step's samples, each flipped in one of the allowed ways by chance: a function of the step alone."""
    chance = Random(f"flips {seed} {step}")
    return [_flipped(sample, chance.choice(WAYS[flips])) for sample in samples]


def collate(backbone: Backbone, features: ImageFeatures, samples: Sequence[Sample]) -> Batch:
    """Return samples as one batch, padded on the right."""
    shown = features.batch(sample.image_id for sample in samples)
    prompts = [backbone.prompt_ids(sample.prompt, images) for sample, images in zip(samples, shown, strict=True)]
    targets = [backbone.chat.target_ids(sample.target) for sample in samples]
    images = [image for own in shown for image in own]
    rows = [prompt + target for prompt, target in zip(prompts, targets, strict=True)]
    encoded = backbone.pad(rows, images, left=False, answers=[len(target) for target in targets])
    labels = torch.full_like(encoded.input_ids, IGNORED)
    for row, (prompt, target) in enumerate(zip(prompts, targets, strict=True)):
        labels[row, len(prompt) : len(prompt) + len(target)] = torch.tensor(target, device=labels.device)
    return Batch(encoded, images, labels)


def sequence_losses(backbone: Backbone, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return each sample's negative log-likelihood `[B]` (nats, summed over its tokens) and token counts `[B]`.

    The head runs on the target tokens only: with a large vocabulary, scores of the whole prompt would dominate memory.
    """
    hidden = backbone.hidden_states(batch.encoded, batch.images, use_cache=False).last_hidden_state
    predicted = batch.labels[:, 1:] != IGNORED
    logits = backbone.logits(hidden[:, :-1][predicted])
    token_losses = functional.cross_entropy(logits, batch.labels[:, 1:][predicted], reduction="none")
    losses = hidden.new_zeros(predicted.shape, dtype=torch.float32).masked_scatter(predicted, token_losses)
    return losses.sum(1), predicted.sum(1)


def beside_others(samples: Sequence[Sample]) -> list[Sample]:
    """Return each sample beside the image of the one before it: a wrong image of the same domain."""
    return [replace(own, image_id=samples[place - 1].image_id) for place, own in enumerate(samples)]


def contrast_losses(own: Tensor, other: Tensor, tokens: Tensor) -> Tensor:
    """Return how far each target misses being MARGIN likelier beside its own image than beside another `[B]`, nats.

    A smooth hinge on the difference a token, times the tokens: a pairwise ranking loss, as image-text embeddings are
    learnt with (Frome et al. 2013). Where both images are the same one it has no gradient.

    Args:
        own: Losses beside their own images `[B]`, nats, summed over tokens.
        other: Losses of the same targets beside other images `[B]`.
        tokens: Of each target `[B]`.
    """
    missing = MARGIN - (other - own) / tokens
    return functional.softplus(missing, beta=SHARPNESS) * tokens


def told_apart(
    backbone: Backbone, features: ImageFeatures, told: Sequence[Sample], mistold: Sequence[Sample], *, contrast: float
) -> tuple[Tensor, dict[str, float]]:
    """Return each caption's L_C (Eq. 3), with what it misses of being likelier than beside a wrong image.

    Args:
        backbone: The model.
        features: Of both images of each caption.
        told: Captions, each beside its own image.
        mistold: The same captions beside others; none where nothing is contrasted.
        contrast: Weight of what is missed.

    Returns:
        Losses `[B]`, nats; and for people to read the mean beside either image, nats a token.
    """
    losses, tokens = sequence_losses(backbone, collate(backbone, features, told))
    figures = {"caption_loss": per_token(losses, tokens)}
    if not mistold:
        return losses, figures
    others, _ = sequence_losses(backbone, collate(backbone, features, mistold))
    missed = contrast * contrast_losses(losses, others, tokens)
    return losses + missed, figures | {"wrong_image_loss": per_token(others, tokens)}


def per_token(losses: Tensor, tokens: Tensor) -> float:
    """Return nats a token, for people to read."""
    return float(losses.detach().sum() / tokens.sum())


def data_hash(pairs: Sequence[AnsweredQuestion]) -> str:
    """Return the SHA-256 of labelled pairs, in their order; it is kept with what was learnt from them."""
    return hashlib.sha256(json.dumps([asdict(pair) for pair in pairs], sort_keys=True).encode()).hexdigest()


def split(samples: Sequence[Item], parts: int) -> list[Sequence[Item]]:
    """Return the samples in so many parts, as even as they can be; some may be empty."""
    return [samples[part::parts] for part in range(parts)]


def cycle_indices(count: int, batch_size: int, *, seed: int, step: int) -> list[int]:
    """Return the samples of one step of an endless reading in shuffled passes: a function of the step alone.

    Nothing needs to be remembered, so that a resumed run reads exactly what an uninterrupted one would have read.

    Raises:
        TrainingError: If there is nothing to read.
    """
    if count == 0:
        raise TrainingError("Cannot train: there is no sample. Label some images first.")
    first = step * batch_size
    wanted = range(first, first + batch_size)
    orders = {number: _shuffled(count, seed, number) for number in {place // count for place in wanted}}
    return [orders[place // count][place % count] for place in wanted]


def _flipped(sample: Sample, way: str) -> Sample:
    if not way:
        return sample
    return Sample(flip_id(sample.image_id, way), *flip_question(sample.prompt, sample.target, way))


def _shuffled(count: int, seed: int, number: int) -> list[int]:
    generator = torch.Generator().manual_seed((seed * 1_000_003 + number) % 2**63)
    order: list[int] = torch.randperm(count, generator=generator).tolist()
    return order
