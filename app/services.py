"""The one place where the parts are put together: store, background runs, resident models, settings.

Screens ask this object and draw what it returns. It knows no HTML and no Gradio.
"""

import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from app import neighbours_text, terminal_text, text, train_text
from app.asking import Asking
from app.choosing import Choosing
from app.errors import InputError
from app.importing import import_images
from app.label_queue import LabelQueue
from app.learnt import Learnt, models_in_use
from app.queue_learning import QueueLearning
from app.scores import Evaluations, RunScores
from app.settings import LOCAL_HOSTS, Settings
from leaml import stats
from leaml.answering import Answerer
from leaml.choices import model_of
from leaml.config import generator_run, model_run
from leaml.data.export import export_now
from leaml.data.labels import Imported, import_labels
from leaml.data.project_folder import SAMPLES, import_project
from leaml.errors import ConfigError, LeamlError
from leaml.ingest import ingest_finished
from leaml.jobs import Jobs, RunDir, highest_number
from leaml.labelling.experts import label_from_references
from leaml.recipes import model_recipe
from leaml.records import METHODS, ImageId, ImageRow, Interval, Method, QuestionType, RunId, Split
from leaml.retest import retest
from leaml.starts import start
from leaml.store import Store
from leaml.store.neighbours import Neighbour, neighbours
from leaml.store.results import ModelRow

ACTIVE = ("queued", "running", "stalled")
RESUMABLE = ("cancelled", "failed", "crashed")
UNKNOWN = ""
"""The kind of a run whose settings cannot be read."""
LABEL_SEED = 0
IMAGES_KNOWN = 4096
LEAVE_S = 0.5


