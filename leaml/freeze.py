"""Freezes the store's current state as a run's snapshot."""

from dataclasses import replace
from pathlib import Path

from leaml.errors import SnapshotError
from leaml.snapshot import SnapshotTables, write_snapshot
from leaml.store import Store
from leaml.store.acceptance import expected_acceptance
from leaml.store.audit import Decision


def freeze(store: Store, directory: Path) -> None:
    """Write what the store knows now as an immutable snapshot.

    All of it is of one moment: a pair that somebody decides about meanwhile is not open and rejected at once. Captions
    and labels of test images are left out here; a pair of a test image is an error, because it can only come from a
    fault.

    Raises:
        SnapshotError: If there is no project, or the wall between pool and test would be broken.
    """
    with store.one_moment():
        tables, decisions = _read(store)
    acceptance = expected_acceptance(decisions, tables.pseudo)
    write_snapshot(replace(tables, acceptance=acceptance), directory, workspace=store.workspace)


def _read(store: Store) -> tuple[SnapshotTables, list[Decision]]:
    project = store.project()
    if project is None:
        raise SnapshotError("This workspace is empty. Import a project or a folder of images first.")
    pool = {image.id for image in store.images("pool")}
    tables = SnapshotTables(
        images=store.images(),
        labels=[label.pair for label in store.labels("pool")],
        captions=[caption for caption in store.captions.all() if caption.image_id in pool],
        reviewed=store.answered.reviewed(),
        rejected=store.answered.rejections(),
        pseudo=store.results.pseudo_pairs(),
        question_types=project.question_types,
        evaluation=store.held_out.questions(),
        round=store.rounds.latest(),
    )
    return tables, store.checks.decisions()
