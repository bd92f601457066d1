"""The methods that are compared: how pseudo pairs are made, which of them are trained on, and what moves.

All have the same budget of updates for what they are tested on, but for full supervision with four times as many. What
goes on from a generator has that one's updates behind it, too. Between two neighbouring methods one thing differs.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from leaml.config import (
    FinetuneConfig,
    Flips,
    GeneratorConfig,
    MixtureConfig,
    SamplingConfig,
    SelectionConfig,
    TrainConfig,
)
from leaml.recipes import BUNDLED_RATES, CONTRAST, GENERATOR_RATES

Mask = Literal["score", "random", "magnitude"]
"""What ranks the weights of a row: the score of Eq. 5, chance, or the weights' own size."""


@dataclass(frozen=True)
class Budget:
    """Updates of each training, the same for every method; as many as in the app.

    Attributes:
        generator: Of the question generator.
        judge: Of the labels-only model that scores agreement.
        finetune: Of each VQA model.
        samples: Pairs sampled for each image.
    """

    generator: int = 90
    judge: int = 40
    finetune: int = 60
    samples: int = 4

    def __str__(self) -> str:
        """Return the numbers in their order, as the log has them."""
        return f"{self.generator}/{self.judge}/{self.finetune}/{self.samples}"


@dataclass(frozen=True)
class Recipe:
    """How a generator is trained.

    Attributes:
        name: Its folder's name.
        distil: Whether it learns the teacher's captions too (L_C of Eq. 4).
        contrast: How much captions are to be less likely beside other images.
        caption_flips: How pictures may be mirrored when their captions are learnt.
        row_budget: Share of each row that may move; None moves all weights.
        mask: What ranks a row's weights.
        reads: Whether it is shown the teacher's captions when it asks (AdaMLLM's synthesizer).
        judged: Whether each pair's answer is the labels-only model's instead of the generator's: self-training.
        continued: Whether that model goes on from the generator's weights, by LoRA and as long as the VQA model.
        flips: How pictures may be mirrored when that model learns.
        learning_rate: For a part of the weights or for all.
    """

    name: str
    distil: bool = True
    contrast: float = 0.0
    caption_flips: Flips = "none"
    row_budget: float | None = None
    mask: Mask = "score"
    reads: bool = False
    judged: bool = False
    continued: bool = False
    flips: Flips = "none"
    learning_rate: float = GENERATOR_RATES["selective"]

    def config(self, budget: Budget, *, seed: int) -> GeneratorConfig:
        """Return the settings of a run."""
        default = GeneratorConfig()
        judge = replace(default.judge, steps=budget.judge, seed=seed, flips=self.flips)
        if self.continued:
            judge = replace(judge, steps=budget.finetune, learning_rate=BUNDLED_RATES["lora"])
        return replace(
            default,
            train=TrainConfig(
                steps=budget.generator, learning_rate=self.learning_rate, seed=seed, flips=self.caption_flips
            ),
            judge=judge,
            judge_update="lora" if self.continued else "full",
            judge_starts_from="generator" if self.continued else "pretrained",
            selection=SelectionConfig(row_budget=self.row_budget) if self.row_budget is not None else None,
            caption_weight=default.caption_weight if self.distil else 0.0,
            contrast=self.contrast,
            generator_reads=self.reads,
            answered_by="judge" if self.judged else "generator",
            sampling=SamplingConfig(pairs_per_image=budget.samples, seed=seed),
        )


DENSE_RATE = GENERATOR_RATES["full"]
NO_DISTILLATION = Recipe("no_distillation", distil=False, learning_rate=DENSE_RATE)
ALL_WEIGHTS = Recipe("all_weights", learning_rate=DENSE_RATE)
SELECTED = Recipe("selected_10", row_budget=0.10)
SYNTHESIZER = Recipe("synthesizer", distil=False, reads=True, learning_rate=DENSE_RATE)
CONTRASTED = Recipe(f"contrast_{CONTRAST:g}", contrast=CONTRAST, row_budget=0.10)
CONTRASTED_ALL = Recipe(f"contrast_{CONTRAST:g}_all", contrast=CONTRAST, learning_rate=DENSE_RATE)
JUDGED = Recipe("judged", row_budget=0.10, judged=True)
JUDGED_APART = replace(CONTRASTED, name="contrast_continued", judged=True, continued=True)
CONTINUED: dict[str, Recipe] = {
    "captions told apart": JUDGED_APART,
    "no captions": NO_DISTILLATION,
    "captions as the paper learns them": SELECTED,
    "captions told apart, all weights": CONTRASTED_ALL,
}
"""Generators that a model goes on from, by what these have learnt beside the labels."""
SWEEP = tuple(Recipe(f"selected_{round(100 * k)}", row_budget=k) for k in (0.05, 0.25, 0.50, 0.80))
CONTROLS = (
    Recipe("random_10", row_budget=0.10, mask="random"),
    Recipe("magnitude_10", row_budget=0.10, mask="magnitude"),
)