class Services:
    """Everything a screen may ask for or do."""

    def __init__(self, settings: Settings, store: Store, jobs: Jobs, answerer: Answerer) -> None:
        """Take the parts; `open` makes them."""
        self.settings, self.store, self.jobs, self.answerer = settings, store, jobs, answerer
        self.needs_sign_in = bool(store.users.all())
        self._starting, self._ingesting = threading.Lock(), threading.Lock()
        self._taken_over: frozenset[str] = frozenset()
        self.scores = RunScores(store)
        self.label_queue = LabelQueue(store, settings.workspace)
        self.queue_learning = QueueLearning(store)
        self.choosing = Choosing(store, settings.workspace, jobs)
        self.asking = Asking(store, settings.workspace, self.choosing, answerer)
        self.learnt = Learnt(store, jobs, self.choosing)
        self.following: Path | None = None
        self.leaving = threading.Event()
        self._images: dict[ImageId, ImageRow] = {}
        self._ratio: float | None = None  # known until images are brought in

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open the workspace, and bring the sample project into a new one.

        Raises:
            StoreLockedError: If another process works in this workspace.
            ConfigError: If others could reach the app without signing in.
            LeamlError: If the workspace or the sample cannot be read.
        """
        workspace = settings.workspace.resolve()
        store = Store.open(workspace)
        if settings.host not in LOCAL_HOSTS and not store.users.all():
            store.close()
            raise ConfigError(terminal_text.host_refused(settings.host, str(settings.workspace)))
        answerer = Answerer(cache=workspace / "cache", log=workspace / "answers.log")
        jobs = Jobs(workspace / "runs", after=highest_number(store.results.ingested()))
        services = cls(replace(settings, workspace=workspace), store, jobs, answerer)
        if settings.sample and store.project() is None:
            services.load_sample()
        services.note_finished()
        services.label_queue.prepare()
        return services

    def close(self) -> None:
        """End the resident models and release the workspace. Background runs go on."""
        self.answerer.close()
        self.queue_learning.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Project

    def load_sample(self) -> None:
        """Bring in the sample project."""
        import_project(self.store, next(iter(SAMPLES.values())))
        self._ratio = None

    def import_images(self, folder: Path, *, name: str, types: tuple[QuestionType, ...]) -> tuple[int, Path]:
        """Bring in a folder of images; return how many there are then, and the workspace they are in.

        Raises:
            InputError: If what was typed cannot be used; see `app.importing`.
            LeamlError: If the folder cannot be read or has no images.
        """
        found = import_images(self.store, folder, name=name, types=types)
        self._ratio = None
        return found

    def neighbours(self) -> list[Neighbour]:
        """Return the projects beside this one; none where people sign in, of whom each would lose the others' page."""
        return [] if self.needs_sign_in else neighbours(self.settings.workspace)

    def open_next(self, workspace: Path) -> None:
        """Have the app go on in another project's workspace, once the page that asked for it has its answer.

        Raises:
            InputError: If that is no project beside this one, or another process has it open.
        """
        if workspace not in [neighbour.workspace for neighbour in self.neighbours() if not neighbour.obstacle]:
            raise InputError(neighbours_text.cannot_open(str(workspace)))
        self.following = workspace
        threading.Timer(LEAVE_S, self.leaving.set).start()

    def save_questions(self, types: tuple[QuestionType, ...], *, author: str) -> None:
        """Set the project's question types.

        Raises:
            InputError: If there is no project yet.
        """
        project = self.store.project()
        if project is None:
            raise InputError(text.NO_PROJECT_TITLE)
        self.store.save_project(replace(project, question_types=types), author=author)

    def export(self, ending: str) -> tuple[int, Path]:
        """Write labels and accepted pairs, or people's answers, into the workspace; return how many, and the file."""
        return export_now(self.store, self.settings.workspace / "exports", ending)

    def import_labels(self, content: str, *, author: str) -> Imported:
        """Bring in the answers of a CSV file's content."""
        return import_labels(self.store, content, author=author)

    def image(self, image_id: ImageId) -> ImageRow:
        """Return one image; images never change, so those seen lately are not looked up again.

        Raises:
            StoreError: If there is none of this id.
        """
        found = self._images.get(image_id)
        if found is None:
            if len(self._images) >= IMAGES_KNOWN:
                self._images.clear()
            found = self._images[image_id] = self.store.image(image_id)
        return found

    def image_path(self, image: ImageRow) -> Path:
        """Return where an image's file is."""
        return self.settings.workspace / image.path

    def image_ratio(self) -> float:
        """Return width to height of the project's middle image, kept within what fits beside a card."""
        if self._ratio is None:
            self._ratio = min(1.7, max(1.1, self.store.image_ratio() or 4 / 3))
        return self._ratio

    # Labels and review

    def label_count(self) -> int:
        """Return how many questions about pool images are answered."""
        return sum(self.store.label_counts().values())

    def open_count(self) -> int:
        """Return how many pairs wait for review."""
        return self.store.queue.counts().open

    def labels_on_offer(self) -> int:
        """Return how many questions up to the budget the reference answers could label."""
        missing = max(0, self.settings.label_budget - self.label_count())
        return min(missing, self.store.answered.count_references_left()) if missing else 0

    def reviewed_enough(self) -> bool:
        """Return whether enough pairs are decided to go on to the models: as many as labels are asked for, or all."""
        counts = self.store.queue.counts()
        decided = counts.accepted + counts.edited + counts.rejected
        return bool(decided) and (decided >= self.settings.label_budget or not counts.open)

    def label_for_me(self) -> int:
        """Let the reference answers label up to the budget; return how many they labelled."""
        count = self.labels_on_offer()  # none where somebody else pressed at the same moment
        return label_from_references(self.store, count=count, seed=LABEL_SEED) if count else 0

    # Runs

    def runs(self) -> list[RunDir]:
        """Return all runs, newest first."""
        return self.jobs.runs()

    def start_generator(self) -> RunId:
        """Queue a run that trains the generator and writes pairs.

        Raises:
            InputError: If there is nothing to train on, or one runs already.
            ConfigError: If the teacher's key is not where the project's settings say.
        """
        with self._starting:
            if reason := self.obstacles().get("generator"):
                raise InputError(reason)
            config = self.choosing.generator()
            if (steps := self.settings.generator_steps) is not None:
                judge = config.judge.with_steps(min(steps, config.judge.steps))
                config = replace(config, train=config.train.with_steps(steps), judge=judge)
            self.answerer.release()
            return start(self.store, self.jobs, generator_run(config))

    def start_methods(self, methods: tuple[Method, ...]) -> int:
        """Queue a training and test of each method that can run now; return how many.

        Raises:
            InputError: If none of them can run; the message is the first one's reason.
        """
        with self._starting:
            obstacles = self.obstacles()
            ready = [method for method in methods if method not in obstacles]
            if not ready:
                raise InputError(next((obstacles[method] for method in methods), text.NOTHING_TO_TRAIN))
            choices = self.choosing.choices()
            self.answerer.release()
            for method in ready:
                config = model_recipe(method, model=choices.model)
                config = model_of(choices, config)
                if (steps := self.settings.finetune_steps) is not None:
                    config = replace(config, train=config.train.with_steps(steps))
                start(self.store, self.jobs, model_run(config))
            return len(ready)

    def to_test_again(self) -> list[ModelRow]:
        """Return the newest models that were not asked all of today's test, but for those that a run makes anew."""
        latest, active = self.latest_models(), self._active_kinds()
        return [latest[method] for method in METHODS if method in self.evaluations().behind and method not in active]

    def test_again(self) -> int:
        """Queue a test of each of these models; return how many."""
        with self._starting:
            waiting = self.to_test_again()
            if waiting:
                self.answerer.release()
            for model in waiting:
                retest(self.store, self.jobs, RunId(model.run_id))
            return len(waiting)

    def resume(self, run_id: RunId) -> None:
        """Let a stopped run go on.

        Raises:
            RunError: If it is done or still going.
        """
        self.answerer.release()
        self.jobs.resume(run_id)

    def obstacles(self) -> dict[str, str]:
        """Return what cannot be trained now, and why: by method, or `generator`."""
        labels, reviewed = self.label_count(), self.store.answered.count_reviewed()
        pairs, test = self.open_count() + reviewed, self.store.held_out.questions()  # pairs that nobody has rejected
        kept, free = self.store.image_count("test"), self.store.image_count("pool")
        no_test = text.NEEDS_TEST if kept else text.NEEDS_TEST_IMAGES if free else text.NEEDS_IMAGES
        no_images, no_labels = (not free, text.NEEDS_IMAGES), (not labels, text.NEEDS_LABELS)
        all_labelled = (not self.store.unlabelled_count(), train_text.NEEDS_UNLABELLED)
        checks: dict[str, list[tuple[bool, str]]] = {"generator": [no_images, no_labels, all_labelled]}
        for method in METHODS:
            checks[method] = [(not test, no_test), (method != "zero_shot" and not labels, text.NEEDS_LABELS)]
        checks["leaml"].append((not pairs, text.NEEDS_GENERATOR))
        checks["leaml_reviewed"] += [(not pairs, text.NEEDS_GENERATOR), (not reviewed, text.NEEDS_REVIEW)]
        found = {kind: next((reason for holds, reason in rules if holds), "") for kind, rules in checks.items()}
        found.update(dict.fromkeys(self._active_kinds(), text.IS_RUNNING))
        return {kind: reason for kind, reason in found.items() if reason}

    def note_finished(self, *, wait: bool = True) -> None:
        """Take finished runs over; one that cannot be is said on the Train screen alone."""
        with suppress(LeamlError):
            self.take_over_finished(wait=wait)

    def take_over_finished(self, *, wait: bool = True) -> None:
        """Bring what finished runs left into the store, nothing twice; without `wait`, leave it to who does it now."""
        if self._ingesting.acquire(blocking=wait):
            try:
                done = frozenset(run.path.name for run in self.runs() if run.state().name == "done")
                if done != self._taken_over:
                    ingest_finished(self.store, self.jobs)
                    self._taken_over = done
            finally:
                self._ingesting.release()

    def writes_pairs(self) -> bool:
        """Tell whether a question generator is being trained, or waits for it."""
        return "generator" in self._active_kinds()

    def _active_kinds(self) -> set[str]:
        kinds = {run_kind(run) for run in self.runs() if run.state().name in ACTIVE}
        return kinds - {UNKNOWN}

    # Models

    def latest_models(self) -> dict[Method, ModelRow]:
        """Return the newest model of each method, in the order in which they are shown.

        One that learnt from the pairs of a round that was taken back is not among them.
        """
        newest = {row.method: row for row in models_in_use(self.store)}
        return {method: newest[method] for method in METHODS if method in newest}

    def comparable(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the newest models' runs, and the kinds of runs on their way: what the comparison changes with."""
        return tuple(str(row.run_id) for row in self.latest_models().values()), tuple(sorted(self._active_kinds()))

    def evaluations(self) -> Evaluations:
        """Return the test answers of the majority baseline (`majority`) and of the newest model of each method."""
        return self.scores.evaluations({method: RunId(row.run_id) for method, row in self.latest_models().items()})

    def round_accuracy(self) -> dict[int, Interval]:
        """Return the average test accuracy of each round's newest tested model of pairs, reviewed ones first."""
        rows = [row for row in self.store.results.models() if row.pairs and self.scores.answers(row.run_id)]
        rows.sort(key=lambda row: METHODS.index(row.method))
        newest = {f"{row.round}": self.scores.answers(row.run_id) for row in rows}
        shared = stats.in_common(newest)  # the test may have grown between them
        return {int(number): self.scores.of(answers)[1] for number, answers in shared.items() if answers}


def run_kind(run: RunDir) -> str:
    """Return `generator`, or the method of the model that a run makes; `UNKNOWN` where its settings do not say."""
    try:
        config = run.config()
    except LeamlError:
        return UNKNOWN
    method = str((config.get("finetune") or {}).get("method", ""))
    return "generator" if config.get("generator") else method if method in METHODS else UNKNOWN


def count_by_type(services: Services, split: Split = "pool") -> dict[str | None, int]:
    """Return how many answers of people each question type has; None holds free questions, if there are any."""
    project = services.store.project()
    found = services.store.label_counts(split)
    counts: dict[str | None, int] = {kind.id: 0 for kind in (project.question_types if project else ())}
    return counts | found
