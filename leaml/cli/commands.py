"""`python -m leaml ...`: everything the app can do, without a browser.

Exit codes: 0 done; 1 a LeamlError, its sentence on standard error; 2 wrong arguments; 130 interrupted (runs go on).
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from leaml.choices import generator_of, model_of, read_choices
from leaml.cli.labels import add_label_commands
from leaml.cli.options import require_read
from leaml.cli.people import add_people_commands
from leaml.cli.sampling import add_sampling_options, sampling_run
from leaml.cli.serve import add_serve_command
from leaml.cli.teacher import add_check_command, add_teacher_options, announce, announce_again, teacher_of
from leaml.cli.typed import model_name, row_budget
from leaml.config import (
    GENERATOR_STAGES,
    MODEL_STAGES,
    PRECISIONS,
    UPDATES,
    RunConfig,
    SelectionConfig,
    generator_run,
    model_run,
)
from leaml.data.export import ANSWERS, export
from leaml.data.folder import import_folder
from leaml.data.project_folder import SAMPLES, import_project
from leaml.data.sportu import import_sportu
from leaml.errors import ConfigError, LeamlError, RunError
from leaml.ingest import ingest_finished
from leaml.jobs import Jobs, RunDir, RunState, highest_number
from leaml.labelling.experts import label_from_references, review_with_policy
from leaml.loop import run_round
from leaml.recipes import generator_recipe, model_recipe
from leaml.records import METHODS, Method, RunId
from leaml.retest import retest
from leaml.starts import start
from leaml.store import Store
from leaml.store.workspace import keep_private, require_workspace
from leaml.training.passes import unread

DEFAULT_WORKSPACE = Path("workspace")
DEFAULT_METHOD: Method = "leaml_reviewed"
WAITING_TURNS = "300000"
"""About a millisecond: longer than OpenMP's threads wait for each other within a step."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    arguments = build_parser().parse_args(argv)
    keep_private()
    try:
        arguments.command(arguments)
    except LeamlError as error:
        print(f"leaml: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nleaml: interrupted. Background runs go on; see `python -m leaml runs`.", file=sys.stderr)
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(prog="python -m leaml", description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", type=Path, default=DEFAULT_WORKSPACE, help="folder of the project [./workspace]")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_data_commands(commands)
    _add_run_commands(commands)
    _add_loop_command(commands)
    add_label_commands(commands)
    add_people_commands(commands)
    add_serve_command(commands)
    add_check_command(commands)
    return parser


def _add_data_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("import", help="bring in a sample, a project folder, or a folder of images")
    command.add_argument(
        "folder", type=Path, nargs="?", help="project folder (with project.json), or folder of images or clips"
    )
    command.add_argument("--sample", choices=SAMPLES, help="a project that comes with LEAML Studio")
    command.add_argument("--name", help="name of the project, for a folder of images or clips")
    command.add_argument(
        "--sportu", type=Path, nargs="+", metavar="FILE", help="SPORTU's questions about a folder of clips"
    )
    command.set_defaults(command=_import)
    command = commands.add_parser("label", help="answer questions from the reference answers, as a simulated expert")
    command.add_argument("--count", type=int, default=40, help="how many questions [40]")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(command=_label)
    command = commands.add_parser("review", help="decide on pseudo pairs by a policy")
    command.add_argument("--policy", required=True, help="reference, accept-all, or threshold=X (agreement, 0 to 1)")
    command.add_argument("--limit", type=int, help="at most so many [all]")
    command.set_defaults(command=_review)
    command = commands.add_parser("export", help="write labels and accepted pairs, or all answers of people")
    command.add_argument(
        "file", type=Path, help="ends in .parquet, .jsonl, .json (LLaVA conversations), or .csv (answers and authors)"
    )
    command.set_defaults(command=_export)


def _add_run_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("run", help="train or sample in the background: every step up to the one named")
    command.add_argument("stage", choices=(*GENERATOR_STAGES, *MODEL_STAGES))
    command.add_argument("--method", choices=METHODS, help=f"for finetune and evaluate [{DEFAULT_METHOD}]")
    command.add_argument("--model", type=model_name, help="name or path of the pretrained model [the project's]")
    command.add_argument("--precision", choices=PRECISIONS, help="of its weights [the project's]")
    command.add_argument(
        "--steps", type=int, help="training steps of the generator and the second model, or of the model"
    )
    command.add_argument("--row-budget", type=row_budget, help="K entries a row, a share such as 0.1, or `all`")
    command.add_argument("--update", choices=UPDATES, help="what fine-tuning moves [by the method]")
    command.add_argument("--detach", action="store_true", help="start it and return at once")
    add_teacher_options(command)
    add_sampling_options(command)
    command.set_defaults(command=_run)
    command = commands.add_parser("merge", help="write a trained model as an ordinary Hugging Face directory")
    command.add_argument("run", help="its name, such as r0001; a generator's run gives the generator")
    command.add_argument("folder", type=Path)
    command.set_defaults(command=_merge)
    command = commands.add_parser("runs", help="list background runs; show, cancel, resume or test one")
    command.add_argument("action", nargs="?", choices=("list", "show", "cancel", "resume", "test"), default="list")
    command.add_argument("run", nargs="?", help="its name, such as r0001")
    command.set_defaults(command=_runs)


def _add_loop_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("loop", help="one whole round with a simulated expert, in a fresh workspace")
    command.add_argument("--sample", choices=SAMPLES, default=next(iter(SAMPLES)))
    command.add_argument("--labels", type=int, default=40, help="questions that the expert answers [40]")
    command.add_argument("--policy", default="reference", help="how the expert reviews [reference]")
    command.add_argument("--reviews", type=int, default=200, help="pairs that the expert reviews at most [200]")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--json", type=Path, metavar="FILE", help="where to write the result")
    command.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the workspace there; it must be new")
    command.set_defaults(command=_loop)


def _import(arguments: argparse.Namespace) -> None:
    if (arguments.folder is None) == (arguments.sample is None):
        raise ConfigError("Say what to import: either a folder, or --sample " + "|".join(SAMPLES) + ".")
    lacking = 0
    with Store.open(arguments.workspace) as store:
        if arguments.sample or (arguments.folder / "project.json").exists():
            import_project(store, SAMPLES[arguments.sample] if arguments.sample else arguments.folder)
        else:
            name = arguments.name or arguments.folder.resolve().name
            if arguments.sportu:
                lacking = import_sportu(store, arguments.folder, arguments.sportu, name=name)
            else:
                import_folder(store, arguments.folder, name=name)
        pool, test = len(store.images("pool")), len(store.images("test"))
    print(f"{pool + test} images in {arguments.workspace}: {pool} in the pool, {test} for the test.")
    if lacking:
        print(f"{lacking} clips that are asked about are not in {arguments.folder}: they were left out.")


@contextmanager
def _up_to_date(workspace: Path) -> Iterator[tuple[Store, Jobs]]:
    """Open a workspace's store and runs; what runs left that ended while nobody looked is in the store.

    Raises:
        StoreError: If it cannot be opened.
    """
    with Store.open(workspace, make=False) as store:
        jobs = Jobs(workspace / "runs", after=highest_number(store.results.ingested()))
        try:
            ingest_finished(store, jobs)
        except LeamlError as error:  # a damaged run keeps nobody from what needs none of it
            print(f"leaml: {error}", file=sys.stderr)
        yield store, jobs


def _label(arguments: argparse.Namespace) -> None:
    with _up_to_date(arguments.workspace) as (store, _):
        label_from_references(store, count=arguments.count, seed=arguments.seed)
        print(f"{len(store.labels('pool'))} labels.")


def _review(arguments: argparse.Namespace) -> None:
    with _up_to_date(arguments.workspace) as (store, _):
        review_with_policy(store, arguments.policy, limit=arguments.limit)
        counts = store.queue.counts()
    print(f"Accepted {counts.accepted}, edited {counts.edited}, rejected {counts.rejected}, open {counts.open}.")


def _export(arguments: argparse.Namespace) -> None:
    with _up_to_date(arguments.workspace) as (store, _):
        count = export(store, arguments.file)
    what = "answers" if arguments.file.suffix == ANSWERS else "question-answer pairs"
    print(f"{count} {what} in {arguments.file}.")


def _run(arguments: argparse.Namespace) -> None:
    require_read(arguments)
    with _up_to_date(arguments.workspace) as (store, jobs):
        again = sampling_run(arguments, jobs)
        config = again[0] if again else _run_config(arguments, store)
        if config.generator is not None and not again:
            announce(config.generator.teacher, store)
        run_id = jobs.submit(config.to_json(), *again[1:]) if again else start(store, jobs, config)
        print(f"Started {run_id}.")
        if not arguments.detach:
            _follow(jobs, run_id)
            ingest_finished(store, jobs)


def _run_config(arguments: argparse.Namespace, store: Store) -> RunConfig:
    """Return the settings that the arguments of `run` ask for; those of the project where they ask for none."""
    choices = read_choices(arguments.workspace)
    precision = {} if arguments.precision is None else {"precision": arguments.precision}
    if arguments.stage in MODEL_STAGES:
        method = arguments.method or DEFAULT_METHOD
        model = model_recipe(method, model=arguments.model or choices.model, update=arguments.update)
        model = replace(model_of(choices, model), **precision)
        if arguments.steps is not None:
            model = replace(model, train=model.train.with_steps(arguments.steps))
        if arguments.row_budget is not None:
            model = replace(model, selection=SelectionConfig(arguments.row_budget))
        return model_run(model, until=arguments.stage)
    given = {} if arguments.row_budget is None else {"selection": _selection(arguments.row_budget)}
    recipe = generator_recipe(model=arguments.model or choices.model, **given)
    generator = replace(generator_of(choices, recipe), round=store.results.round())
    generator = replace(generator, teacher=teacher_of(arguments, choices.teacher), **precision)
    if arguments.steps is not None:
        train, judge = (part.with_steps(arguments.steps) for part in (generator.train, generator.judge))
        generator = replace(generator, train=train, judge=judge)
    return generator_run(generator, until=arguments.stage)


def _selection(row_budget: int | float | str) -> SelectionConfig | None:
    """Return which entries of a row may move; None for all."""
    return None if isinstance(row_budget, str) else SelectionConfig(row_budget)


def _merge(arguments: argparse.Namespace) -> None:
    require_workspace(arguments.workspace)
    output = Jobs(arguments.workspace / "runs").run(RunId(arguments.run)).path / "output"
    trained = [path for name in ("model", "generator") if (path := output / f"{name}.safetensors").exists()]
    if not trained:
        raise RunError(f"{arguments.run} has no trained model. Choose a run that ended well: `leaml runs`.")
    from leaml.models.backbone import merge  # torch is loaded only where it is needed

    merge(trained[0], arguments.folder)
    print(f"An ordinary model is in {arguments.folder}.")


def _runs(arguments: argparse.Namespace) -> None:
    require_workspace(arguments.workspace)
    jobs = Jobs(arguments.workspace / "runs")
    if arguments.action == "list":
        for run in jobs.runs():
            state = run.state()
            print(f"{run.id}  {state.name:<10} {_stages(run):<50} {state.detail}")
        return
    if arguments.run is None:
        raise ConfigError(f"Say which run to {arguments.action}, such as `runs {arguments.action} r0001`.")
    run_id = RunId(arguments.run)
    if arguments.action == "cancel":
        jobs.cancel(run_id)
        print(f"{run_id} stops after its current step.")
    elif arguments.action == "resume":
        announce_again(jobs.run(run_id))
        jobs.resume(run_id)
        print(f"{run_id} goes on.")
    elif arguments.action == "test":
        with _up_to_date(arguments.workspace) as (store, jobs):
            print(f"{retest(store, jobs, run_id)} asks the model of {run_id} today's test questions.")
    else:
        run = jobs.run(run_id)
        shown = {"state": run.state().name, "config": run.config(), "outcome": run.outcome()}
        print(json.dumps(shown, indent=2))


def _stages(run: RunDir) -> str:
    """Return a run's stages; what is wrong with it where that cannot be read: the others are listed all the same."""
    try:
        return ", ".join(run.config()["stages"])
    except RunError as error:
        return str(error)


def _loop(arguments: argparse.Namespace) -> None:
    if arguments.keep is not None and arguments.keep.exists():
        raise ConfigError(f"The folder {arguments.keep} exists already. Name a new one for --keep.")
    if arguments.json is not None and not arguments.json.absolute().parent.is_dir():
        raise ConfigError(f"There is no folder {arguments.json.parent}. Name another file for --json.")
    # Nobody else is waited for here: OpenMP's threads may wait awake, which makes the generator's run a tenth faster.
    os.environ.setdefault("GOMP_SPINCOUNT", WAITING_TURNS)
    with tempfile.TemporaryDirectory(prefix="leaml-loop-") as temporary:
        workspace = arguments.keep or Path(temporary)
        with Store.open(workspace) as store, Bars() as bars:
            import_project(store, SAMPLES[arguments.sample])
            result = run_round(
                store,
                Jobs(workspace / "runs"),
                labels=arguments.labels,
                policy=arguments.policy,
                review_limit=arguments.reviews,
                seed=arguments.seed,
                watch=bars.show,
            )
    text = json.dumps(result.to_json(), indent=1)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n")


def _follow(jobs: Jobs, run_id: RunId) -> None:
    """Show a run's progress until it ends.

    Raises:
        RunError: If it did not end well; the message is the run's own.
    """
    with Bars() as bars:
        state = jobs.wait(run_id, on_progress=lambda now: bars.show(run_id, now))
    if state.name != "done":
        raise RunError(f"{run_id} ended as {state.name}: {state.detail}")
    output = jobs.run(run_id).path / "output"
    print("\n".join([f"{run_id} is done. Its files are in {output}.", *unread(output)]))


class Bars:
    """A progress bar for each stage of the runs that are watched."""

    def __init__(self) -> None:
        """Begin with no bar."""
        self._key: tuple[str, str] | None = None
        self._bar: tqdm[None] | None = None

    def show(self, name: str, state: RunState) -> None:
        """Bring the bar up to date, or begin the next one."""
        if state.stage is None or state.total is None:
            return
        if self._key != (name, state.stage):
            self.close()
            self._key = (name, state.stage)
            self._bar = tqdm(total=state.total, desc=f"{name}: {state.stage}", leave=True, dynamic_ncols=True)
        if self._bar is not None:
            self._bar.total = state.total
            self._bar.n = state.step or 0
            if sys.stderr.isatty():  # in a log, the first and the last state of a stage are enough
                self._bar.refresh()

    def close(self) -> None:
        """End the current bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> "Bars":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
