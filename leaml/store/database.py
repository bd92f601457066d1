"""The DuckDB file under the store: opening, migrating, transactions, rows. Knows no table of its own but `migrations`.

DuckDB lets one process hold a file. Threads of that process share it here: reads have a cursor each; a transaction
holds a lock, and statements of the same thread inside it join it. Who reads much and must see one state does so in
`Database.one_moment`, which nobody waits for.
"""

import errno
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from leaml.errors import StoreError, StoreLockedError
from leaml.store.migrations import MIGRATIONS
from leaml.tables import arrow_table

Row = TypeVar("Row")

_DAMAGE = ("Corrupt database file", "Corrupt WAL file", "not a valid DuckDB", "Could not read enough bytes")
"""What DuckDB says of a file that is not as it was written; it has no class of errors for it."""


class Database:
    """One DuckDB file, with the schema of `leaml.store.migrations`."""

    def __init__(self, file: Path, *, read_only: bool = False) -> None:
        """Open the file, made where there is none, and apply the migrations that it lacks.

        Args:
            file: Of the store.
            read_only: Change nothing of it; it must be there.

        Raises:
            StoreLockedError: If another process has it open.
            StoreError: If it cannot be opened, a newer version wrote it, or an older one and it is only to be read.
        """
        self._file = file
        self._writing = threading.RLock()
        # This thread's open transaction: its cursor, whether it only reads, and whom to call when it ends.
        self._own = threading.local()
        try:
            self._connection = duckdb.connect(str(file), read_only=read_only)
        except duckdb.Error as error:
            raise _opening_error(file, error) from error
        try:
            (self._require_current if read_only else self._migrate)()
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Return a query's rows by column name.

        Raises:
            StoreError: If the query fails.
        """
        open_cursor = getattr(self._own, "cursor", None)
        try:
            cursor = open_cursor or self._cursor()
            result = cursor.execute(query, list(values))
            names = [column[0] for column in result.description or ()]
            found = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
            if open_cursor is None:
                cursor.close()
        except duckdb.Error as error:
            said = _damaged(self._file, error) if _is_damage(error) else f"Cannot read {self._file}: {error}"
            raise StoreError(said) from error
        return found

    @contextmanager
    def transaction(self, doing: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """Commit all that the block does, or nothing. Inside another transaction of this thread, join it.

        Args:
            doing: What would fail, as in "Cannot {doing}".

        Raises:
            StoreError: If a statement or the commit fails, or this thread only reads; nothing was changed.
        """
        if self.in_one_moment():
            raise StoreError(f"Cannot {doing} while one moment of the workspace is read. Do it afterwards.")
        if (outer := getattr(self._own, "cursor", None)) is not None:
            yield outer
            return
        with self._writing, self._cursor() as cursor:
            self._own.cursor, self._own.afterwards, committed = cursor, list[Callable[[bool], None]](), False
            try:
                cursor.begin()
                yield cursor
                cursor.commit()
                committed = True
            except BaseException as error:
                _roll_back(cursor)
                if isinstance(error, duckdb.Error | OSError):
                    raise StoreError(_failure(doing, self._file, error)) from error
                raise
            finally:
                self._own.cursor = None
                for callback in self._own.afterwards:
                    callback(committed)

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Have this thread's reads in the block see one state of the file, whatever others write meanwhile.

        It holds no lock: reading a million pairs takes most of a minute, and decisions go on. Nothing can be written
        in the block. A transaction of this thread around it sees one state anyway.

        Raises:
            StoreError: If the workspace is closed.
        """
        if getattr(self._own, "cursor", None) is not None:
            yield
            return
        with self._cursor() as cursor:
            cursor.begin()
            self._own.cursor, self._own.only_reads = cursor, True
            try:
                yield
            finally:
                self._own.cursor, self._own.only_reads = None, False
                _roll_back(cursor)

    def in_one_moment(self) -> bool:
        """Tell whether this thread is in a block of `one_moment`."""
        return bool(getattr(self._own, "only_reads", False))

    def afterwards(self, callback: Callable[[bool], None]) -> None:
        """Call back when this thread's open transaction has ended, before another one begins.

        Args:
            callback: Is told whether the transaction was committed.
        """
        self._own.afterwards.append(callback)

    def insert(
        self,
        table: str,
        rows: Sequence[Row],
        row_class: type[Row],
        cursor: duckdb.DuckDBPyConnection,
        *,
        numbered_by: str | None = None,
    ) -> None:
        """Add many rows at once; a row whose key is there already is left as it is.

        Args:
            table: Has a column for each field of `row_class`.
            rows: Dataclass rows.
            row_class: Their class.
            cursor: Of an open transaction.
            numbered_by: A run's id, for tables with the columns `run_id` and `position`.
        """
        if not rows:
            return
        cursor.register("incoming", arrow_table(rows, row_class))
        extra = "" if numbered_by is None else "? AS run_id, row_number() OVER () AS position, "
        values = [] if numbered_by is None else [numbered_by]
        cursor.execute(f"INSERT OR IGNORE INTO {table} BY NAME SELECT {extra}* FROM incoming", values)
        cursor.unregister("incoming")

    def append(self, table: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Append one event with the time and the next number; return the row as it is stored."""
        names = ", ".join(("event_id", '"at"', *values))
        marks = ", ".join("?" * len(values))
        query = f"INSERT INTO {table} ({names}) VALUES (nextval('event_ids'), ?, {marks}) RETURNING *"
        with self.transaction("save the decision") as cursor:
            result = cursor.execute(query, [now(), *values.values()])
            columns = [column[0] for column in result.description or ()]
            return dict(zip(columns, result.fetchall()[0], strict=True))

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.cursor()
        except duckdb.ConnectionException as error:
            raise StoreError(f"The workspace {self._file.parent} is closed. Open it again.") from error

    def _require_current(self) -> None:
        done = self._migrated() if self.rows("FROM duckdb_tables() WHERE table_name = 'migrations'") else 0
        if done < len(MIGRATIONS):
            raise StoreError(
                f"The workspace {self._file.parent} was written by an older version (schema {done}; this one has "
                f"{len(MIGRATIONS)}), which could not open it any more once it is brought up to date. Nothing was "
                "changed. Read a backup with that version, or a copy of it that the app has opened; the app brings a "
                "workspace up to date."
            )

    def _migrated(self) -> int:
        done = int(self.rows("SELECT coalesce(max(number), 0) AS done FROM migrations")[0]["done"])
        if done > len(MIGRATIONS):
            raise StoreError(
                f"The workspace {self._file.parent} was written by a newer version (schema {done}; this one knows "
                f"{len(MIGRATIONS)}). Update LEAML Studio."
            )
        return done

    def _migrate(self) -> None:
        with self.transaction("bring the workspace up to date") as cursor:
            cursor.execute('CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, "at" TIMESTAMPTZ)')
            done = self._migrated()
            for number, step in enumerate(MIGRATIONS[done:], start=done + 1):
                if callable(step):
                    step(self.rows)
                else:
                    cursor.execute(step)
                cursor.execute("INSERT INTO migrations VALUES (?, ?)", [number, now()])


def now() -> datetime:
    """Return the time, UTC."""
    return datetime.now(UTC)


def record(row_class: type[Row], row: Mapping[str, Any]) -> Row:
    """Return a query's row as a dataclass; lists become tuples, columns that it lacks are left out."""
    names = [field.name for field in fields(row_class)]  # type: ignore[arg-type]
    return row_class(**{name: tuple(row[name]) if isinstance(row[name], list) else row[name] for name in names})


def fit_for_a_store(folder: Path) -> Path:
    """Return the folder, whose path a DuckDB file may have.

    Raises:
        StoreError: If it has a ?, after which DuckDB reads settings.
    """
    if "?" in str(folder.resolve()):
        raise StoreError(f"DuckDB cannot keep a file in {folder}, whose path has a “?”. Choose or rename a folder.")
    return folder


def peek(file: Path, query: str) -> list[tuple[Any, ...]] | None:
    """Return a query's rows from a file that is open nowhere here; None where another process has it.

    Nothing is changed, and no rows come of a file that cannot be read.
    """
    try:
        with duckdb.connect(str(file), read_only=True) as connection:
            return connection.execute(query).fetchall()
    except duckdb.Error as error:
        return None if isinstance(_opening_error(file, error), StoreLockedError) else []


def _opening_error(file: Path, error: duckdb.Error) -> StoreError:
    if "newer version of DuckDB" in str(error):
        return StoreError(
            f"The store {file} was written by a newer DuckDB than the {duckdb.__version__} here. Update it: "
            "python -m pip install --upgrade duckdb"
        )
    if _is_damage(error):
        return StoreError(_damaged(file, error))
    if not any(words in str(error) for words in ("Could not set lock on file", "Conflicting lock")):
        return StoreError(f"Cannot open the store {file}: {error}. Choose another folder with --workspace.")
    holder = re.search(r"PID (\d+)", str(error))
    return StoreLockedError(
        f"The workspace {file.parent} is already open in another process"
        f"{f' (PID {holder[1]})' if holder else ''}. Close that one, or choose another with --workspace."
    )


def _is_damage(error: Exception) -> bool:
    return isinstance(error, duckdb.Error) and any(words in str(error) for words in _DAMAGE)


def _damaged(file: Path, error: Exception) -> str:
    return (
        f"The store {file} is damaged: {error}. Keep a copy of its folder, and put the last backup in its place "
        "(docs/deployment.md, “Back up and restore”)."
    )


def _roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.rollback()
    except duckdb.Error:
        return  # the failed statement has ended the transaction itself


def _failure(doing: str, file: Path, error: Exception) -> str:
    if _is_damage(error):
        return _damaged(file, error)
    workspace = file.parent
    # DuckDB tells the cause in words only. A quota and a limit on the size of files are full disks too.
    if any(os.strerror(code).lower() in str(error).lower() for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)):
        return f"Cannot {doing}: the disk of {workspace} is full. Nothing was changed; free some space and try again."
    return f"Cannot {doing} in {workspace}: {error}. Nothing was changed."
