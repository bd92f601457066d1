"""Snapshots: what they hold, the wall between pool and test, and that nothing half-written is left."""

import dataclasses
import json
import threading

import pytest

from leaml.errors import SnapshotError
from leaml.freeze import freeze
from leaml.records import Acceptance, Project
from leaml.snapshot import SnapshotTables, read_snapshot, write_snapshot
from leaml.store import Store
from tests.store.test_store import PLACE, SIZE, candidate, image, pair, review, store  # noqa: F401 - a fixture

TABLES = SnapshotTables(
    images=[image(0), image(1), image(8, "test")], labels=[pair(0)], captions=[], reviewed=[], pseudo=[candidate(1)],
    question_types=[PLACE], evaluation=[pair(8)],
)  # fmt: skip


def test_a_frozen_store_is_read_back(store, tmp_path):  # noqa: F811
    store.add_label(pair(0), author="ann", seconds=1.0)
    store.results.add_generator_run("r1", [candidate(1), candidate(2)])
    store.add_review(review(candidate(1), "accept"))
    freeze(store, tmp_path / "data")
    snapshot = read_snapshot(tmp_path / "data")
    assert snapshot.labels == (pair(0),) and snapshot.reviewed == (pair(1),)
    assert snapshot.pseudo == (candidate(2),) and snapshot.evaluation == (pair(8),)
    assert set(snapshot.test_images) == {"i8", "i9"} and "i8" not in snapshot.images
    assert snapshot.images["i0"] == store.workspace.resolve() / "images/i0.jpg"
    assert snapshot.question_types == store.project().question_types and snapshot.round == 1


def test_a_snapshot_is_of_one_moment_while_somebody_reviews(store, tmp_path):  # noqa: F811
    pairs = [candidate(n, kind=kind) for n in range(6) for kind in (PLACE, SIZE)]
    store.results.add_generator_run("r1", pairs)
    stop, rounds = threading.Event(), []

    def decide_and_undo():
        while not stop.is_set():
            for number, found in enumerate(pairs):
                store.add_review(review(found, ("reject", "accept")[number % 2]))
            while store.undo_review("ann"):
                pass
            rounds.append(len(rounds))

    reviewer = threading.Thread(target=decide_and_undo)
    reviewer.start()
    try:
        snapshots = []
        while len(snapshots) < 10 or not rounds:
            freeze(store, tmp_path / f"data{len(snapshots)}")
            snapshots.append(read_snapshot(tmp_path / f"data{len(snapshots)}"))
    finally:
        stop.set()
        reviewer.join()
    for snapshot in snapshots:
        parts = (snapshot.pseudo, snapshot.reviewed, snapshot.rejected)
        found = [(row.image_id, row.question) for part in parts for row in part]
        assert sorted(found) == sorted((row.image_id, row.question) for row in pairs), "each pair is in one part"
    assert len({snapshot.pseudo for snapshot in snapshots}) > 1


def test_the_acceptance_of_pairs_is_read_back_and_an_older_run_has_none(tmp_path):
    tables = dataclasses.replace(TABLES, acceptance=[Acceptance(candidate(1).id, 0.75)])
    write_snapshot(tables, tmp_path / "data", workspace=tmp_path)
    assert read_snapshot(tmp_path / "data").acceptance == {candidate(1).id: 0.75}
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    del manifest["files"]["acceptance.parquet"]
    (tmp_path / "data" / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "data" / "acceptance.parquet").unlink()
    assert read_snapshot(tmp_path / "data").acceptance == {}


def test_a_workspace_may_be_moved(store, tmp_path):  # noqa: F811
    runs = store.workspace / "runs" / "r0001"
    runs.mkdir(parents=True)
    freeze(store, runs / "data")
    store.close()
    moved = store.workspace.rename(tmp_path / "elsewhere")
    snapshot = read_snapshot(moved / "runs" / "r0001" / "data")
    assert snapshot.images["i0"] == moved / "images/i0.jpg"
    assert read_older(moved / "runs" / "r0001" / "data", workspace=tmp_path) == tmp_path / "images/i0.jpg"


def read_older(directory, *, workspace):
    """Return where an image lies by a manifest as older versions wrote it, with the workspace's whole path."""
    manifest = json.loads((directory / "manifest.json").read_text())
    (directory / "manifest.json").write_text(json.dumps({**manifest, "workspace": str(workspace)}))
    return read_snapshot(directory).images["i0"]


@pytest.mark.parametrize("name", ["labels", "reviewed", "pseudo"])
def test_a_test_image_in_a_training_table_is_refused(name, tmp_path):
    row = candidate(8) if name == "pseudo" else pair(8)
    with pytest.raises(SnapshotError, match=rf"i8 belongs to the test split, so it cannot be among the {name}"):
        write_snapshot(dataclasses.replace(TABLES, **{name: [row]}), tmp_path / "data", workspace=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_pool_images_cannot_be_test_questions_and_unknown_images_are_refused(tmp_path):
    with pytest.raises(SnapshotError, match="i0 belongs to the pool split"):
        write_snapshot(dataclasses.replace(TABLES, evaluation=[pair(0)]), tmp_path / "data", workspace=tmp_path)
    with pytest.raises(SnapshotError, match="i77 is not in this workspace"):
        write_snapshot(dataclasses.replace(TABLES, labels=[pair(77)]), tmp_path / "data", workspace=tmp_path)


def test_a_label_on_a_test_image_never_reaches_training(store, tmp_path):  # noqa: F811
    store.add_label(pair(8), author="ann", seconds=1.0)
    freeze(store, tmp_path / "data")
    assert read_snapshot(tmp_path / "data").labels == ()


def test_an_altered_file_is_noticed(tmp_path):
    write_snapshot(TABLES, tmp_path / "data", workspace=tmp_path)
    (tmp_path / "data" / "labels.parquet").write_bytes(b"other")
    with pytest.raises(SnapshotError, match=r"labels\.parquet is not what was written"):
        read_snapshot(tmp_path / "data")
    assert set(json.loads((tmp_path / "data" / "manifest.json").read_text())["files"]) > {"images.parquet"}


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("leaml.snapshot.write_rows", full)
    with pytest.raises(SnapshotError, match=r"No space left on device\. Free some disk space"):
        write_snapshot(TABLES, tmp_path / "data", workspace=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_workspace_says_what_to_do(tmp_path):
    with Store.open(tmp_path / "empty") as empty:
        with pytest.raises(SnapshotError, match=r"empty\. Import a project"):
            freeze(empty, tmp_path / "data")
        empty.save_project(Project("x", ""))
        with pytest.raises(SnapshotError, match="no images yet"):
            freeze(empty, tmp_path / "data")
