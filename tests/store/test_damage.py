"""A store whose file is not as it was written: it is called damaged, and not one that another process has open."""

import shutil

import duckdb
import pytest

from leaml.errors import StoreError, StoreLockedError
from leaml.store import Store
from leaml.store.neighbours import neighbours
from leaml.store.workspace import STORE_FILE
from tests.store.test_store import pair, store  # noqa: F401 - a fixture


@pytest.mark.parametrize("kind", ["the blocks", "the beginning", "cut short", "empty", "what was written last"])
def test_a_damaged_file_is_not_called_one_in_use(store, kind):  # noqa: F811
    file, wal = store.workspace / STORE_FILE, store.workspace / f"{STORE_FILE}.wal"
    if kind == "what was written last":
        for number in range(6):
            store.add_label(pair(number), author="ann", seconds=1.0)
        copy = store.workspace.with_name("copy")
        shutil.copytree(store.workspace, copy)  # the app may be killed at any time
        file, wal = copy / STORE_FILE, copy / wal.name
        data = wal.read_bytes()
        wal.write_bytes(data[:400] + bytes(50) + data[450:])
    else:
        store.close()
        data = file.read_bytes()
        whole = {"cut short": data[:13_000], "empty": b"", "the beginning": b"no store" + data[8:]}
        file.write_bytes(whole.get(kind, data[:13_000] + bytes(len(data) - 13_000)))
    for opening in (Store.open, Store.open_to_read):
        with pytest.raises(StoreError, match=r"is damaged: .*put the last backup in its place") as caught:
            opening(file.parent)
        assert not isinstance(caught.value, StoreLockedError)
    assert neighbours(file.parent.parent / "another") == []


def test_damage_that_shows_later_is_said_in_the_same_words(store, monkeypatch):  # noqa: F811
    def damaged(*_):
        raise duckdb.Error("Corrupt database file: computed checksum 1 does not match 2 in block at location 3")

    monkeypatch.setattr("leaml.store.database.now", damaged)
    with pytest.raises(StoreError, match=r"is damaged: .*put the last backup in its place"):
        store.add_label(pair(0), author="ann", seconds=1.0)
    monkeypatch.undo()
    monkeypatch.setattr(store._database, "_cursor", damaged)
    with pytest.raises(StoreError, match=r"is damaged: .*put the last backup in its place"):
        store.labels()
