"""Questions to models: two of them side by side, and one's suggestion for a label."""

from pathlib import Path

from app import label_text
from app.choosing import Choosing
from app.errors import InputError
from app.learnt import models_in_use
from leaml.answering import Answer, Answerer, Asked
from leaml.labelling.suggestions import may_be_shown
from leaml.records import ImageRow, QuestionType, Suggestion
from leaml.store import Store
from leaml.store.results import ModelRow


class Asking:
    """The models of one workspace, to be asked about its images."""

    def __init__(self, store: Store, workspace: Path, choosing: Choosing, answerer: Answerer) -> None:
        """Ask through `answerer`; what the base model is, `choosing` says."""
        self._store, self._workspace, self._choosing, self._answerer = store, workspace, choosing, answerer

    def model_path(self, name: str) -> str:
        """Return a model's name or its delta's file, from `base` or the id of the run that made it."""
        rows = {str(row.run_id): row for row in self._store.results.models()}
        row = rows.get(name)
        if row is None or row.method == "zero_shot" or not row.path:
            return self._choosing.choices().model
        path = Path(row.path)
        return str(path if path.is_absolute() else self._workspace / path)

    def suggesting_model(self) -> ModelRow | None:
        """Return the newest trained model, which suggests answers; None before the first."""
        trained = [row for row in models_in_use(self._store) if row.method != "zero_shot" and row.path]
        return trained[-1] if trained else None

    def suggest(self, image: ImageRow, kind: QuestionType) -> Suggestion:
        """Return the newest model's answer to a question, and whether it may be shown.

        Raises:
            InputError: If there is no trained model.
            ModelError: If it cannot answer.
        """
        model = self.suggesting_model()
        if model is None:
            raise InputError(label_text.NO_SUGGESTING_MODEL)
        name = str(model.run_id)
        (found,) = self.ask([name], image, kind.question, kind.options, off=frozenset())
        figures, answer = found.option_probabilities, found.text
        if figures:
            answer = kind.options[figures.index(max(figures))]
        return Suggestion(name, answer, tuple(figures), may_be_shown(image.id, kind.question))

    def ask(
        self, names: list[str], image: ImageRow, question: str, options: tuple[str, ...], *, off: frozenset[int]
    ) -> list[Answer]:
        """Return each named model's answer.

        Args:
            names: Of the models: `base`, or the id of the run that made it.
            image: What the question is about.
            question: Without its options.
            options: Empty for an open question.
            off: Places in `names` whose model answers with the pretrained model's own values.

        Raises:
            ModelError: If a model cannot answer.
        """
        precision = self._choosing.choices().precision
        models = [
            Asked(self.model_path(name), adapter=place not in off, precision=precision)
            for place, name in enumerate(names)
        ]
        path = self._workspace / image.path
        return self._answerer.ask(models, image_id=image.id, image=path, question=question, options=options)
