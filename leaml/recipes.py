"""The settings of each training unless a person asks for others.

For the bundled model they are what was best inside the pool of the sample (benchmarks/label_efficiency/tuning.csv).
Pairs are learnt by LoRA, not by all weights. Models go on from the question generator, which knows the domain by the
teacher's captions, not from the pretrained weights; so does the second opinion, and pairs get its answers.
Other models were not measured here. They start from the pretrained weights and the paper's learning rate, LoRA from ten
times that; captions are learnt by the paper's loss alone and count as much as questions (lambda 1, where the bundled
model has .3), and pairs keep the generator's answers. What the paper does not say, how many updates there are, goes by
the data: each question, caption and answer is read once at least, and with little data there are as many updates as
the bundled model's, which read 40 labels some twenty times.
For all models, pairs that nobody looked at are half of each batch. They count as much as people would probably accept
them, once a hundred decisions tell; until then as much as the second opinion believes in them. The paper takes all
alike.
"""

from dataclasses import replace

from leaml.config import BUNDLED_MODEL, FinetuneConfig, GeneratorConfig, MixtureConfig, SelectionConfig
from leaml.records import Method

BUNDLED_RATES = {"full": 5e-4, "lora": 3e-3, "selective": 3e-3, "shira": 3e-3}
OTHER_RATES = {"full": 1e-5, "lora": 1e-4, "selective": 1e-5, "shira": 1e-4}
GENERATOR_RATES = {"full": 1e-3, "selective": 1e-2}
"""Of the bundled model; others take OTHER_RATES."""
OTHER_PASSES = 1.0
"""Of other models, at least: the captions and the instructions of LLaVA-1.5 (Liu et al. 2023), too, were read once."""
PAPERS_CAPTION_WEIGHT = 1.0
CONTRAST = 1.0
SELECTION = SelectionConfig()
MOVES = {"lora": "lora", "leaml": "lora", "leaml_reviewed": "lora"}
"""What moves where nobody says; of other methods all weights."""


def model_recipe(method: Method, *, model: str = BUNDLED_MODEL, update: str | None = None) -> FinetuneConfig:
    """Return the settings of a method's training.

    Args:
        method: Its name.
        model: The pretrained model.
        update: Which weights move; None leaves it to the method.

    Raises:
        ConfigError: If the method is known for another update.
    """
    moves = update or MOVES.get(method, "full")
    chosen = FinetuneConfig(method, model=model, update=moves if method.startswith("leaml") else update)  # type: ignore[arg-type]
    rates = BUNDLED_RATES if model == BUNDLED_MODEL else OTHER_RATES
    if method.startswith("leaml") and model == BUNDLED_MODEL:
        chosen = replace(chosen, starts_from="generator")
    if method == "leaml":
        chosen = replace(chosen, mixture=MixtureConfig(pseudo_share=0.5, weighting="acceptance"))
    passes = None if model == BUNDLED_MODEL else OTHER_PASSES
    return replace(chosen, train=replace(chosen.train, learning_rate=rates[moves], passes=passes))


def generator_recipe(*, model: str = BUNDLED_MODEL, selection: SelectionConfig | None = SELECTION) -> GeneratorConfig:
    """Return the settings of a generator's training; without a selection all weights move."""
    moves = "full" if selection is None else "selective"
    if model != BUNDLED_MODEL:
        chosen = GeneratorConfig(
            model=model, selection=selection, caption_weight=PAPERS_CAPTION_WEIGHT, judge_update="lora"
        )
        judge = replace(chosen.judge, learning_rate=OTHER_RATES["lora"], passes=OTHER_PASSES)
        train = replace(chosen.train, learning_rate=OTHER_RATES[moves], passes=OTHER_PASSES)
        return replace(chosen, train=train, judge=judge)
    chosen = GeneratorConfig(
        selection=selection,
        contrast=CONTRAST,
        judge_update="lora",
        judge_starts_from="generator",
        answered_by="judge",
    )
    # As long as the models that people compare: it is one, but for the pairs.
    judge = replace(chosen.judge, steps=model_recipe("lora").train.steps, learning_rate=BUNDLED_RATES["lora"])
    return replace(chosen, train=replace(chosen.train, learning_rate=GENERATOR_RATES[moves]), judge=judge)
