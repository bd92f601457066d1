"""Held-out drawn scenes by skill: closed questions, answered by the likeliest option (log-probability, end included).

Beside each skill: chance, and the majority answer, which is the offered option that was most often right on
training scenes' questions of that skill. The macro leaves out invented rules and option families kept out of training.
"""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from assets.pretraining.scenes.plan import plan_scene
from benchmarks.mini.place import Place, Question, held_out_questions, held_out_scene, scene_id
from benchmarks.mini.rows import RESAMPLES, SEED, Row, share_row
from leaml.models.decoding import option_log_probabilities, prefill
from leaml.prompts import question_prompt

PART = "scenes"
Right = dict[str, list[tuple[int, bool]]]
"""For each skill the scene's number and whether the answer was right."""


def measure(place: Place) -> list[Row]:
    """Return the accuracy of each skill, and their mean."""
    backbone, count = place.backbone(), place.amounts.scenes
    features = place.scene_features(backbone, count)
    prior = answer_rates(
        question
        for number in range(place.amounts.prior)
        for question in held_out_questions(np.random.default_rng([number, 14]), plan_scene(number))
    )
    right, guess, common = defaultdict(list), defaultdict(list), defaultdict(list)
    for number in range(count):
        questions = exam(number)
        image = features.batch([scene_id(number)]) * len(questions)
        prefix = prefill(backbone, [question_prompt(q.text, q.options) for q in questions], image)
        scores = option_log_probabilities(backbone, prefix, [q.options for q in questions])
        for q, row in zip(questions, scores, strict=True):
            right[q.skill].append((number, q.options[int(np.argmax(row))] == q.answer))
            guess[q.skill].append(1 / len(q.options))
            most = max(q.options, key=lambda option, skill=q.skill: prior.get((skill, option), 0.0))  # type: ignore[misc]
            common[q.skill].append(most == q.answer)
    rows = [
        share_row(
            PART,
            skill,
            "accuracy",
            [hit for _, hit in right[skill]],
            chance=float(np.mean(guess[skill])),
            majority=float(np.mean(common[skill])),
        )
        for skill in sorted(right)
    ]
    macro = [row for row in rows if is_seen(row.subject)]
    low, high = macro_interval({row.subject: right[row.subject] for row in macro}, count)
    beside = {name: float(np.mean([row.beside[name] for row in macro])) for name in ("chance", "majority")}
    value, asked = float(np.mean([row.value for row in macro])), sum(row.count for row in macro)
    return [Row(PART, "macro", "accuracy", "share", value, asked, low, high, beside), *rows]


def exam(number: int) -> list[Question]:
    """Return the closed questions of a held-out scene, the same every time."""
    return held_out_questions(np.random.default_rng([number, 13]), held_out_scene(number))


def is_seen(skill: str) -> bool:
    """Tell whether a skill belongs into the macro accuracy."""
    return skill != "rule" and not skill.endswith("(unseen options)")


def answer_rates(questions: Iterable[Question]) -> dict[tuple[str, str], float]:
    """Return how often an option was right where it was offered, by skill and option; rare ones shrink to zero."""
    offered: dict[tuple[str, str], int] = defaultdict(int)
    answered: dict[tuple[str, str], int] = defaultdict(int)
    for question in questions:
        for option in question.options:
            offered[question.skill, option] += 1
        answered[question.skill, question.answer] += 1
    return {key: answered[key] / (count + 2) for key, count in offered.items()}


def macro_interval(right: Right, scenes: int) -> tuple[float, float]:
    """Return the 95% percentile bootstrap interval of the macro accuracy, over scenes."""
    hits, asked = np.zeros((2, scenes, len(right)))
    for column, answers in enumerate(right.values()):
        for number, hit in answers:
            asked[number, column] += 1
            hits[number, column] += hit
    weights = np.random.default_rng(SEED).multinomial(scenes, np.full(scenes, 1 / scenes), size=RESAMPLES)
    with np.errstate(invalid="ignore"):
        means = np.nanmean((weights @ hits) / (weights @ asked), axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
