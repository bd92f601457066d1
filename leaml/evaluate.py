"""A model's answers to the test questions: greedy text, exact match, and the probability of each option."""

from collections.abc import Iterator, Sequence

from leaml.config import Flips
from leaml.models.backbone import Backbone
from leaml.models.decoding import (
    Progress,
    greedy,
    option_log_probabilities,
    option_probabilities,
    prefill,
    softmax,
)
from leaml.models.features import ImageFeatures
from leaml.prompts import longest_answers, marked, match_option, question_prompt, takes_several
from leaml.records import AnsweredQuestion, Prediction
from leaml.training.buckets import TOKENS_AT_ONCE, by_image
from leaml.training.flips import WAYS

ANSWER_BATCH = 128
"""Questions that are answered at once, at most."""
ANSWER_TOKENS = 24
"""Room for an answer to a question with options, at least."""
OPEN_TOKENS = 64
"""Room for an answer in one's own words: a sentence, such as SPORTU's reasons for a foul, of up to some 40 tokens."""


def predict(
    backbone: Backbone,
    features: ImageFeatures,
    questions: Sequence[AnsweredQuestion],
    progress: Progress,
    flips: Flips = "none",
    *,
    tokens: int = TOKENS_AT_ONCE,
) -> list[Prediction]:
    """Return the model's answer to each question, in their order.

    A model that knows mirrored pictures is asked about these too: its answer is the option of the largest mean
    probability. An answer outside the options is wrong, never replaced by a guess.

    Args:
        backbone: The model.
        features: Of the questions' images.
        questions: With their reference answers.
        progress: Hears of each batch.
        flips: How the model has met pictures mirrored.
        tokens: Of questions with their images at once, at most.
    """
    others = WAYS[flips][1:]
    total = (1 + len(others)) * len(questions)
    found = _predict(backbone, features, questions, lambda done, _: progress(done, total), tokens)
    if not others:
        return found

    def tell(done: int, _: int) -> None:
        progress(len(found) + done, total)

    seen = option_probabilities(backbone, features, questions, tell, others, tokens=tokens)
    progress(total, total)
    return [_together(*row, len(others)) for row in zip(questions, found, seen, strict=True)]


def _together(question: AnsweredQuestion, plain: Prediction, mirrored: Sequence[float], count: int) -> Prediction:
    """Return the answer from the picture as it is and from so many mirrored ones, of which this is the mean."""
    if not mirrored or match_option(plain.answer, question.options) is None:
        return plain
    own = plain.option_probabilities
    means = tuple((one + count * other) / (1 + count) for one, other in zip(own, mirrored, strict=True))
    return marked(question, question.options[means.index(max(means))], means)


def _predict(
    backbone: Backbone,
    features: ImageFeatures,
    questions: Sequence[AnsweredQuestion],
    progress: Progress,
    tokens: int,
) -> list[Prediction]:
    predictions: dict[int, Prediction] = {}
    prompts = [question_prompt(item.question, item.options) for item in questions]
    lengths = features.lengths((item.image_id for item in questions), prompts)
    for places in _batches(questions, lengths, tokens):
        batch = [questions[place] for place in places]
        shown = features.batch(item.image_id for item in batch)
        prefix = prefill(backbone, [prompts[place] for place in places], shown)
        scores: list[tuple[float, ...]] = [()] * len(batch)
        if batch[0].options:
            found = option_log_probabilities(backbone, prefix, [item.options for item in batch])
            # Of several answers at once, the probability of each alone says nothing.
            scores = [() if takes_several(i.question) else softmax(row) for i, row in zip(batch, found, strict=True)]
        answers = greedy(backbone, prefix, max_new_tokens=_room(backbone, batch))
        found_here = (marked(*row) for row in zip(batch, answers, scores, strict=True))
        predictions.update(zip(places, found_here, strict=True))
        progress(len(predictions), len(questions))
    return [predictions[place] for place in range(len(questions))]


def _room(backbone: Backbone, batch: Sequence[AnsweredQuestion]) -> int:
    """Return how many tokens an answer may take: no option is cut, and few answers get as far."""
    if not batch[0].options:
        return OPEN_TOKENS
    answers = {answer for item in batch for answer in longest_answers(item.question, item.options)}
    return max(ANSWER_TOKENS, *(len(backbone.chat.target_ids(answer)) for answer in answers))


def _batches(questions: Sequence[AnsweredQuestion], lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Yield the places of questions with options and of open ones apart: an open one has nothing to score."""
    for closed in (True, False):
        own = [place for place, item in enumerate(questions) if bool(item.options) == closed]
        images = [questions[place].image_id for place in own]
        for batch in by_image(images, [lengths[place] for place in own], ANSWER_BATCH, tokens=tokens):
            yield [own[place] for place in batch]
