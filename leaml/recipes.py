"""The settings of each training unless a person asks for others.

For the bundled model they are what was best inside the pool of the sample (benchmarks/label_efficiency/tuning.csv):
reviewed pairs are learnt better by LoRA than by all weights. Other models were not measured here; they start from the
paper's learning rate, and LoRA from ten times that, and learn captions by the paper's loss alone. Their second
opinion learns by LoRA: trained as a whole it would take more memory than anything else in a round. Pairs that nobody
looked at are half of each batch and count as much as people would accept them, once a hundred decisions tell; until
then as much as the second opinion believes in them. The paper takes all alike.
"""

from dataclasses import replace
from typing import Literal

from leaml.config import BUNDLED_MODEL, FinetuneConfig, GeneratorConfig, MixtureConfig, SelectionConfig
from leaml.records import Method

BUNDLED_RATES = {"full": 5e-4, "lora": 3e-3, "selective": 3e-3, "shira": 3e-3}
OTHER_RATES = {"full": 1e-5, "lora": 1e-4, "selective": 1e-5, "shira": 1e-4}
GENERATOR_RATES = {"full": 1e-3, "selective": 1e-2}
"""Of the bundled model; others take OTHER_RATES."""
CONTRAST = 1.0
SELECTION = SelectionConfig()
MOVES = {"lora": "lora", "leaml_reviewed": "lora"}
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
    if method == "leaml":
        chosen = replace(chosen, mixture=MixtureConfig(pseudo_share=0.5, weighting="acceptance"))
    return replace(chosen, train=replace(chosen.train, learning_rate=rates[moves]))


def generator_recipe(*, model: str = BUNDLED_MODEL, selection: SelectionConfig | None = SELECTION) -> GeneratorConfig:
    """Return the settings of a generator's training; without a selection all weights move."""
    moves = "full" if selection is None else "selective"
    rates = GENERATOR_RATES if model == BUNDLED_MODEL else OTHER_RATES
    judge_update: Literal["full", "lora"] = "full" if model == BUNDLED_MODEL else "lora"
    judge_rates = BUNDLED_RATES if model == BUNDLED_MODEL else OTHER_RATES
    contrast = CONTRAST if model == BUNDLED_MODEL else 0.0
    chosen = GeneratorConfig(model=model, selection=selection, judge_update=judge_update, contrast=contrast)
    train = replace(chosen.train, learning_rate=rates[moves])
    return replace(chosen, train=train, judge=replace(chosen.judge, learning_rate=judge_rates[judge_update]))
