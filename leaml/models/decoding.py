"""Batched decoding with a key-value cache: greedy answers, nucleus samples, and option probabilities.

The image and the prompt are run once (`prefill`); samples of one image and the options of one question then share
that cache.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache

from leaml.models.backbone import Backbone, Encoded
from leaml.models.features import ImageFeatures
from leaml.models.precision import autocast
from leaml.models.vision import EncodedImage
from leaml.prompts import question_prompt, takes_several
from leaml.records import AnsweredQuestion
from leaml.training.buckets import TOKENS_AT_ONCE, by_image
from leaml.training.flips import ask_flipped, unflip_probabilities

ORDERED_FIRST = 256
"""Tokens that are ordered to find a nucleus; the whole vocabulary is only where these do not reach `top_p`."""

SCORE_BATCH = 128
"""Questions whose options are scored at once, at most."""

Progress = Callable[[int, int], None]
"""Hears (done, all)."""


@dataclass
class Prefix:
    """Prompts that were run through the model and can be continued.

    Attributes:
        cache: transformers' key-value cache of B rows.
        mask: `[B, S]`, 0 on left padding.
        offset: `[B]`, how far the positions after each prompt are from the number of its tokens.
        logits: `[B, V]`, of the token after each prompt.
    """

    cache: Any
    mask: Tensor
    offset: Tensor
    logits: Tensor

    def repeat(self, times: int) -> None:
        """Repeat each row, in place, so that several continuations of one prompt run side by side."""
        self.cache.batch_repeat_interleave(times)
        self.mask = self.mask.repeat_interleave(times, dim=0)
        self.offset = self.offset.repeat_interleave(times, dim=0)
        self.logits = self.logits.repeat_interleave(times, dim=0)

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these, in place."""
        self.cache.batch_select_indices(rows)
        self.mask, self.offset, self.logits = self.mask[rows], self.offset[rows], self.logits[rows]


@torch.inference_mode()
def prefill(backbone: Backbone, prompts: Sequence[str], shown: Sequence[tuple[EncodedImage, ...]]) -> Prefix:
    """Run prompts with the images that each shows, and return the state to continue from.

    What prompts about the same images begin with alike is run once.
    """
    rows = [backbone.prompt_ids(prompt, images) for prompt, images in zip(prompts, shown, strict=True)]
    owners = _owners(shown)
    heads = _shared_heads(backbone, rows, owners) if len(set(owners)) < len(rows) else None
    if heads is None:
        return _run(backbone, rows, shown)
    first = sorted(set(owners))
    prefix = _run(backbone, [heads[owner] for owner in first], [shown[owner] for owner in first])
    prefix.keep(torch.tensor([first.index(owner) for owner in owners], device=backbone.device))
    tails = backbone.pad([row[len(heads[owner]) :] for row, owner in zip(rows, owners, strict=True)], left=True)
    with autocast(backbone.device):
        hidden = _append(backbone, prefix, tails.input_ids, tails.attention_mask)
    prefix.logits = backbone.logits(hidden[:, -1])
    return prefix


def _run(backbone: Backbone, rows: Sequence[tuple[int, ...]], shown: Sequence[tuple[EncodedImage, ...]]) -> Prefix:
    """Run rows of tokens with their images."""
    every = [image for images in shown for image in images]
    encoded = backbone.pad(rows, every, left=True)
    with autocast(backbone.device):  # what follows reads token by token, where it would gain nothing
        # A cache that knows no sliding windows: one that has dropped tokens could not be cut back after an option.
        output = backbone.hidden_states(encoded, every, cache=DynamicCache(), use_cache=True)
    logits = backbone.logits(output.last_hidden_state[:, -1])
    return Prefix(output.cache, encoded.attention_mask, backbone.position_offset(encoded), logits)


def _owners(shown: Sequence[tuple[EncodedImage, ...]]) -> list[int]:
    """Return, for each row, the first row that shows the same images."""
    first: dict[tuple[int, ...], int] = {}
    return [first.setdefault(tuple(map(id, images)), row) for row, images in enumerate(shown)]


