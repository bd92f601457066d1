"""Pseudo question-answer pairs of unlabelled images, from a trained generator, scored by the judge."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from leaml.config import SamplingConfig
from leaml.models.backbone import Backbone
from leaml.models.decoding import Prefix, Progress, nucleus, prefill
from leaml.models.features import ImageFeatures
from leaml.pairs.quality import SampledText, ValidPair
from leaml.prompts import GENERATION_PROMPT, described, longest_answers, pair_target
from leaml.records import AnsweredQuestion, Candidate, ImageId, RunId
from leaml.teacher.book import append_line, read_lines
from leaml.training.buckets import TOKENS_AT_ONCE, by_length, rows_at_once
from leaml.training.objectives import Sample, collate, sequence_losses

SPARE_TOKENS = 8
"""Room beyond the longest known pair: a generator does not always cut its words into the fewest tokens."""

Captions = Mapping[ImageId, str]
"""What is read beside an image."""
NO_CAPTIONS: Captions = {}


def with_room(backbone: Backbone, config: SamplingConfig, learnt: Sequence[AnsweredQuestion]) -> SamplingConfig:
    """Return the settings with room for every pair like those that the generator learnt from, whichever its answer."""
    texts = {
        pair_target(pair.question, pair.options, answer)
        for pair in learnt
        for answer in (pair.answer, *longest_answers(pair.question, pair.options))
    }
    longest = max((len(backbone.chat.target_ids(text)) for text in texts), default=0)
    return replace(config, max_new_tokens=max(config.max_new_tokens, longest + SPARE_TOKENS))


def sample_texts(
    backbone: Backbone,
    features: ImageFeatures,
    image_ids: Sequence[ImageId],
    config: SamplingConfig,
    progress: Progress,
    captions: Captions = NO_CAPTIONS,
    *,
    kept: Path | None = None,
    tokens: int = TOKENS_AT_ONCE,
) -> list[SampledText]:
    """Return `pairs_per_image` sampled texts for each image, in the order of the images.

    Each batch of images has its own random state, derived from the seed and the place of its first image.

    Args:
        backbone: The generator.
        features: Of the images.
        image_ids: What is written about.
        config: How texts are drawn.
        progress: Hears of each batch; may raise to stop.
        captions: Of the images, for a generator that was trained to read them.
        kept: Where each batch's texts are written at once, and are not drawn again; None keeps nothing.
        tokens: Of images, prompts and texts at once, at most; more only where one image's texts have more.
    """
    prompts = [described(captions.get(image_id, ""), GENERATION_PROMPT) for image_id in image_ids]
    longest = max(features.lengths(image_ids, prompts), default=0) + config.max_new_tokens
    images_a_batch = max(1, rows_at_once(longest, config.batch_size, tokens) // config.pairs_per_image)
    known = {row["first"]: row["texts"] for row in read_lines(kept)} if kept else {}
    samples: list[SampledText] = []
    for start in range(0, len(image_ids), images_a_batch):
        batch = image_ids[start : start + images_a_batch]
        texts = known.get(start, ())
        if len(texts) != len(batch) * config.pairs_per_image:  # there is none, or of a run with other batches
            random = torch.Generator(backbone.device).manual_seed(config.seed * 1_000_003 + start)
            asked = prompts[start : start + images_a_batch]
            texts = _drawn(backbone, prefill(backbone, asked, features.batch(batch)), config, random)
            if kept:
                append_line(kept, {"first": start, "texts": texts})
        owners = [image_id for image_id in batch for _ in range(config.pairs_per_image)]
        samples += [SampledText(owner, *text) for owner, text in zip(owners, texts, strict=True)]
        progress(min(start + images_a_batch, len(image_ids)), len(image_ids))
    return samples


def _drawn(
    backbone: Backbone, prefix: Prefix, config: SamplingConfig, random: torch.Generator
) -> list[tuple[str, float]]:
    """Return `pairs_per_image` texts for each row, side by side. Uses the prefix up."""
    prefix.repeat(config.pairs_per_image)
    return nucleus(
        backbone,
        prefix,
        max_new_tokens=config.max_new_tokens,
        top_p=config.top_p,
        temperature=config.temperature,
        generator=random,
    )


@torch.inference_mode()
def score_texts(
    backbone: Backbone,
    features: ImageFeatures,
    texts: Sequence[tuple[ImageId, str]],
    batch_size: int,
    *,
    tokens: int = TOKENS_AT_ONCE,
) -> list[SampledText]:
    """Return texts that were written elsewhere with their log-probability under this generator, in their order."""
    scores: dict[int, float] = {}
    lengths = features.lengths((image_id for image_id, _ in texts), (text for _, text in texts))
    for places in by_length(lengths, batch_size, tokens=tokens):
        samples = [Sample(texts[place][0], GENERATION_PROMPT, texts[place][1]) for place in places]
        losses, counts = sequence_losses(backbone, collate(backbone, features, samples))
        scores.update(zip(places, (-losses / counts).tolist(), strict=True))
    return [SampledText(*row, scores[place]) for place, row in enumerate(texts)]


def candidates(
    pairs: Sequence[ValidPair],
    probabilities: Sequence[tuple[float, ...]],
    *,
    run_id: RunId,
    round_number: int,
    answered_by: Literal["generator", "judge"] = "generator",
) -> list[Candidate]:
    """Return valid pairs as candidates for review; agreement is the judge's probability of the pair's answer.

    The judge can be asked for the answer too: then it is the option that the judge believes in most.
    """
    rows = []
    for number, (valid, scores) in enumerate(zip(pairs, probabilities, strict=True)):
        pair = valid.pair
        if answered_by == "judge" and scores:
            pair = replace(pair, answer=pair.options[scores.index(max(scores))])
        rows.append(
            Candidate(
                id=f"{run_id}-{number:06d}",
                image_id=valid.image_id,
                question=pair.question,
                options=pair.options,
                answer=pair.answer,
                type_id=valid.type_id,
                log_probability=valid.log_probability,
                agreement=scores[pair.options.index(pair.answer)] if scores else None,
                option_probabilities=scores,
                run_id=run_id,
                round=round_number,
            )
        )
    return rows


def as_question(valid: ValidPair) -> AnsweredQuestion:
    """Return a valid pair as a question with the answer it claims."""
    pair = valid.pair
    return AnsweredQuestion(valid.image_id, pair.question, pair.options, pair.answer, valid.type_id)
