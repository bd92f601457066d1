"""What a project's runs use unless they are told otherwise: kept as `settings.json` in its workspace."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from leaml.config import (
    BUNDLED_MODEL,
    FLIPS,
    PRECISIONS,
    FinetuneConfig,
    Flips,
    GeneratorConfig,
    Precision,
    TrainConfig,
)
from leaml.errors import ConfigError
from leaml.jobs.files import write_json
from leaml.json_config import JsonConfig, require
from leaml.recipes import generator_recipe
from leaml.teacher.config import TeacherConfig

CHOICES_FILE = "settings.json"


@dataclass(frozen=True)
class Choices(JsonConfig):
    """The backbone and the teacher of a project.

    Attributes:
        model: Name or folder of the pretrained model that every run starts from.
        teacher: Where captions come from.
        precision: Of the weights of `model`.
        saves_memory: Train with one sample at a time and compute activations twice: the same updates, slower.
        flips: How the project's pictures may be mirrored: not where a side has a meaning of its own.
    """

    model: str = BUNDLED_MODEL
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    precision: Precision = "float32"
    saves_memory: bool = False
    flips: Flips = "none"

    def __post_init__(self) -> None:
        """Check each value."""
        require(self.model.strip() != "", "model", self.model, "the name or the folder of a model")
        require(self.precision in PRECISIONS, "precision", self.precision, " or ".join(PRECISIONS))
        require(self.flips in FLIPS, "flips", self.flips, "one of " + ", ".join(FLIPS))


def read_choices(workspace: Path) -> Choices:
    """Return what was chosen for the project; what needs no choice where nothing was.

    Raises:
        ConfigError: If the file cannot be read.
    """
    path = workspace / CHOICES_FILE
    try:
        return Choices.from_json(json.loads(path.read_text()))
    except FileNotFoundError:
        return Choices()
    except (OSError, ValueError, TypeError, AttributeError, ConfigError) as error:
        raise ConfigError(
            f"Cannot read the project's settings in {path}: {error} Remove that file and choose anew."
        ) from error


def write_choices(workspace: Path, choices: Choices) -> None:
    """Keep what was chosen.

    Raises:
        ConfigError: If it cannot be written; what was chosen before still holds.
    """
    try:
        write_json(workspace / CHOICES_FILE, choices.to_json())
    except OSError as error:
        raise ConfigError(
            f"Cannot save the project's settings: {error}. What was chosen before still holds."
        ) from error


def trained(config: TrainConfig, choices: Choices) -> TrainConfig:
    """Return a training's settings as the project wants them."""
    if not choices.saves_memory:
        return config
    return replace(config, accumulation=config.batch_size, checkpoint_activations=True)


def generator_of(choices: Choices, recipe: GeneratorConfig | None = None) -> GeneratorConfig:
    """Return a generator's settings as the project wants them; a recipe of another backbone keeps that."""
    config = recipe or generator_recipe(model=choices.model)
    train, judge = (replace(trained(part, choices), flips=choices.flips) for part in (config.train, config.judge))
    return replace(config, precision=choices.precision, teacher=choices.teacher, train=train, judge=judge)


def model_of(choices: Choices, recipe: FinetuneConfig) -> FinetuneConfig:
    """Return a model's settings as the project wants them."""
    train = replace(trained(recipe.train, choices), flips=choices.flips)
    return replace(recipe, precision=choices.precision, train=train)