def _shared_heads(
    backbone: Backbone, rows: Sequence[tuple[int, ...]], owners: Sequence[int]
) -> dict[int, tuple[int, ...]] | None:
    """Return what all rows of an owner begin with, their images included; None where that cannot be run alone."""
    if not backbone.shares_prefill:
        return None
    heads: dict[int, tuple[int, ...]] = {}
    for row, owner in zip(rows, owners, strict=True):
        # At least one token is left, whose scores are those of what follows.
        heads[owner] = tuple(_common(heads.get(owner, row), row[:-1]))
    token = backbone.vision.token_id
    whole = all(heads[owner].count(token) == row.count(token) for row, owner in zip(rows, owners, strict=True))
    return heads if whole and all(heads.values()) else None


def _common(one: Sequence[int], other: Sequence[int]) -> Sequence[int]:
    """Return what two rows of tokens begin with alike."""
    for place, (own, theirs) in enumerate(zip(one, other, strict=False)):
        if own != theirs:
            return one[:place]
    return one[: len(other)]


@torch.inference_mode()
def extend(backbone: Backbone, prefix: Prefix, tokens: Tensor) -> Tensor:
    """Append tokens `[B, N]` to the prefix, in place; return `[B, N, V]` scores of what follows each of them."""
    logits = backbone.logits(_append(backbone, prefix, tokens, torch.ones_like(tokens)))
    prefix.logits = logits[:, -1]
    return logits


def _append(backbone: Backbone, prefix: Prefix, tokens: Tensor, real: Tensor) -> Tensor:
    """Append tokens `[B, N]` to all but the prefix's logits; `real` is 0 on padding. Returns `[B, N, D]`."""
    prefix.mask = torch.cat([prefix.mask, real], dim=1)
    encoded = Encoded(tokens, prefix.mask, backbone.following(prefix.mask, prefix.offset, tokens.shape[1]))
    hidden: Tensor = backbone.hidden_states(encoded, cache=prefix.cache, use_cache=True).last_hidden_state
    return hidden


def greedy(backbone: Backbone, prefix: Prefix, *, max_new_tokens: int) -> list[str]:
    """Return the most probable continuation of each row, token by token. Uses the prefix up."""
    return [text for text, _ in _decode(backbone, prefix, max_new_tokens, lambda logits: logits.argmax(-1))]


def nucleus(
    backbone: Backbone,
    prefix: Prefix,
    *,
    max_new_tokens: int,
    top_p: float,
    temperature: float,
    generator: torch.Generator,
) -> list[tuple[str, float]]:
    """Return a sample of each row with its log-probability, nats a token. Uses the prefix up.

    Source: nucleus sampling, Holtzman et al. 2020. The log-probability is that of the untruncated model.
    """

    def choose(logits: Tensor) -> Tensor:
        return draw_from_nucleus(functional.softmax(logits / temperature, dim=-1), top_p, generator)

    return _decode(backbone, prefix, max_new_tokens, choose)


def draw_from_nucleus(probabilities: Tensor, top_p: float, generator: torch.Generator) -> Tensor:
    """Return for each row of `probabilities` `[B, V]` one of the fewest tokens that have `top_p` together `[B]`."""
    ordered, order = probabilities.topk(min(ORDERED_FIRST, probabilities.shape[-1]))
    if bool((ordered.sum(-1) < top_p).any()):
        ordered, order = probabilities.sort(dim=-1, descending=True)
    ordered[ordered.cumsum(-1) - ordered >= top_p] = 0.0
    picked = torch.multinomial(ordered, 1, generator=generator)
    return order.gather(1, picked).squeeze(1)


@torch.inference_mode()
def option_log_probabilities(backbone: Backbone, prefix: Prefix, options: Sequence[Sequence[str]]) -> list[list[float]]:
    """Return each option's log-probability (nats, its end token included) as the answer to each row's prompt.

    Args:
        backbone: The model.
        prefix: B rows; it is as before afterwards.
        options: For each row its options; rows may have different numbers of them.
    """
    most = max(len(row) for row in options)
    start_logits, start_mask = prefix.logits, prefix.mask
    result: list[list[float]] = [[] for _ in options]
    for place in range(most):
        rows = [backbone.chat.target_ids(row[min(place, len(row) - 1)]) for row in options]
        longest = max(map(len, rows))
        tokens = torch.tensor([[*row, *([backbone.chat.pad_id] * (longest - len(row)))] for row in rows])
        tokens = tokens.to(start_mask.device)
        scores = start_logits.unsqueeze(1)
        if longest > 1:
            scores = torch.cat([scores, extend(backbone, prefix, tokens[:, :-1])], dim=1)
            prefix.cache.crop(-(longest - 1))
            prefix.logits, prefix.mask = start_logits, start_mask
        chosen = scores.log_softmax(-1).gather(2, tokens.unsqueeze(2)).squeeze(2)
        for index, row in enumerate(rows):
            if place < len(options[index]):
                result[index].append(float(chosen[index, : len(row)].sum()))
    return result


