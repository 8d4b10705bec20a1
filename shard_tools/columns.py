"""pyarrow's compute functions under a name that type checkers accept, and two helpers."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
from pyarrow import csv

from shard_tools.errors import StoreError

#: ``pyarrow.compute`` makes its functions when it is imported, where no type checker sees them.
pc: Any = pyarrow.compute


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """The column as a single array, as look-ups and workers want it."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def mask(values: Any) -> pa.Array:
    """A boolean numpy array or arrow column as an array to filter by."""
    return pa.array(values, pa.bool_())


_BLOCK = 64 << 20
"""Bytes parsed at once: a line of ``train_clean.csv`` lists all photos of a class."""


def read_csv(
    path: Path, columns: Sequence[str], data: bytes | None = None, carry: Sequence[str] = ()
) -> pa.Table:
    """Columns of a CSV file with a header, as strings without blanks around them.

    Args:
        path: of the file.
        columns: that it must have; all that it has if empty.
        data: its content if it is not on disk; ``path`` is then only for messages.
        carry: further columns that it must have, in the types that their values suggest.

    Raises:
        StoreError: no such file, or columns missing, or not a CSV file.
    """
    data = _as_utf8(path, data)
    names = column_names(path, data)
    missing = [name for name in (*columns, *carry) if name not in names]
    if missing:
        raise StoreError(
            f"{path}: no column {' and no column '.join(missing)}; it has {', '.join(names)}"
        )
    columns = list(columns) or names
    convert = csv.ConvertOptions(
        include_columns=[*columns, *carry], column_types=dict.fromkeys(columns, pa.string())
    )
    try:
        file = path if data is None else pa.BufferReader(data)
        options = csv.ReadOptions(block_size=_BLOCK)
        table = csv.read_csv(file, read_options=options, convert_options=convert)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _not_csv(path, error) from None
    texts = [pc.utf8_trim_whitespace(table[name]) for name in columns]
    return pa.table([*texts, *(table[name] for name in carry)], [*columns, *carry])


def column_names(path: Path, data: bytes | None = None) -> list[str]:
    """The header of a CSV file.

    Raises:
        StoreError: no such file, or not a CSV file.
    """
    data = _as_utf8(path, data)
    if data is None and not path.is_file():
        raise StoreError(f"{path}: no such file")
    try:
        options = csv.ReadOptions(block_size=_BLOCK)
        with csv.open_csv(path if data is None else pa.BufferReader(data), options) as reader:
            return reader.schema.names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _not_csv(path, error) from None


def _as_utf8(path: Path, data: bytes | None) -> bytes | None:
    """The content of a CSV file if it is UTF-16, as spreadsheets write it, in UTF-8; else ``data``.

    Raises:
        StoreError: UTF-16 that is damaged.
    """
    try:
        if data is None:
            if not path.is_file():
                return None
            with path.open("rb") as file:
                head = file.read(2)
        else:
            head = data[:2]
        if head not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return data
        return (path.read_bytes() if data is None else data).decode("utf-16").encode()
    except (OSError, UnicodeError) as error:
        raise _not_csv(path, error) from None


def _not_csv(path: Path, error: Exception) -> StoreError:
    if isinstance(error, UnicodeError) or "invalid UTF8" in str(error):
        return StoreError(f"{path}: is not UTF-8 text; save it as CSV in UTF-8")
    return StoreError(f"{path}: not a CSV file ({' '.join(str(error).split())})")
