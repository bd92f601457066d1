"""Starts runs on what the store knows now; a fine-tuning that goes on from the question generator is given its weights.

Which generator that is, and whether there is one, is found out here and not by the run: it belongs to the moment.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from leaml.config import FinetuneConfig, RunConfig
from leaml.errors import RunError
from leaml.freeze import freeze
from leaml.jobs import Jobs
from leaml.records import RunId
from leaml.stage_context import GENERATOR_FILE, START_FILE
from leaml.store import Store


def start(store: Store, jobs: Jobs, config: RunConfig) -> RunId:
    """Queue a run on the store's current state; return its name.

    A model that is to start from a generator starts from the pretrained weights where there is none of the latest
    round, of the same pretrained model; its settings say so.

    Raises:
        SnapshotError: If there is no project, or the wall between pool and test would be broken.
        RunError: If the run cannot be started.
    """
    generator = _generator_for(store, jobs, config.finetune)
    if config.finetune is not None and generator is None:
        config = replace(config, finetune=replace(config.finetune, starts_from="pretrained"))

    def write_output(directory: Path) -> None:
        if generator is not None:
            share_file(generator, directory / START_FILE)

    return jobs.submit(config.to_json(), lambda directory: freeze(store, directory), write_output)


def share_file(source: Path, target: Path) -> None:
    """Give a finished file a second name, since it may be as large as the model; a copy where the disk has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _generator_for(store: Store, jobs: Jobs, config: FinetuneConfig | None) -> Path | None:
    """Return the file of the generator that a model starts from; None where it starts from pretrained weights."""
    run_id = store.results.generator()
    if config is None or config.starts_from == "pretrained" or run_id is None:
        return None
    try:
        run = jobs.run(run_id)  # a workspace that took over another one's pairs has not its runs
    except RunError:
        return None
    path, own = run.path / "output" / GENERATOR_FILE, RunConfig.from_json(run.config()).generator
    same = own is not None and (own.model, own.precision) == (config.model, config.precision)
    return path if same and path.exists() else None