@dataclass(frozen=True)
class Pairs:
    """Which pseudo pairs are trained on.

    Attributes:
        least_agreement: Unreviewed pairs need so much; None leaves all unreviewed pairs out.
        reviewed: So many are decided by the expert, from the front of a queue.
        order: Of that queue: the most `doubtful` pairs first, or as they are `queued` in the app, half of them a random
            audit.
        error_rate: Share of the expert's decisions that are wrong.
        rounds: The decisions are spread over so many generators, each trained on what was decided before.
    """

    least_agreement: float | None = 0.0
    reviewed: int = 0
    order: Literal["doubtful", "queued"] = "doubtful"
    error_rate: float = 0.0
    rounds: int = 1


@dataclass(frozen=True)
class Method:
    """One line of the tables.

    Attributes:
        name: As the tables print it; unique.
        recipe: Of the generator; None trains on labels alone.
        pairs: Which pseudo pairs are added.
        mixture: How unreviewed pairs are read beside the labels.
        moves: Which weights of the VQA model move: `none`, `lora` or `full`.
        learning_rate: Of the VQA model's training; chosen by `tune.py`.
        flips: How pictures may be mirrored in that training.
        labels: `drawn`; `all` answers of the pool; or as many as are drawn, chosen by the app's own order: `diverse`
            images, or the first half drawn and the other where a model trained on it is `unsure`.
        starts_from: Whether the VQA model's training goes on from the generator's weights.
        times: The VQA model takes so many times the budget's updates.
    """

    name: str
    recipe: Recipe | None = None
    pairs: Pairs = field(default_factory=Pairs)
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    moves: Literal["none", "lora", "full"] = "full"
    learning_rate: float = BUNDLED_RATES["full"]
    flips: Flips = "none"
    labels: Literal["drawn", "all", "diverse", "unsure"] = "drawn"
    starts_from: Literal["pretrained", "generator"] = "pretrained"
    times: int = 1

    @property
    def reads_the_draw(self) -> bool:
        """Whether another draw or share of labels gives another model."""
        return self.moves != "none" and self.labels != "all"

    def config(self, budget: Budget, *, seed: int, pseudo: bool = False, reviewed: bool = False) -> FinetuneConfig:
        """Return the settings of the VQA model's training; without any pairs it is trained on the labels alone."""
        rate, flips = self.learning_rate, self.flips
        train = TrainConfig(steps=self.times * budget.finetune, learning_rate=rate, seed=seed, flips=flips)
        if self.moves == "none":
            return FinetuneConfig("zero_shot", train=train)
        if pseudo or reviewed:
            name: Literal["leaml", "leaml_reviewed"] = "leaml" if pseudo else "leaml_reviewed"
            mixture, moves, start = self.mixture, self.moves, self.starts_from
            return FinetuneConfig(name, train=train, mixture=mixture, update=moves, starts_from=start)
        plain: Literal["lora", "full_finetune"] = "lora" if self.moves == "lora" else "full_finetune"
        return FinetuneConfig(plain, train=train, starts_from=self.starts_from)


LORA = Method("LoRA", moves="lora", learning_rate=BUNDLED_RATES["lora"])
FULL = Method("full fine-tuning")
SUPERVISED = Method("fully supervised", labels="all", moves="lora", learning_rate=LORA.learning_rate)
"""LoRA, because it was the better one inside the pool; so it is for what is reviewed."""
LONGER = replace(SUPERVISED, name="fully supervised, 4 times the updates", times=4)
"""The budget's updates read half of the labels: this one reads each of them twice."""
LEAML = Method("LEAML", recipe=SELECTED)
REVIEWED = replace(LEAML, name="LEAML, reviewed", moves="lora", learning_rate=LORA.learning_rate)
HALF = MixtureConfig(pseudo_share=0.5)
TRUSTING = replace(HALF, weighting="agreement")
BY_ACCEPTANCE = replace(HALF, weighting="acceptance")
LABELS_ONLY = Pairs(None)
REVIEWS = (50, 100, 200, 400)
FLIPPED = (
    LORA.name,
    FULL.name,
    SUPERVISED.name,
    LONGER.name,
    "pseudo pairs, no captions",
    "pseudo pairs, contrast, all weights",
    LEAML.name,
    "LEAML, half labels, weighted",
    "LEAML, answers of the judge, half labels",
    *(f"LEAML, {n} reviewed" for n in REVIEWS),
    "LEAML, contrast",
    "LEAML, contrast, half labels, weighted",
    "LEAML, contrast, 200 reviewed",
    *(f"LoRA, continued from {name}" for name in CONTINUED),
    "LEAML, continued",
    "LEAML, continued, all weights",
    "LEAML, continued, 200 reviewed",
    "LEAML, continued, 200 reviewed as queued",
    "LEAML, continued, 200 reviewed as queued, 10% errors",
)
"""What is measured with mirrored pictures too: the baselines just as the method."""


