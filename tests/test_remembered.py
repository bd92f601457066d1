"""Values that are computed once: who sees which while a transaction is open, and what is left where it fails."""

import threading

import pytest

from leaml.database import Database
from leaml.errors import StoreError
from leaml.remembered import Remembered


@pytest.fixture
def counted(tmp_path):
    """A table's number of rows, and the database; `computed` says how often it was computed."""
    database, computed = Database(tmp_path / "x.duckdb"), []
    database.rows("CREATE TABLE t (a INTEGER)")

    def count():
        computed.append(database.rows("SELECT count(*) AS n FROM t")[0]["n"])
        return computed[-1]

    yield Remembered(database, count), database, computed
    database.close()


def add(database, value, *, fail=False):
    with database.transaction("add a row") as cursor:
        cursor.execute("INSERT INTO t VALUES (1)")
        value.changed()
        assert value() == database.rows("SELECT count(*) AS n FROM t")[0]["n"], "its own change is seen at once"
        if fail:
            cursor.execute("SELECT nothing")


def elsewhere(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join(20)
    return found[0]


def test_it_is_computed_once_and_anew_after_a_change(counted):
    value, database, computed = counted
    assert value.kept() is None
    assert [value(), value(), elsewhere(value)] == [0, 0, 0] and computed == [0]
    add(database, value)
    assert [value(), elsewhere(value), value.kept()] == [1, 1, 1]


def test_what_failed_was_never_there(counted):
    value, database, _ = counted
    with pytest.raises(StoreError):
        add(database, value, fail=True)
    assert value() == 0 == elsewhere(value)


def test_others_see_what_was_there_and_do_not_wait(counted):
    value, database, _ = counted
    with database.transaction("add a row") as cursor:
        cursor.execute("INSERT INTO t VALUES (1)")
        value.changed()
        assert value() == 1 and elsewhere(value) == 0
    assert elsewhere(value) == 1 == value()


def test_one_moment_sees_one_state_while_others_write(counted):
    value, database, _ = counted
    with database.one_moment():
        assert value() == 0
        elsewhere(lambda: add(database, value))
        assert elsewhere(value) == 1, "who writes does not wait"
        with database.one_moment():
            assert [value(), database.rows("SELECT count(*) AS n FROM t")[0]["n"]] == [0, 0]
        assert value() == 0
        with pytest.raises(StoreError, match="Cannot add a row while one moment of the workspace is read"):
            add(database, value)
    assert [value(), value.kept()] == [1, 1]
    with database.transaction("add a row") as cursor:
        cursor.execute("INSERT INTO t VALUES (1)")
        with database.one_moment():
            assert len(database.rows("FROM t")) == 2
        assert len(database.rows("FROM t")) == 2, "the transaction goes on"


@pytest.mark.parametrize(("fail", "left"), [(False, 7), (True, 0)])
def test_a_value_kept_up_by_hand_ends_with_its_transaction(counted, fail, left):
    value, database, computed = counted
    assert value() == 0
    try:
        with database.transaction("count by hand") as cursor:
            value.update(7)
            assert value() == 7
            cursor.execute("SELECT nothing" if fail else "SELECT 1")
    except StoreError:
        assert fail
    assert value() == left and len(computed) == (2 if fail else 1)


def test_a_value_kept_up_by_hand_does_not_hide_a_change(counted):
    value, database, _ = counted
    with database.transaction("both") as cursor:
        cursor.execute("INSERT INTO t VALUES (1)")
        value.changed()
        value.update(7)
        assert value() == 1
    assert value() == 1
