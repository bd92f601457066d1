"""Between the stages: the decoder learns to copy, on text alone, so that it can choose from lists it never saw.

A decoder that was trained beside images for 1,750 steps still could not say a fresh word again: answers are short,
and almost every one of them can be recalled instead of copied. Random tokens cannot be recalled. On them copying
appears within a few hundred steps, and requests to repeat words and questions about lists carry it over to text.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import FastVlmForConditionalGeneration

from assets.pretraining.model.packing import Encoder, Segment
from assets.pretraining.model.tokenizer import SPECIAL, VOCABULARY
from assets.pretraining.scenes.facts import Rng
from assets.pretraining.texts.lists import list_question, repeat_request
from leaml.prompts import question_prompt

BATCH = 32
LEARNING_RATE = 1e-3
WARM_UP = 50
LONGEST = 24
"""Random tokens to repeat, at most."""
Glosses = Sequence[tuple[str, str]]


def random_repeat(rng: Rng, encoder: Encoder) -> Segment:
    """Return random tokens with the same tokens as the answer."""
    tokens = rng.integers(len(SPECIAL), VOCABULARY, int(rng.integers(2, LONGEST))).tolist()
    return Segment((encoder.user, *tokens, encoder.assistant, *tokens, encoder.end), len(tokens) + 1, sees_image=False)


def text_segment(rng: Rng, encoder: Encoder, glosses: Glosses) -> Segment:
    """Return random tokens to repeat (half of the draws), a request to repeat words, or a question about a list."""
    if rng.random() < 0.5:
        return random_repeat(rng, encoder)
    question = (repeat_request if rng.random() < 0.5 else list_question)(rng, glosses)
    return encoder.segment(question_prompt(question.text, question.options), question.answer, sees_image=False)


def losses_of(model: FastVlmForConditionalGeneration, segments: Sequence[Segment], *, pad: int) -> Tensor:
    """Return the loss of every answer token `[N]`, in nats; each segment is a sequence of its own."""
    size = max(len(segment.tokens) for segment in segments)
    tokens = torch.full((len(segments), size), pad)
    rows: list[int] = []
    for number, segment in enumerate(segments):
        end = len(segment.tokens)
        tokens[number, :end] = torch.tensor(segment.tokens)
        rows += range(number * size + end - segment.answer_length - 1, number * size + end - 1)
    at = torch.tensor(rows)
    hidden = model.model.language_model(
        inputs_embeds=model.get_input_embeddings()(tokens), use_cache=False
    ).last_hidden_state
    logits = model.lm_head(hidden.flatten(0, 1)[at])
    return functional.cross_entropy(logits.float(), tokens.flatten()[at + 1], reduction="none")


def learn_to_copy(
    model: FastVlmForConditionalGeneration, encoder: Encoder, glosses: Glosses, *, steps: int
) -> list[float]:
    """Train the decoder in place; return the mean loss of each hundred steps."""
    decoder = model.model.language_model
    decoder.train()
    optimizer = torch.optim.AdamW(decoder.parameters(), betas=(0.9, 0.97), weight_decay=0.01, fused=True)
    curve: list[float] = []
    recent: list[float] = []
    for step in range(steps):
        rng = np.random.default_rng([step, 7])
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / WARM_UP)
        loss = losses_of(model, [text_segment(rng, encoder, glosses) for _ in range(BATCH)], pad=encoder.pad).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        recent.append(loss.item())
        if len(recent) == 100 or step == steps - 1:
            curve.append(float(np.mean(recent)))
            recent.clear()
            print(f"copy step {step + 1} loss {curve[-1]:.3f}", flush=True)
    decoder.eval()
    return curve
