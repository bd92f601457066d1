"""Asks a trained model today's test questions, without training it again: its test may have grown since.

That is a run of its own, of the stage `evaluate` alone. What the model learnt from and what came of the training are
those of the earlier run, which stays as it is.
"""

from dataclasses import replace
from pathlib import Path

from leaml.config import MODEL_STAGES, RunConfig
from leaml.errors import RunError
from leaml.jobs import Jobs
from leaml.jobs.files import write_json
from leaml.records import Acceptance, RunId
from leaml.snapshot import SnapshotTables, read_snapshot, write_snapshot
from leaml.stage_context import MODEL_FILE, TESTED_FILE
from leaml.starts import share_file
from leaml.store import Store

DONE_FILE = "finetune.done"
"""What every fine-tuning leaves; the base model has no file of its own beside it."""


def retest(store: Store, jobs: Jobs, run_id: RunId) -> RunId:
    """Queue a run that asks the model of an earlier run today's test questions; return the new run's name.

    Args:
        store: Has the test questions, and the images.
        jobs: The runs of the same workspace.
        run_id: Of a run that fine-tuned a model, or tested the base model.

    Raises:
        RunError: If that run has no model, or has it no more, or the new one cannot be started.
        SnapshotError: If that run's data were altered.
    """
    earlier = jobs.run(run_id)
    config, output = RunConfig.from_json(earlier.config()), earlier.path / "output"
    if config.finetune is None or earlier.seconds_of("finetune") is None:
        raise RunError(f"{run_id} has no model that could be tested. Choose a run that fine-tuned one.")
    left = [DONE_FILE] if config.finetune.method == "zero_shot" else [DONE_FILE, MODEL_FILE]
    if MODEL_FILE in left and not (output / MODEL_FILE).exists():
        raise RunError(f"The model of {run_id} is gone: {output / MODEL_FILE} is not there. Train it in a new run.")
    known = {row.run_id: row.round for row in store.results.models()}  # a run of an older version did not note it

    def write_data(directory: Path) -> None:
        old = read_snapshot(earlier.path / "data")
        tables = SnapshotTables(
            images=store.images(),
            labels=old.labels,
            captions=old.captions,
            reviewed=old.reviewed,
            rejected=old.rejected,
            pseudo=old.pseudo,
            question_types=old.question_types,
            acceptance=[Acceptance(*row) for row in old.acceptance.items()],
            round=known.get(run_id, 0) if old.round is None else old.round,
            evaluation=store.held_out.questions(),
        )
        write_snapshot(tables, directory, workspace=store.workspace)

    def write_output(directory: Path) -> None:
        for name in left:
            share_file(output / name, directory / name)
        write_json(directory / TESTED_FILE, run_id)

    return jobs.submit(replace(config, stages=MODEL_STAGES).to_json(), write_data, write_output)
