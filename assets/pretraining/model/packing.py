"""Packs an image and many isolated question segments into one sequence.

The image tokens are computed once; each segment attends to them and to itself, and its positions restart after
them, so that it is exactly the sequence that the chat template makes of that one question. A text-only segment
sees itself alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from assets.pretraining.model.bundle import IMAGE_TOKENS
from assets.pretraining.model.tokenizer import ASSISTANT, END, PAD, USER

PREFIX = IMAGE_TOKENS + 1
"""The user token and the image tokens, shared by all segments of an image."""
HIDDEN = -1e9
"""Added to the score of what a token must not attend to."""


@dataclass(frozen=True)
class Segment:
    """Token ids of `prompt <|assistant|> answer <|end|>`; the last `answer_length` of them are learned."""

    tokens: tuple[int, ...]
    answer_length: int
    sees_image: bool = True


@dataclass(frozen=True)
class Batch:
    """Packed sequences.

    Attributes:
        tokens: `[B, T]` int64; the image's places hold the pad token.
        positions: `[B, T]` int64.
        mask: `[B, 1, T, T]` float32, added to the scores of attention: 0 where a row may attend to a column.
        rows: `[N]` flat indices into `B * T` of the tokens that predict an answer token.
        targets: `[N]` the answer tokens.
        weights: `[N]` float32, the loss weight of each.
        owners: `[N]` the number of the segment (counted over the whole batch) that each belongs to.
    """

    tokens: Tensor
    positions: Tensor
    mask: Tensor
    rows: Tensor
    targets: Tensor
    weights: Tensor
    owners: Tensor


class Encoder:
    """Turns prompt and answer into segments."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        """Keep the tokenizer's special ids at hand."""
        self._fast = tokenizer.backend_tokenizer
        self.pad, self.user, self.assistant, self.end = tokenizer.convert_tokens_to_ids([PAD, USER, ASSISTANT, END])

    def segment(self, prompt: str, answer: str, *, sees_image: bool = True) -> Segment:
        """Return the segment of one question; text-only ones carry their own user token."""
        asked = self._fast.encode(prompt, add_special_tokens=False).ids
        said = self._fast.encode(answer, add_special_tokens=False).ids
        head = () if sees_image else (self.user,)
        return Segment((*head, *asked, self.assistant, *said, self.end), len(said) + 1, sees_image)

    def pack(self, images: Sequence[Sequence[Segment]], *, length: int = 0) -> Batch:
        """Return the packed batch, one sequence per image, padded to the longest (at least `length`).

        A segment of n answer tokens weighs n ** 0.5 in all, so that captions do not drown short answers.
        """
        longest = max(PREFIX + sum(len(s.tokens) for s in segments) for segments in images)
        size, count = max(length, longest), len(images)
        tokens = np.full((count, size), self.pad)
        tokens[:, 0] = self.user
        positions = np.zeros((count, size), dtype=np.int64)
        positions[:, :PREFIX] = np.arange(PREFIX)
        group = np.full((count, size), -1)
        group[:, :PREFIX] = 0
        sees = np.zeros((count, size), dtype=bool)
        sees[:, :PREFIX] = True
        rows: list[int] = []
        weights: list[float] = []
        owners: list[int] = []
        owner = 0
        for row, segments in enumerate(images):
            at = PREFIX
            for number, segment in enumerate(segments, start=1):
                end = at + len(segment.tokens)
                tokens[row, at:end] = segment.tokens
                positions[row, at:end] = np.arange(end - at) + (PREFIX if segment.sees_image else 0)
                group[row, at:end] = number
                sees[row, at:end] = segment.sees_image
                rows += range(row * size + end - segment.answer_length - 1, row * size + end - 1)
                weights += [segment.answer_length**-0.5] * segment.answer_length
                owners += [owner] * segment.answer_length
                at, owner = end, owner + 1
        index = torch.tensor(rows)
        flat = torch.from_numpy(tokens)
        return Batch(
            tokens=flat,
            positions=torch.from_numpy(positions),
            mask=_block_mask(torch.from_numpy(group), torch.from_numpy(sees)),
            rows=index,
            targets=flat.flatten()[index + 1],
            weights=torch.tensor(weights),
            owners=torch.tensor(owners),
        )


def _block_mask(group: Tensor, sees: Tensor) -> Tensor:
    """Return `[B, 1, T, T]` float32: causal within a group; the image's group 0 is open to those that see it."""
    same = group[:, :, None] == group[:, None, :]
    image = (group == 0)[:, None, :] & sees[:, :, None]
    size = group.shape[1]
    causal = torch.ones(size, size, dtype=torch.bool).tril()
    allowed = ((same | image) & causal)[:, None]
    return torch.zeros(allowed.shape).masked_fill_(~allowed, HIDDEN)
