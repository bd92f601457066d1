"""Takes over into the store what finished runs left. Doing it twice changes nothing.

A generator that learnt from decisions about a round's pairs writes nothing for people once that round was taken back:
of such a run, stopped before and resumed afterwards, only the captions are taken over.
"""

import json
import os
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from leaml.config import FinetuneConfig, RunConfig
from leaml.errors import LeamlError
from leaml.jobs import Jobs, RunDir
from leaml.jobs.files import write_json
from leaml.records import Candidate, Caption, Prediction
from leaml.snapshot import Snapshot, read_snapshot, snapshot_round
from leaml.stage_context import TESTED_FILE
from leaml.store import Store
from leaml.store.acceptance import order_by_acceptance
from leaml.store.results import ModelRow
from leaml.tables import read_rows

OUT_OF_USE = "learnt from a round that was taken back"
"""Why a run's pairs were left out, as its report names it."""


def ingest_finished(store: Store, jobs: Jobs) -> int:
    """Bring the outputs of runs that are done into the store; return how many were taken over.

    Raises:
        LeamlError: If a run's files cannot be read; the other runs are taken over all the same.
    """
    known = store.results.ingested()
    fresh = [run for run in reversed(jobs.runs()) if run.id not in known and run.state().name == "done"]
    taken, failure = 0, None
    for run in fresh:
        try:
            taken += _take(store, run)
        except LeamlError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return taken


def _take(store: Store, run: RunDir) -> bool:
    """Take over one run; return False where it stopped, as asked, before there was anything to take."""
    config = RunConfig.from_json(run.config())
    candidates, captions = (run.path / "output" / f"{name}.parquet" for name in ("candidates", "captions"))
    if config.finetune is not None:
        _take_model(store, run, config)
        return True
    assert config.generator is not None
    asked = config.generator.teacher.source != "recorded"  # the store has those already
    described = read_rows(captions, Caption) if asked and captions.exists() else []
    if candidates.exists():
        store.captions.add(described)
        written = read_rows(candidates, Candidate)
        out = snapshot_round(run.path / "data") in store.rounds.taken_back()
        left_out = store.results.add_generator_run(run.id, [] if out else written)
        _tell(run, Counter({OUT_OF_USE: len(written)}) if out else left_out)
        order_by_acceptance(store)
        return True
    if described:
        store.results.add_caption_run(run.id, described)
    return bool(described)


def _tell(run: RunDir, left_out: Counter[str]) -> None:
    """Count pairs that were left out in the run's own report of what was turned down: the Train screen shows it."""
    if not left_out:
        return
    report = run.path / "output" / "sample_report.json"
    with suppress(OSError, ValueError, KeyError):  # the pairs are taken over; nothing but this count is as it was
        said = json.loads(report.read_text())
        turned_down = Counter(said["turned_down"]) + left_out
        write_json(report, {**said, "kept": said["kept"] - left_out.total(), "turned_down": turned_down})


def _take_model(store: Store, run: RunDir, config: RunConfig) -> None:
    assert config.finetune is not None
    output = run.path / "output"
    predictions_file, model = output / "predictions.parquet", output / "model.safetensors"
    snapshot, method = read_snapshot(run.path / "data"), config.finetune.method
    row = ModelRow(
        run_id=run.id,
        method=method,
        path=os.path.relpath(model, store.workspace) if model.exists() else "",
        round=max(1, store.results.round() - 1 if snapshot.round is None else snapshot.round),
        labels=0 if method == "zero_shot" else len(snapshot.labels),
        pairs=_pairs(snapshot, config.finetune),
        created_at=_made_at(store, output),
    )
    store.results.add_model(row, read_rows(predictions_file, Prediction) if predictions_file.exists() else [])


def _made_at(store: Store, output: Path) -> datetime:
    """Return when a model was made: one that is only tested again is no newer than it was."""
    try:
        tested = json.loads((output / TESTED_FILE).read_text())
    except (OSError, ValueError):
        tested = None
    made = {row.run_id: row.created_at for row in store.results.models()}
    return made.get(tested, datetime.now(UTC))


def _pairs(snapshot: Snapshot, config: FinetuneConfig) -> int:
    """Return how many pairs a model has learnt from beside the labels."""
    if config.method not in ("leaml", "leaml_reviewed"):
        return 0
    reviewed = len(snapshot.answered) - len(snapshot.labels)
    if config.method == "leaml_reviewed":
        return reviewed
    return reviewed + sum(pair.is_believed(config.mixture.least_agreement) for pair in snapshot.pseudo)
