"""One round of the loop without a person: label, train the generator, review, fine-tune, evaluate.

The expert is simulated from the reference answers of pool images. Every stage is an ordinary background run, so that
the round leaves the same runs, events and models as one done in the browser.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from leaml import stats
from leaml.choices import Choices, generator_of, model_of, read_choices
from leaml.config import FinetuneConfig, GeneratorConfig, RunConfig, SamplingConfig, generator_run, model_run
from leaml.errors import RunError
from leaml.experts import label_from_references, review_with_policy
from leaml.ingest import ingest_finished
from leaml.jobs import Jobs, RunState
from leaml.recipes import generator_recipe, model_recipe
from leaml.records import METHODS, Interval, Method, RunId
from leaml.starts import start
from leaml.store import Store

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
        stages: Seconds by stage; a model's stages are named `finetune:METHOD` and `evaluate:METHOD`.
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
    stages: dict[str, float] = {}
    label_from_references(store, count=labels, seed=seed)
    # Of what the project chose, how it learns: model and teacher are those that every figure was measured with.
    choices = Choices(flips=read_choices(store.workspace).flips)
    generator = generator_of(choices, seeded_generator(seed, store.results.round()))
    _complete(store, jobs, generator_run(generator), "generator", stages, watch)
    groups = {image.id: image.group for image in store.images("test")}
    accuracy: dict[str, Interval] = {}
    for method in METHODS:
        if method == "leaml_reviewed":
            review_with_policy(store, policy, limit=review_limit)
        config = model_run(model_of(choices, seeded_finetune(method, seed)))
        run_id = _complete(store, jobs, config, method, stages, watch)
        accuracy[method] = stats.macro_accuracy(store.results.predictions(run_id), groups)
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


def _complete(store: Store, jobs: Jobs, config: RunConfig, name: str, stages: dict[str, float], watch: Watch) -> RunId:
    """Run to its end, take over what it left, and note its stages' seconds."""
    run_id = start(store, jobs, config)
    state = jobs.wait(run_id, on_progress=lambda now: watch(name, now))
    if state.name != "done":
        raise RunError(f"The run {run_id} ({name}) ended as {state.name}: {state.detail}")
    ingest_finished(store, jobs)
    outcome = jobs.run(run_id).outcome() or {}
    for stage, seconds in outcome.get("stages", {}).items():
        stages[stage if config.generator else f"{stage}:{name}"] = round(seconds, 1)
    return run_id
