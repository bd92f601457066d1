"""A model's suggestion for a question being labelled, and whether suggestions sway the answers.

On half of the questions, chosen by a hash, a suggestion that is asked for is computed but not shown. So both halves are
questions of the same kind, and how much more often labels agree with a shown suggestion than with one kept back is what
showing it did.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from leaml.prompts import normalise_answer
from leaml.records import ImageId, Interval, Suggestion
from leaml.stats.proportions import wilson


@dataclass(frozen=True)
class Agreement:
    """How often labels agree with the suggestion. `share` is None without a label."""

    labels: int
    agreeing: int
    share: Interval | None


def may_be_shown(image_id: ImageId, question: str) -> bool:
    """Return whether a suggestion may be shown for this question: a random half, the same one every time."""
    return hashlib.sha256(f"{image_id}\n{question}".encode()).digest()[0] % 2 == 0


def agreement(labels: Iterable[tuple[str, Suggestion]], *, shown: bool) -> Agreement:
    """Return how often answers agree with the suggestions that were shown, or with those that were kept back."""
    agrees = [
        normalise_answer(answer) == normalise_answer(suggestion.answer)
        for answer, suggestion in labels
        if suggestion.shown == shown
    ]
    return Agreement(len(agrees), sum(agrees), wilson(sum(agrees), len(agrees)) if agrees else None)