def flipped(method: Method) -> Method:
    """Return the method on mirrored pictures, learnt and asked; where the judge answers, so does it.

    Captions are mirrored where they are contrasted, as the app does; other generators are those of the plain methods.
    """
    recipe = method.recipe
    if recipe is not None and recipe.contrast:
        recipe = replace(recipe, name=f"{recipe.name}_flips", caption_flips="both")
    if recipe is not None and recipe.judged:
        recipe = replace(recipe, name=f"{recipe.name}_asked", flips="both")
    return replace(method, name=f"{method.name}, mirrored", recipe=recipe, flips="both")


PLAIN: tuple[Method, ...] = (
    Method("zero-shot", moves="none"),
    LORA,
    FULL,
    SUPERVISED,
    LONGER,
    replace(SUPERVISED, name="fully supervised, all weights", moves="full", learning_rate=FULL.learning_rate),
    Method("full fine-tuning, labels by diversity", labels="diverse"),
    Method("full fine-tuning, labels by doubt", labels="unsure"),
    Method("pseudo pairs, no captions", recipe=NO_DISTILLATION),
    Method("pseudo pairs, distilled, all weights", recipe=ALL_WEIGHTS),
    LEAML,
    *(Method(f"LEAML, {recipe.row_budget:.0%} of a row", recipe=recipe) for recipe in SWEEP),
    *(Method(f"LEAML, {recipe.mask} mask", recipe=recipe) for recipe in CONTROLS),
    Method("AdaMLLM, short answers", SYNTHESIZER, Pairs(least_agreement=0.5), MixtureConfig(captions=True)),
    Method("LEAML, answers of the judge, weighted", JUDGED, mixture=MixtureConfig(weighting="agreement")),
    Method("LEAML, answers of the judge, half labels", JUDGED, mixture=TRUSTING),
    Method("LEAML, agreement above .7", SELECTED, Pairs(least_agreement=0.7)),
    Method("LEAML, half of each batch labels", SELECTED, mixture=HALF),
    Method("LEAML, weighted by agreement", SELECTED, mixture=MixtureConfig(weighting="agreement")),
    Method("LEAML, half labels, weighted", SELECTED, mixture=TRUSTING),
    Method("pseudo pairs, contrast, all weights", CONTRASTED_ALL),
    Method("LEAML, contrast", CONTRASTED),
    Method("LEAML, contrast, half labels, weighted", CONTRASTED, mixture=TRUSTING),
    replace(REVIEWED, name="LEAML, continued", recipe=JUDGED_APART, mixture=TRUSTING, starts_from="generator"),
    Method("LEAML, continued, all weights", JUDGED_APART, mixture=TRUSTING, starts_from="generator"),
    replace(
        REVIEWED,
        name="LEAML, continued, 200 reviewed",
        recipe=JUDGED_APART,
        pairs=Pairs(None, 200),
        starts_from="generator",
    ),
    replace(
        REVIEWED,
        name="LEAML, continued, 200 reviewed as queued",
        recipe=JUDGED_APART,
        pairs=Pairs(None, 200, "queued"),
        starts_from="generator",
    ),
    replace(
        REVIEWED,
        name="LEAML, continued, 200 reviewed as queued, 10% errors",
        recipe=JUDGED_APART,
        pairs=Pairs(None, 200, "queued", error_rate=0.10),
        starts_from="generator",
    ),
    *(
        replace(LORA, name=f"LoRA, continued from {name}", recipe=recipe, pairs=LABELS_ONLY, starts_from="generator")
        for name, recipe in CONTINUED.items()
    ),
    replace(LEAML, name="LEAML, LoRA", moves="lora", learning_rate=LORA.learning_rate),
    *(replace(REVIEWED, name=f"LEAML, {n} reviewed", pairs=Pairs(None, n)) for n in REVIEWS),
    replace(REVIEWED, name="LEAML, 200 reviewed in two rounds", pairs=Pairs(None, 200, rounds=2)),
    replace(REVIEWED, name="LEAML, contrast, 200 reviewed", recipe=CONTRASTED, pairs=Pairs(None, 200)),
    Method("LEAML, 200 reviewed, all weights", SELECTED, Pairs(None, 200)),
    Method("LEAML, 200 reviewed, half labels, weighted", SELECTED, Pairs(0.0, 200), TRUSTING),
    Method("LEAML, 200 reviewed, half labels, by acceptance", SELECTED, Pairs(0.0, 200), BY_ACCEPTANCE),
    replace(REVIEWED, name="LEAML, 200 reviewed with 10% errors", pairs=Pairs(None, 200, error_rate=0.10)),
)
"""Without mirrored pictures."""
METHODS = (*PLAIN, *(flipped(method) for method in PLAIN if method.name in FLIPPED))
BY_NAME = {method.name: method for method in METHODS}
