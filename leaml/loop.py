"""One round of the loop without a person: label, train the generator, review, fine-tune, evaluate.

The expert is simulated from the reference answers of pool images. Every stage is an ordinary background run, so that
the round leaves the same runs, events and models as one done in the browser.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, TypeVar

from leaml import stats
from leaml.choices import Choices, generator_of, model_of, read_choices
from leaml.config import FinetuneConfig, GeneratorConfig, SamplingConfig, generator_run, model_run
from leaml.errors import RunError
from leaml.ingest import ingest_finished
from leaml.jobs import Jobs, RunDir, RunState
from leaml.jobs.environment import cores
from leaml.labelling.experts import label_from_references, review_with_policy
from leaml.recipes import generator_recipe, model_recipe
from leaml.records import METHODS, Interval, Method, RunId
from leaml.starts import start
from leaml.store import Store

MODELS_AT_ONCE = 2
"""Each on half of the cores. The bundled model is too small to keep them all busy, and takes little memory."""
ENDING_S = 60.0
"""Longest time that a run which is asked to stop may take."""

Name = TypeVar("Name", bound=str)
Watch = Callable[[str, RunState], None]
"""Hears a run's name and state while it goes on."""


@dataclass(frozen=True)
class LoopResult:
    """What one round gave.

    Attributes:
        accuracy: Macro accuracy on the test questions by method, `majority` (the labels' most frequent answers) too.
        test_questions: How many they are.
        labels: Given by the simulated expert.
        candidates: Pseudo pairs that the generator wrote.
        reviewed: How many of them the expert decided on.
        seconds: Of the whole round.
        stages: Seconds by stage; a model's stages are named `finetune:METHOD` and `evaluate:METHOD`. Two models are
            made at once where there are cores for both, so that these add up to more than the whole.
    """

    accuracy: dict[str, Interval]
    test_questions: int
    labels: int
    candidates: int
    reviewed: int
    seconds: float
    stages: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values; intervals as `macro`, `low`, `high`."""
        accuracy = {name: {"macro": row.value, "low": row.low, "high": row.high} for name, row in self.accuracy.items()}
        return {**asdict(self), "accuracy": accuracy}


def run_round(
    store: Store, jobs: Jobs, *, labels: int, policy: str, review_limit: int, seed: int, watch: Watch
) -> LoopResult:
    """Run one round on a workspace that holds a project with reference answers.

    Args:
        store: The workspace's store.
        jobs: Its runs.
        labels: How many questions the simulated expert answers.
        policy: How it reviews: `reference`, `accept-all` or `threshold=X`.
        review_limit: How many candidates it reviews at most.
        seed: Of the choice of labels and of all training.
        watch: Hears progress.

    Raises:
        LeamlError: If a stage fails; the message is the stage's own.
    """
    began = time.perf_counter()
    label_from_references(store, count=labels, seed=seed)
    # Of what the project chose, how it learns: model and teacher are those that every figure was measured with.
    choices = Choices(flips=read_choices(store.workspace).flips)
    generator = generator_of(choices, seeded_generator(seed, store.results.round()))
    with _stopped_where_it_breaks(jobs):
        made = _completed(jobs, {"generator": start(store, jobs, generator_run(generator))}, watch)
        ingest_finished(store, jobs)
        models = _completed(jobs, _start_models(store, jobs, choices, seed, policy, review_limit), watch)
        ingest_finished(store, jobs)
    stages = _seconds(made["generator"])
    stages |= {f"{stage}:{name}": s for name, run in models.items() for stage, s in _seconds(run).items()}
    groups = {image.id: image.group for image in store.images("test")}
    accuracy: dict[str, Interval] = {}
    for name, run in models.items():
        accuracy[name] = stats.macro_accuracy(store.results.predictions(run.id), groups)
    given = [label.pair for label in store.labels("pool")]
    majority = stats.majority_predictions(given, store.held_out.questions())
    counts = store.queue.counts()
    return LoopResult(
        accuracy={"majority": stats.macro_accuracy(majority, groups), **accuracy},
        test_questions=len(majority),
        labels=len(given),
        candidates=len(store.results.candidates()),
        reviewed=counts.accepted + counts.edited + counts.rejected,
        seconds=time.perf_counter() - began,
        stages=stages,
    )


def seeded_generator(seed: int, round_number: int) -> GeneratorConfig:
    """Return the default generator settings with one seed for all that is random."""
    default = generator_recipe()
    return replace(
        default,
        round=round_number,
        train=replace(default.train, seed=seed),
        judge=replace(default.judge, seed=seed),
        sampling=SamplingConfig(seed=seed),
    )


def seeded_finetune(method: Method, seed: int) -> FinetuneConfig:
    """Return the default settings of one method with a seed."""
    default = model_recipe(method)
    return replace(default, train=replace(default.train, seed=seed))


def _start_models(
    store: Store, jobs: Jobs, choices: Choices, seed: int, policy: str, review_limit: int
) -> dict[Method, RunId]:
    """Queue all models, the last one on what the expert has reviewed; two are made at once where there are cores."""
    beside = Jobs(jobs.runs_dir, at_once=min(MODELS_AT_ONCE, cores()))
    started: dict[Method, RunId] = {}
    for method in METHODS:
        if method == "leaml_reviewed":
            review_with_policy(store, policy, limit=review_limit)
        started[method] = start(store, beside, model_run(model_of(choices, seeded_finetune(method, seed))))
    return started


def _completed(jobs: Jobs, started: Mapping[Name, RunId], watch: Watch) -> dict[Name, RunDir]:
    """Wait for the end of runs, and return them."""
    for name, run_id in started.items():
        state = jobs.wait(run_id, on_progress=partial(watch, name))
        if state.name != "done":
            raise RunError(f"The run {run_id} ({name}) ended as {state.name}: {state.detail}")
    return {name: jobs.run(run_id) for name, run_id in started.items()}


@contextmanager
def _stopped_where_it_breaks(jobs: Jobs) -> Iterator[None]:
    """Leave no run behind that goes on for nobody."""
    try:
        yield
    except BaseException:
        alive = [run for run in jobs.runs() if run.alive()]
        for run in alive:
            run.request_cancel()
        for run in alive:
            jobs.wait(run.id, timeout_s=ENDING_S)
            jobs.wait_for_end(run)
        raise


def _seconds(run: RunDir) -> dict[str, float]:
    """Return the seconds of a run's stages."""
    return {stage: round(took, 1) for stage, took in (run.outcome() or {}).get("stages", {}).items()}
