"""What the Project screen needs to choose a model and a teacher: the choice, a test of it, and what it would take."""

from dataclasses import dataclass, replace
from pathlib import Path

from app import choice_text
from app.errors import InputError
from leaml.choices import Choices, generator_of, read_choices, write_choices
from leaml.config import GeneratorConfig
from leaml.errors import RunError
from leaml.estimate import Estimate, ModelFacts, Size, estimate, largest_of, model_facts, with_clips, with_pairs
from leaml.jobs import Jobs
from leaml.records import ImageRow
from leaml.store import Store
from leaml.teacher.config import TeacherConfig
from leaml.teacher.key import read_key
from leaml.teacher.probe import Probe, probe

TIMED_STAGES = ("importance", "generator", "judge", "sample")


@dataclass(frozen=True)
class Outlook:
    """What a round of the generator would take with a model.

    Attributes:
        facts: Of the model.
        estimate: Of the round.
        measured: Whether its time is that of an earlier run instead of a guess.
    """

    facts: ModelFacts
    estimate: Estimate
    measured: bool


class Choosing:
    """The project's model and teacher."""

    def __init__(self, store: Store, workspace: Path, jobs: Jobs) -> None:
        """Choose for the project in this workspace."""
        self._store, self._workspace, self._jobs = store, workspace, jobs
        self._facts: dict[tuple[str, Size | None], ModelFacts] = {}

    def choices(self) -> Choices:
        """Return what is chosen.

        Raises:
            ConfigError: If it cannot be read.
        """
        return read_choices(self._workspace)

    def save(self, choices: Choices) -> None:
        """Keep another choice, if its model can be used and the teacher's key is there.

        Raises:
            LeamlError: If it cannot be used or written; the former one still holds.
        """
        read_key(choices.teacher)
        self.look_at(choices.model)
        write_choices(self._workspace, choices)

    def look_at(self, model: str) -> None:
        """Find out what a model is; it takes some seconds the first time.

        Raises:
            ModelError: If it cannot be used.
        """
        key = (model, largest_of(self._store.images("pool")))
        if key not in self._facts:
            self._facts[key] = model_facts(*key)

    def outlook(self, choices: Choices) -> Outlook | None:
        """Return what a round would take; None where the model has not been looked at with images of this size."""
        facts = self._facts.get((choices.model, largest_of(self._store.images("pool"))))
        if facts is None:
            return None
        config = generator_of(choices)
        images = self._store.answered.unlabelled()
        project = self._store.project()
        shown = with_clips(facts, (image.path for image in images))
        shown = with_pairs(shown, project.question_types if project else ())
        found = estimate(shown, config, images=len(images), saves_memory=choices.saves_memory)
        took = self._last_took(choices.model)
        return Outlook(facts, found if took is None else replace(found, seconds=took), took is not None)

    def without_caption(self, teacher: TeacherConfig) -> int:
        """Return how many images this teacher has not described yet."""
        return self._store.captions.count_missing(teacher.name, teacher.prompt)

    def test_image(self) -> ImageRow:
        """Return the image that a teacher is tested with.

        Raises:
            InputError: If there is none.
        """
        pool = self._store.answered.unlabelled() or self._store.images("pool")
        if not pool:
            raise InputError(choice_text.NO_IMAGES)
        return pool[0]

    def test(self, teacher: TeacherConfig) -> Probe:
        """Have a teacher describe one image.

        Raises:
            LeamlError: If it does not; with its own words.
        """
        return probe(teacher, self._workspace / self.test_image().path)

    def generator(self) -> GeneratorConfig:
        """Return the settings of the next generator.

        Raises:
            ConfigError: If the teacher's key is not where the settings say.
        """
        choices = self.choices()
        read_key(choices.teacher)
        return replace(generator_of(choices), round=self._store.results.round())

    def _last_took(self, model: str) -> float | None:
        """Return how long the last round with this model took without its captions, seconds; None before the first."""
        for run in self._jobs.runs():
            try:
                generator = run.config().get("generator") or {}
            except RunError:  # the Train screen says it
                continue
            stages = (run.outcome() or {}).get("stages", {})
            if generator.get("model") == model and all(stage in stages for stage in TIMED_STAGES):
                return float(sum(stages[stage] for stage in TIMED_STAGES))
        return None
