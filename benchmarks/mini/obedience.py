"""Whether free greedy answers are one of the options given, where the list is novel.

Two novel kinds, padded with invented words to 2 to 8 options and shuffled: a rule that renames every answer
("Answer wug for left, ..."), and option families kept out of pretraining. Yes/no and counts stand beside them.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from numpy.random import default_rng

from assets.pretraining.texts.ask_look import ask_color, ask_count, ask_dots, ask_exists
from assets.pretraining.texts.questions import MOST, padded, reworded, shuffled
from assets.pretraining.texts.skills import SKILLS, UNSEEN
from benchmarks.mini.place import Place, Question, Rng, Scene, held_out_scene, scene_id
from benchmarks.mini.rows import Row, share_row
from leaml.evaluate import ANSWER_TOKENS
from leaml.models.backbone import Backbone
from leaml.models.decoding import greedy, prefill
from leaml.models.features import ImageFeatures
from leaml.prompts import match_option, question_prompt
from leaml.records import ImageId

PART = "obedience"
BATCH = 32
Kind = Callable[[Rng, Scene], Question | None]


def renamed(rng: Rng, scene: Scene) -> Question | None:
    """Return a question whose answers are invented words by a rule, with more invented words as options."""
    asks = [SKILLS[int(i)] for i in rng.permutation(len(SKILLS))]
    for ask in [ask_color, *asks] if rng.random() < 0.3 else asks:
        question = ask(rng, scene, False)
        if question and len(question.options) <= MOST:
            return padded(rng, reworded(rng, question))
    return None


def unseen(rng: Rng, scene: Scene) -> Question | None:
    """Return a question with a family of options kept out of pretraining; half of them with invented words added."""
    for index in rng.permutation(len(UNSEEN)):
        question = UNSEEN[int(index)](rng, scene, True)
        if question:
            return padded(rng, question) if rng.random() < 0.5 else shuffled(rng, question)
    return None


def yes_no(rng: Rng, scene: Scene) -> Question | None:
    """Return a question for what is there, to be answered with yes or no."""
    question = ask_exists(rng, scene, False)
    if question is None:
        return None
    positive = question.answer in ("yes", "Yes", "true", "present")
    return shuffled(rng, replace(question, options=("no", "yes"), answer="yes" if positive else "no"))


def counts(rng: Rng, scene: Scene) -> Question | None:
    """Return a question for a number."""
    return (ask_count if rng.random() < 0.5 else ask_dots)(rng, scene, False)


NOVEL: dict[str, Kind] = {"invented words": renamed, "held-out wordings": unseen}
KINDS: dict[str, Kind] = {**NOVEL, "yes/no": yes_no, "counts": counts}


def measure(place: Place) -> list[Row]:
    """Return the share of answers that are one of the options, and the accuracy, by kind."""
    backbone, count = place.backbone(), place.amounts.obedience
    features = place.scene_features(backbone, count)
    valid: dict[str, list[bool]] = defaultdict(list)
    right: dict[str, list[bool]] = defaultdict(list)
    chance: dict[str, list[float]] = defaultdict(list)
    for name in KINDS:
        asked = questions_of(name, count)
        answers = answer(backbone, features, asked)
        for (_, question), text in zip(asked, answers, strict=True):
            option = match_option(text, question.options)
            for subject in (name, "novel lists") if name in NOVEL else (name,):
                valid[subject].append(option is not None)
                right[subject].append(option == question.answer)
                chance[subject].append(1 / len(question.options))
    rows = []
    for subject in ("novel lists", *KINDS):
        guess = sum(chance[subject]) / len(chance[subject])
        rows.append(share_row(PART, subject, "valid option", valid[subject]))
        rows.append(share_row(PART, subject, "accuracy", right[subject], chance=guess))
    return rows


def questions_of(name: str, scenes: int) -> list[tuple[ImageId, Question]]:
    """Return one question of a kind for each held-out scene to which it applies."""
    found = []
    for number in range(scenes):
        question = KINDS[name](default_rng([number, 17, list(KINDS).index(name)]), held_out_scene(number))
        if question:
            found.append((scene_id(number), question))
    return found


def answer(backbone: Backbone, features: ImageFeatures, asked: Sequence[tuple[ImageId, Question]]) -> list[str]:
    """Return the free greedy answers."""
    texts: list[str] = []
    for start in range(0, len(asked), BATCH):
        part = asked[start : start + BATCH]
        prompts = [question_prompt(question.text, question.options) for _, question in part]
        prefix = prefill(backbone, prompts, features.batch(image_id for image_id, _ in part))
        texts += greedy(backbone, prefix, max_new_tokens=ANSWER_TOKENS)
    return texts
