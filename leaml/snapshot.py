"""Immutable data of one run: Parquet tables and a manifest with their hashes.

The wall between pool and test is here: a table that a model is trained on never holds a test image. The test
questions lie in a table of their own, which only the stage `evaluate` reads.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaml.errors import SnapshotError
from leaml.records import Acceptance, AnsweredQuestion, Candidate, Caption, ImageId, ImageRow, QuestionType, Rejection
from leaml.tables import Row, read_rows, write_rows

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Snapshot:
    """What a run is given.

    Attributes:
        images: The pool's image files, absolute.
        labels: D_l, of pool images.
        captions: Recorded captions of pool images.
        reviewed: Pairs that a person accepted or edited. In a run of an older version, some of their questions have a
            label, too; see `answered`.
        rejected: Pairs that a person rejected, and why.
        pseudo: Pairs that nobody has decided about.
        question_types: The project's.
        test_images: The test's image files, absolute.
        test_groups: The group of each test image; see `ImageRow`.
        evaluation: Test questions with their reference answers.
        acceptance: By the id of a pseudo pair, how probable it is that people would accept it unchanged; empty where
            they have decided too little to tell.
        round: The latest round in use then; 0 before the first, None in a run of an older version.
    """

    images: dict[ImageId, Path]
    labels: tuple[AnsweredQuestion, ...]
    captions: tuple[Caption, ...]
    reviewed: tuple[AnsweredQuestion, ...]
    rejected: tuple[Rejection, ...]
    pseudo: tuple[Candidate, ...]
    question_types: tuple[QuestionType, ...]
    test_images: dict[ImageId, Path]
    test_groups: dict[ImageId, str]
    evaluation: tuple[AnsweredQuestion, ...]
    acceptance: dict[str, float]
    round: int | None

    @property
    def unlabelled(self) -> dict[ImageId, Path]:
        """D_u: the pool's images without a label."""
        labelled = {label.image_id for label in self.labels}
        return {image_id: path for image_id, path in self.images.items() if image_id not in labelled}

    @property
    def answered(self) -> list[AnsweredQuestion]:
        """What people have answered: the labels, and the reviewed pairs about other questions."""
        known = {(label.image_id, label.question) for label in self.labels}
        return [*self.labels, *(pair for pair in self.reviewed if (pair.image_id, pair.question) not in known)]


@dataclass(frozen=True)
class SnapshotTables:
    """The rows that a snapshot is written from; see `Snapshot`. `images` are those of both splits."""

    images: Sequence[ImageRow]
    labels: Sequence[AnsweredQuestion]
    captions: Sequence[Caption]
    reviewed: Sequence[AnsweredQuestion]
    pseudo: Sequence[Candidate]
    question_types: Sequence[QuestionType]
    evaluation: Sequence[AnsweredQuestion]
    acceptance: Sequence[Acceptance] = ()
    round: int = 0
    rejected: Sequence[Rejection] = ()


def write_snapshot(tables: SnapshotTables, directory: Path, *, workspace: Path) -> None:
    """Write a snapshot aside and then rename it; nothing is left where that fails.

    Args:
        tables: The rows.
        directory: Must not exist, or be empty.
        workspace: Where the images' relative paths begin.

    Raises:
        SnapshotError: If there are no images, a training table holds a test image or an unknown one, a test question
            is about a pool image, or the disk does not take it.
    """
    _check_wall(tables)
    aside = directory.with_name(f".{directory.name}.{os.getpid()}.partial")
    try:
        aside.mkdir(parents=True)
        for name, rows, row_class in _contents(tables):
            write_rows(aside / f"{name}.parquet", rows, row_class)
        hashes = {path.name: _hash(path) for path in sorted(aside.iterdir())}
        # Relative, so that a workspace may be moved as a whole between a run and its resumption.
        base = os.path.relpath(workspace.resolve(), directory.resolve())
        manifest = {"workspace": base, "files": hashes, "round": tables.round}
        (aside / MANIFEST).write_text(json.dumps(manifest, indent=1))
        if directory.exists():
            directory.rmdir()
        aside.rename(directory)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise SnapshotError(f"Cannot write the run's data: {error}. Free some disk space and try again.") from error


