"""How fast answers and training steps are, and how large the folder is.

Answers are greedy, to closed questions of the sample, one after the other as in the app; with the image encoded for
each question, and with its features at hand. A batch of questions on cached features stands beside them.
"""

import time
from collections.abc import Callable
from functools import partial
from statistics import quantiles

from PIL import Image

from benchmarks.mini.photos import blood_smears
from benchmarks.mini.place import Place
from benchmarks.mini.rows import Row
from benchmarks.mini.timed import BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY, batch_losses
from leaml.evaluate import ANSWER_TOKENS
from leaml.models.backbone import Backbone
from leaml.models.decoding import greedy, prefill
from leaml.models.features import ImageFeatures
from leaml.prompts import question_prompt
from leaml.records import AnsweredQuestion
from leaml.threads import share_cores
from leaml.training.objectives import answer_sample
from leaml.training.train import backward
from leaml.training.updates import full_update

PART = "speed"
IMAGES, CLIP_NORM = 8, 1.0
ONE, FRESH, BATCH = "one by one, image cached", "one by one, image encoded", f"batches of {BATCH_SIZE}, image cached"


def measure(place: Place) -> list[Row]:
    """Return answers a second, the seconds of a training step, and the folder's megabytes."""
    backbone, photos = place.backbone(), blood_smears()
    images = dict(list(photos.images.items())[:IMAGES])
    asked = [question for question in photos.questions if question.image_id in images]
    features = place.photo_features(backbone, images)

    def fresh(question: AnsweredQuestion) -> None:
        with Image.open(images[question.image_id]) as picture:
            encoded = backbone.encode([picture.convert("RGB")])
        prefix = prefill(backbone, [question_prompt(question.question, question.options)], [encoded])
        greedy(backbone, prefix, max_new_tokens=ANSWER_TOKENS)

    def cached(*questions: AnsweredQuestion) -> None:
        _answer(backbone, features, list(questions))

    repeats = place.amounts.repeats
    rows = [
        _rate(ONE, cached, [(asked[n % len(asked)],) for n in range(repeats)]),
        _rate(FRESH, fresh, [(asked[n % len(asked)],) for n in range(repeats)]),
        _rate(BATCH, cached, [tuple((asked * 2)[n : n + BATCH_SIZE]) for n in range(max(3, repeats // 8))]),
    ]
    rows.append(_training(backbone, features, asked, max(2, repeats // 4)))  # last: it changes the weights
    size = sum(path.stat().st_size for path in place.folder.rglob("*") if path.is_file()) / 1e6
    return [*rows, Row(PART, "folder", "size", "MB", size, 1)]


def _answer(backbone: Backbone, features: ImageFeatures, questions: list[AnsweredQuestion]) -> None:
    prompts = [question_prompt(question.question, question.options) for question in questions]
    prefix = prefill(backbone, prompts, features.batch(question.image_id for question in questions))
    greedy(backbone, prefix, max_new_tokens=ANSWER_TOKENS)


def _rate(subject: str, answer: Callable[..., None], calls: list[tuple[AnsweredQuestion, ...]]) -> Row:
    """Return answers a second: the median over calls, with the 20th and 80th percentile; two calls warm up."""
    for call in calls[:2]:
        answer(*call)
    rates = []
    for call in calls:
        rates.append(len(call) / _seconds(partial(answer, *call)))
    low, middle, high = _percentiles(rates)
    return Row(PART, subject, "answers", "1/s", middle, len(rates), low, high)


def _training(backbone: Backbone, features: ImageFeatures, asked: list[AnsweredQuestion], repeats: int) -> Row:
    """Return the seconds of a step of full fine-tuning on a batch of answers; the first one warms up."""
    update = full_update(backbone, weight_decay=WEIGHT_DECAY)
    samples = [answer_sample(question) for question in asked]

    def step(number: int) -> None:
        backward(batch_losses(backbone, features, samples, number), backbone.device, cores)
        update.optimizer.clip(CLIP_NORM)
        update.optimizer.step(LEARNING_RATE)

    with share_cores(len(batch_losses(backbone, features, samples, 0))) as cores:
        times = [_seconds(partial(step, number)) for number in range(repeats + 1)][1:]
    update.optimizer.close()
    low, middle, high = _percentiles(times)
    return Row(PART, f"training, batches of {BATCH_SIZE}", "step", "s", middle, repeats, low, high)


def _seconds(do: Callable[[], None]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def _percentiles(values: list[float]) -> tuple[float, float, float]:
    """Return the 20th, 50th and 80th percentile."""
    tenths = quantiles(values, n=10, method="inclusive")
    return tenths[1], tenths[4], tenths[7]
