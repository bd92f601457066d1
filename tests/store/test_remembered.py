"""Values that are computed once: who sees which while a transaction is open, and what is left where it fails."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from leaml.errors import StoreError
from leaml.store.database import Database
from leaml.store.remembered import Remembered


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


@pytest.mark.parametrize("how", ["changed", "updated", "failed"])
def test_nobody_waits_for_the_computing_and_what_was_old_by_then_is_not_kept(tmp_path, how):
    database, reading, go = Database(tmp_path / "x.duckdb"), threading.Event(), threading.Event()
    database.rows("CREATE TABLE t (a INTEGER)")

    def count():
        found = database.rows("SELECT count(*) AS n FROM t")[0]["n"]
        if threading.current_thread() is not threading.main_thread():
            reading.set()
            go.wait(20)
        return found

    value = Remembered(database, count)
    with ThreadPoolExecutor(1) as others:
        slow = others.submit(value)
        assert reading.wait(20)
        with suppress(StoreError), database.transaction("add a row") as cursor:
            assert not go.is_set() and not slow.done(), "who writes does not wait"
            cursor.execute("INSERT INTO t VALUES (1)")
            value.update(1) if how == "updated" else value.changed()
            if how == "failed":
                cursor.execute("SELECT nothing")
        go.set()
        assert slow.result(20) == 0, "what was there when it began"
    assert value() == (0 if how == "failed" else 1) == count()
    database.close()


def test_a_reader_always_sees_what_was_there_before_it_asked(tmp_path):
    database = Database(tmp_path / "x.duckdb")
    database.rows("CREATE TABLE t (a INTEGER)")
    value = Remembered(database, lambda: database.rows("SELECT count(*) AS n FROM t")[0]["n"])
    begun, done, noting, over = [0], [0], threading.Lock(), threading.Event()

    def write(by_hand):
        for number in range(25):
            with suppress(StoreError):
                with database.transaction("add a row") as cursor:
                    begun[0] += 1  # one transaction at a time
                    cursor.execute("INSERT INTO t VALUES (1)")
                    known = value.kept()
                    value.update(known + 1) if by_hand and known is not None else value.changed()
                    if number % 5 == 0:
                        cursor.execute("SELECT nothing")
                with noting:
                    done[0] += 1

    def read():
        looks = 0
        while not over.is_set():
            least, found = done[0], value()
            assert least <= found <= begun[0]
            looks += 1
        return looks

    with ThreadPoolExecutor(6) as threads:
        readers = [threads.submit(read) for _ in range(3)]
        writers = [threads.submit(write, by_hand) for by_hand in (True, False, True)]
        for thread in writers:
            thread.result(60)
        over.set()
        assert sum(thread.result(60) for thread in readers) > 20
    assert value() == done[0] == database.rows("SELECT count(*) AS n FROM t")[0]["n"]
    database.close()