def snapshot_round(directory: Path) -> int | None:
    """Return a snapshot's `round`, for which its tables need not be read.

    Raises:
        SnapshotError: If its manifest cannot be read.
    """
    found = _manifest(directory).get("round")
    return None if found is None else int(found)


def read_snapshot(directory: Path) -> Snapshot:
    """Return a snapshot, its files checked against the manifest.

    Raises:
        SnapshotError: If it is missing, or a file is not what was written.
    """
    manifest = _manifest(directory)
    try:
        for name, expected in manifest["files"].items():
            if _hash(directory / name) != expected:
                raise SnapshotError(f"The run's data were altered: {name} is not what was written. Start a new run.")
    except (OSError, ValueError, KeyError) as error:
        raise SnapshotError(f"Cannot read the run's data: {error}. Start a new run.") from error
    workspace = (directory / manifest["workspace"]).resolve()  # absolute in runs of an older version
    images = read_rows(directory / "images.parquet", ImageRow)
    return Snapshot(
        images={image.id: workspace / image.path for image in images if image.split == "pool"},
        labels=tuple(read_rows(directory / "labels.parquet", AnsweredQuestion)),
        captions=tuple(read_rows(directory / "captions.parquet", Caption)),
        reviewed=tuple(read_rows(directory / "reviewed.parquet", AnsweredQuestion)),
        rejected=tuple(_read_if_there(directory / "rejected.parquet", Rejection)),
        pseudo=tuple(read_rows(directory / "pseudo.parquet", Candidate)),
        question_types=tuple(read_rows(directory / "question_types.parquet", QuestionType)),
        test_images={image.id: workspace / image.path for image in images if image.split == "test"},
        test_groups={image.id: image.group for image in images if image.split == "test"},
        evaluation=tuple(read_rows(directory / "evaluation.parquet", AnsweredQuestion)),
        acceptance={
            row.candidate_id: row.probability for row in _read_if_there(directory / "acceptance.parquet", Acceptance)
        },
        round=manifest.get("round"),
    )


def _manifest(directory: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise SnapshotError(f"Cannot read the run's data: {error}. Start a new run.") from error
    return manifest


def _contents(tables: SnapshotTables) -> list[tuple[str, Sequence[object], type]]:
    return [
        ("images", tables.images, ImageRow),
        ("labels", tables.labels, AnsweredQuestion),
        ("captions", tables.captions, Caption),
        ("reviewed", tables.reviewed, AnsweredQuestion),
        ("rejected", tables.rejected, Rejection),
        ("pseudo", tables.pseudo, Candidate),
        ("question_types", tables.question_types, QuestionType),
        ("evaluation", tables.evaluation, AnsweredQuestion),
        ("acceptance", tables.acceptance, Acceptance),
    ]


def _read_if_there(file: Path, row_class: type[Row]) -> list[Row]:
    """Return a table's rows; none where the run is of an older version, which did not write it."""
    return read_rows(file, row_class) if file.exists() else []


def _check_wall(tables: SnapshotTables) -> None:
    if not tables.images:
        raise SnapshotError("This workspace has no images yet. Import some first.")
    splits = {image.id: image.split for image in tables.images}
    for name, rows, _ in _contents(tables)[1:]:
        wanted = "test" if name == "evaluation" else "pool"
        for row in rows:
            image_id = getattr(row, "image_id", None)
            if image_id is None or splits.get(image_id) == wanted:
                continue
            found = f"belongs to the {splits[image_id]} split" if image_id in splits else "is not in this workspace"
            raise SnapshotError(f"The image {image_id} {found}, so it cannot be among the {name}. Nothing was started.")


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
