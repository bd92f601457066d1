"""Held-out measures: accuracy by skill, with seen and with unseen option strings, and grounding of captions.

Closed questions only, answered by choosing the most likely option (sum of log-probabilities, end token included).
Grounding is the caption loss with a wrong image less that with the right one, in nats a token.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import FastVlmForConditionalGeneration

from assets.pretraining.features import HELD_OUT_SEED
from assets.pretraining.model.bundle import Whitening
from assets.pretraining.model.packing import PREFIX, Batch, Encoder, Segment
from assets.pretraining.scenes.facts import Rng, Scene
from assets.pretraining.scenes.plan import plan_scene
from assets.pretraining.texts.captions import write_caption
from assets.pretraining.texts.questions import Question, reworded
from assets.pretraining.texts.skills import SKILLS, UNSEEN
from leaml.models.precision import autocast
from leaml.prompts import CAPTION_PROMPT, question_prompt

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Report:
    """Accuracy by skill, the accuracy of guessing, and caption losses in nats a token."""

    accuracy: dict[str, float]
    chance: dict[str, float]
    asked: dict[str, int]
    caption_right: float
    caption_wrong: float

    def line(self) -> dict[str, float]:
        """Return the figures of one log line."""
        seen = [value for skill, value in self.accuracy.items() if not skill.endswith("(unseen options)")]
        figures = {"mean_accuracy": float(np.mean(seen)), **self.accuracy}
        figures |= {"caption_right": self.caption_right, "caption_wrong": self.caption_wrong}
        figures["grounding"] = self.caption_wrong - self.caption_right
        return {name: round(value, 4) for name, value in figures.items()}


def predict(model: FastVlmForConditionalGeneration, images: Tensor, batch: Batch) -> Tensor:
    """Return the logits `[N, V]` at the batch's rows; `images` are the projected image tokens `[B, tokens, D]`."""
    inner = model.model
    embeds = inner.get_input_embeddings()(batch.tokens)
    embeds = torch.cat([embeds[:, :1], images.to(embeds.dtype), embeds[:, PREFIX:]], dim=1)
    hidden = inner.language_model(
        inputs_embeds=embeds, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False
    ).last_hidden_state
    logits: Tensor = model.lm_head(hidden.flatten(0, 1)[batch.rows])
    return logits


def held_out_questions(rng: Rng, scene: Scene) -> list[Question]:
    """Return one question of each skill that applies, one per family kept out of training, and one rule question."""
    asked = [question for ask in SKILLS if (question := ask(rng, scene, False))]
    unseen = [question for ask in UNSEEN if (question := ask(rng, scene, True))]
    short = [question for question in asked if len(question.options) <= 4]
    rules = [reworded(rng, short[int(rng.integers(len(short)))])] if short else []
    renamed = [Question(f"{q.skill} (unseen options)", q.text, q.options, q.answer) for q in unseen]
    return [*asked, *renamed, *rules]


@lru_cache(maxsize=4)
def _exam(count: int) -> tuple[tuple[Scene, tuple[Question, ...], str], ...]:
    """Return the same scenes, questions and captions every time."""
    exam = []
    for number in range(count):
        rng, scene = np.random.default_rng([number, 13]), plan_scene(HELD_OUT_SEED + number)
        exam.append((scene, tuple(held_out_questions(rng, scene)), write_caption(rng, scene)))
    return tuple(exam)


def _log_likelihoods(
    model: FastVlmForConditionalGeneration, whitening: Whitening, features: Tensor, batch: Batch
) -> Tensor:
    """Return the log-probability of each segment's answer, `[segments]`."""
    with torch.inference_mode(), autocast(CPU):
        logits = predict(model, model.model.multi_modal_projector(whitening(features)), batch)
    losses = functional.cross_entropy(logits.float(), batch.targets, reduction="none")
    return torch.zeros(int(batch.owners.max()) + 1).index_add_(0, batch.owners, -losses)


def examine(
    model: FastVlmForConditionalGeneration,
    whitening: Whitening,
    encoder: Encoder,
    features: NDArray[np.float16],
    *,
    count: int = 100,
) -> Report:
    """Return held-out measures over the first `count` held-out scenes."""
    right: dict[str, list[bool]] = defaultdict(list)
    guess: dict[str, list[float]] = defaultdict(list)
    losses: list[tuple[float, float]] = []
    for number, (_, questions, caption) in enumerate(_exam(count)):
        told = encoder.segment(CAPTION_PROMPT, caption)
        segments: list[Segment] = [told]
        for q in questions:
            segments += [encoder.segment(question_prompt(q.text, q.options), option) for option in q.options]
        image = torch.from_numpy(features[number : number + 1].astype(np.float32))
        scores = _log_likelihoods(model, whitening, image, encoder.pack([segments]))
        other = torch.from_numpy(features[(number + 1) % count][None].astype(np.float32))
        wrong = _log_likelihoods(model, whitening, other, encoder.pack([[told]]))
        losses.append((-float(scores[0]) / told.answer_length, -float(wrong[0]) / told.answer_length))
        at = 1
        for q in questions:
            best = int(scores[at : at + len(q.options)].argmax())
            at += len(q.options)
            right[q.skill].append(q.options[best] == q.answer)
            guess[q.skill].append(1 / len(q.options))
    order = sorted(right)
    return Report(
        accuracy={skill: float(np.mean(right[skill])) for skill in order},
        chance={skill: float(np.mean(guess[skill])) for skill in order},
        asked={skill: len(right[skill]) for skill in order},
        caption_right=float(np.mean([a for a, _ in losses])),
        caption_wrong=float(np.mean([b for _, b in losses])),
    )
