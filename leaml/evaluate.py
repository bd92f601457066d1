"""A model's answers to the test questions: greedy text, exact match, and the probability of each option."""

from collections.abc import Sequence

from leaml.backbone import Backbone
from leaml.decoding import greedy, option_log_probabilities, prefill
from leaml.features import ImageFeatures
from leaml.generate import Progress, softmax
from leaml.prompts import match_option, normalise_answer, question_prompt
from leaml.records import AnsweredQuestion, Prediction

ANSWER_BATCH = 128
ANSWER_TOKENS = 24


def predict(
    backbone: Backbone, features: ImageFeatures, questions: Sequence[AnsweredQuestion], progress: Progress
) -> list[Prediction]:
    """Return the model's answer to each question, in their order.

    An answer outside the options is wrong, never replaced by a guess.
    """
    predictions: list[Prediction] = []
    for start in range(0, len(questions), ANSWER_BATCH):
        batch = questions[start : start + ANSWER_BATCH]
        prompts = [question_prompt(item.question, item.options) for item in batch]
        prefix = prefill(backbone, prompts, features.batch(item.image_id for item in batch))
        scores: list[tuple[float, ...]] = [()] * len(batch)
        if all(item.options for item in batch):
            scores = [softmax(row) for row in option_log_probabilities(backbone, prefix, [i.options for i in batch])]
        answers = greedy(backbone, prefix, max_new_tokens=ANSWER_TOKENS)
        predictions += [_prediction(*row) for row in zip(batch, answers, scores, strict=True)]
        progress(min(start + ANSWER_BATCH, len(questions)), len(questions))
    return predictions


def is_correct(answer: str, question: AnsweredQuestion) -> bool:
    """Tell whether an answer's normalised text is the reference's; with options it must name one of them."""
    if question.options:
        return match_option(answer, question.options) == match_option(question.answer, question.options) is not None
    return normalise_answer(answer) == normalise_answer(question.answer)


def _prediction(question: AnsweredQuestion, answer: str, scores: tuple[float, ...]) -> Prediction:
    return Prediction(
        image_id=question.image_id,
        type_id=question.type_id or "free",
        question=question.question,
        options=question.options,
        reference=question.answer,
        answer=answer,
        correct=is_correct(answer, question),
        option_probabilities=scores,
    )