@torch.inference_mode()
def _decode(backbone: Backbone, prefix: Prefix, max_new_tokens: int, choose: Any) -> list[tuple[str, float]]:
    """Continue each row until its end token; finished rows leave the batch. Returns text and nats a token."""
    tokens: list[list[int]] = [[] for _ in range(len(prefix.mask))]
    totals = [0.0] * len(tokens)
    alive = torch.arange(len(tokens))
    ends = torch.tensor(sorted(backbone.chat.end_ids), device=prefix.mask.device)
    for step in range(max_new_tokens):
        picked = choose(prefix.logits)
        log_probability = prefix.logits.log_softmax(-1).gather(1, picked.unsqueeze(1)).squeeze(1)
        for row, token, value in zip(alive.tolist(), picked.tolist(), log_probability.tolist(), strict=True):
            tokens[row].append(token)
            totals[row] += value
        going = (~torch.isin(picked, ends)).nonzero().squeeze(1)
        if len(going) == 0 or step == max_new_tokens - 1:
            break
        if len(going) < len(picked):
            prefix.keep(going)
            alive, picked = alive[going.cpu()], picked[going]
        extend(backbone, prefix, picked.unsqueeze(1))
    return [(backbone.chat.text(ids), total / len(ids)) for ids, total in zip(tokens, totals, strict=True)]


def option_probabilities(
    backbone: Backbone,
    features: ImageFeatures,
    pairs: Sequence[AnsweredQuestion],
    progress: Progress,
    ways: Sequence[str] = ("",),
    *,
    tokens: int = TOKENS_AT_ONCE,
) -> list[tuple[float, ...]]:
    """Return, for each question, the model's probability of each option.

    Args:
        backbone: The model.
        features: Of the questions' images.
        pairs: The questions.
        progress: Hears of each batch.
        ways: How each picture is flipped; the mean over these is returned.
        tokens: Of questions with their images at once, at most.

    Returns:
        In the options' order; empty for an open question, and where several answers may be right: each alone is none
        of them.
    """
    places = [place for place, pair in enumerate(pairs) if _has_one_answer(pair)]
    closed = [pairs[place] for place in places]
    looks = []
    for number, way in enumerate(ways):
        tell = partial(_further, progress, number * len(closed), len(ways) * len(closed))
        found = _probabilities(backbone, features, [ask_flipped(pair, way) for pair in closed], tell, tokens)
        looks.append([unflip_probabilities(pair.options, row, way) for pair, row in zip(closed, found, strict=True)])
    means = (tuple(fmean(row) for row in zip(*seen, strict=True)) for seen in zip(*looks, strict=True))
    by_place = dict(zip(places, means, strict=True))
    return [by_place.get(place, ()) for place in range(len(pairs))]


def _further(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _probabilities(
    backbone: Backbone,
    features: ImageFeatures,
    pairs: Sequence[AnsweredQuestion],
    tell: Callable[[int], None],
    tokens: int,
) -> list[tuple[float, ...]]:
    prompts = [question_prompt(pair.question, pair.options) for pair in pairs]
    found: dict[int, tuple[float, ...]] = {}
    images = [pair.image_id for pair in pairs]
    for bucket in by_image(images, features.lengths(images, prompts), SCORE_BATCH, tokens=tokens):
        batch = [pairs[number] for number in bucket]
        prefix = prefill(
            backbone, [prompts[number] for number in bucket], features.batch(pair.image_id for pair in batch)
        )
        scores = option_log_probabilities(backbone, prefix, [pair.options for pair in batch])
        found.update(zip(bucket, map(softmax, scores), strict=True))
        tell(len(found))
    return [found[number] for number in range(len(pairs))]


def _has_one_answer(pair: AnsweredQuestion) -> bool:
    return bool(pair.options) and not takes_several(pair.question)


def softmax(log_probabilities: Sequence[float]) -> tuple[float, ...]:
    """Return probabilities that sum to 1."""
    top = max(log_probabilities)
    weights = [math.exp(value - top) for value in log_probabilities]
    return tuple(weight / sum(weights) for weight in weights)
