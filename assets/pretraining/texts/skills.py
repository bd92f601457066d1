"""All skills that are asked for, how often, and random training questions."""

from collections.abc import Callable

from assets.pretraining.scenes.facts import Rng, Scene
from assets.pretraining.texts.ask_look import (
    ask_background,
    ask_color,
    ask_count,
    ask_crowd_color,
    ask_crowding,
    ask_dots,
    ask_elongated,
    ask_exists,
    ask_shape,
    ask_texture,
)
from assets.pretraining.texts.ask_overlay import ask_box, ask_text
from assets.pretraining.texts.ask_place import ask_across, ask_border, ask_compare, ask_down, ask_quadrant, ask_size
from assets.pretraining.texts.ask_several import ask_colors, ask_findings, ask_regions
from assets.pretraining.texts.ask_tissue import ask_core, ask_folds, ask_lumen, ask_pale_center, ask_relief
from assets.pretraining.texts.blends import blended
from assets.pretraining.texts.dressing import dressed
from assets.pretraining.texts.questions import Question, padded, reworded

Asker = Callable[[Rng, Scene, bool], Question | None]

SKILLS: tuple[Asker, ...] = (
    ask_across,
    ask_down,
    ask_quadrant,
    ask_size,
    ask_border,
    ask_count,
    ask_dots,
    ask_color,
    ask_background,
    ask_crowd_color,
    ask_shape,
    ask_texture,
    ask_crowding,
    ask_elongated,
    ask_exists,
    ask_compare,
    ask_relief,
    ask_folds,
    ask_lumen,
    ask_core,
    ask_pale_center,
    ask_text,
    ask_box,
)
WEIGHTS = (3, 3, 2, 3, 2, 3, 2, 4, 2, 1, 2, 2, 1, 1, 2, 2, 3, 2, 2, 3, 1, 1, 2)
"""How often each skill is tried, in the order of SKILLS."""
_SHARES = [weight / sum(WEIGHTS) for weight in WEIGHTS]
SEVERAL: tuple[Asker, ...] = (ask_colors, ask_regions, ask_findings)
"""Skills whose answer may join several options; kept out of SKILLS, where each answer is one of the options."""
SEVERAL_SHARE = 0.08
PADDED = 0.3
"""Of the blended lists, those with invented words among the options."""
UNSEEN: tuple[Asker, ...] = (ask_across, ask_down, ask_size, ask_border)
"""Skills that have option families kept out of training."""


def draw_question(rng: Rng, scene: Scene) -> Question:
    """Return one random training question: mostly closed, sometimes open, in other words or under an invented rule."""
    if rng.random() < SEVERAL_SHARE:
        for number in rng.permutation(len(SEVERAL)):
            several = SEVERAL[int(number)](rng, scene, False)
            if several is not None:
                return several
    question = None
    while question is None:
        question = SKILLS[int(rng.choice(len(SKILLS), p=_SHARES))](rng, scene, False)
    style = rng.random()
    if style < 0.12 and len(question.options) <= 4:
        return reworded(rng, question)
    if style < 0.2 and question.skill not in ("size", "crowding"):
        return Question(question.skill, question.text, (), question.answer)
    if style < 0.5:
        return dressed(rng, question)
    if style < 0.8:
        question = blended(rng, question)
        return padded(rng, question) if rng.random() < PADDED else question
    return question
