"""pyarrow's compute functions under a name that type checkers accept, and two helpers."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from csv import reader as csv_rows
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


def comma_list(text: str | None) -> tuple[str, ...]:
    """The parts of a text such as ``a, b`` or ``"a, b",c``; none for an empty one."""
    row = next(csv_rows([text or ""], skipinitialspace=True), [])
    return tuple(part.strip() for part in row if part.strip())


def comma_text(parts: Sequence[str]) -> str:
    """The text of which :func:`comma_list` makes these parts."""
    quoted = ['"' + p.replace('"', '""') + '"' if {",", '"'} & set(p) else p for p in parts]
    return ",".join(quoted)


#: What makes a spreadsheet take a cell for a formula.
_FORMULA = r"^[=+\-@\t\r]"


def without_formulas(table: pa.Table, but: Sequence[str] = ()) -> pa.Table:
    """A table in which texts that a spreadsheet would run as formulas begin with an apostrophe.

    Names of files and classes come from strangers.

    Args:
        table: to be written as CSV.
        but: columns that stay as they are.
    """
    for place, name in enumerate(table.column_names):
        if name not in but and pa.types.is_string(table.schema.field(name).type):
            risky = pc.match_substring_regex(table[name], _FORMULA)
            safe = pc.binary_join_element_wise("'", table[name], "")
            table = table.set_column(place, name, pc.if_else(risky, safe, table[name]))
    return table


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
        options, parse = csv.ReadOptions(block_size=_BLOCK), _parsing(path, data)
        table = csv.read_csv(file, options, parse, convert)
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
        raise StoreError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}")
    try:
        options = csv.ReadOptions(block_size=_BLOCK)
        file = path if data is None else pa.BufferReader(data)
        with csv.open_csv(file, options, _parsing(path, data)) as reader:
            return reader.schema.names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _not_csv(path, error) from None


_HEADER = 1 << 16
"""Bytes of a file in which its header is looked for."""


def _parsing(path: Path, data: bytes | None) -> csv.ParseOptions:
    """How the fields of a CSV file are parted: spreadsheets also write semicolons and tabs."""
    if data is None:
        with path.open("rb") as file:
            data = file.read(_HEADER)
    header = data[:_HEADER].partition(b"\n")[0]
    counts = {mark: header.count(mark.encode()) for mark in ",;\t"}
    return csv.ParseOptions(delimiter="," if counts[","] else max(counts, key=counts.__getitem__))


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
