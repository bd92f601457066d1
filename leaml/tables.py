"""Typed rows as Parquet files, and back. Written aside and renamed, so that a reader never meets half a file."""

import dataclasses
import os
import typing
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from leaml.errors import ImportDataError

Row = TypeVar("Row")

_PLAIN: dict[Any, pa.DataType] = {
    str: pa.string(),
    float: pa.float64(),
    int: pa.int64(),
    bool: pa.bool_(),
    datetime: pa.timestamp("us", tz="UTC"),
}


def write_rows(path: Path, rows: Sequence[Row], row_class: type[Row]) -> None:
    """Write dataclass rows as one Parquet file; nested tuples become lists."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(arrow_table(rows, row_class), aside)
    aside.replace(path)


def arrow_table(rows: Sequence[Row], row_class: type[Row]) -> pa.Table:
    """Return dataclass rows as an Arrow table."""
    schema = _schema(row_class)
    columns = [pa.array([getattr(row, field.name) for row in rows], type=field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def read_rows(path: Path, row_class: type[Row]) -> list[Row]:
    """Return the rows that `write_rows` wrote; fields with a default may be missing in an older file.

    Raises:
        ImportDataError: If the file is missing, is no Parquet file, or holds other columns.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        message = f"Cannot read the table {path.name}: {error}. Run the step that writes it again."
        raise ImportDataError(message) from error
    fields = dataclasses.fields(row_class)  # type: ignore[arg-type]
    names = [field.name for field in fields]
    there = set(table.column_names)
    if table.column_names != [f.name for f in fields if f.name in there or f.default is dataclasses.MISSING]:
        raise ImportDataError(f"The table {path.name} has columns {table.column_names}, but {names} were expected.")
    return [
        row_class(**{name: tuple(value) if isinstance(value, list) else value for name, value in row.items()})
        for row in table.to_pylist()
    ]


def _schema(row_class: type) -> pa.Schema:
    hints = typing.get_type_hints(row_class)
    return pa.schema([(field.name, _arrow_type(hints[field.name])) for field in dataclasses.fields(row_class)])


def _arrow_type(hint: Any) -> pa.DataType:
    if hasattr(hint, "__supertype__"):  # a NewType such as ImageId
        return _arrow_type(hint.__supertype__)
    if typing.get_origin(hint) is tuple:
        return pa.list_(_arrow_type(typing.get_args(hint)[0]))
    if typing.get_origin(hint) is typing.Literal:
        return pa.string()
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    return _arrow_type(parts[0]) if parts else _PLAIN[hint]
