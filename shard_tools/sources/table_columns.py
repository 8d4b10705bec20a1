"""What a table says: its columns of paths, labels and splits, by their usual or given names."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq

from shard_tools.columns import column_names, pc, read_csv
from shard_tools.errors import StoreError
from shard_tools.sources.layout import COLUMNS, SourceOptions

JSON_SUFFIXES = (".jsonl", ".ndjson")
CSV_SUFFIXES = (".csv", ".tsv")
TABLE_SUFFIXES = (*CSV_SUFFIXES, ".parquet", *JSON_SUFFIXES)


def holds_predictions(names: Sequence[str]) -> bool:
    """Whether the columns of a table are those that ``glr-predict`` writes."""
    return "unsure" in names and ("probability1" in names or "top_probabilities" in names)


def read_columns(source: Path, options: SourceOptions) -> pa.Table:
    """The columns of a table that matter, under our names.

    Returns:
        ``path`` and ``landmark_id`` (strings), ``split`` (strings) where there is such a column,
        and those of ``options.extra`` in the types that they have.

    Raises:
        StoreError: unreadable, or no such columns.
    """
    names = column_names_of(source)
    if holds_predictions(names) and not options.columns:
        raise StoreError(
            f"{source}: holds predictions of glr-predict, not labels; if a model is to learn them "
            "all the same, give --columns path=path,label=landmark_id"
        )
    found = find_columns(source, names, options)
    wanted = list(dict.fromkeys(found.values()))
    missing = [name for name in options.extra if name not in names]
    if missing:
        raise StoreError(f"{source}: no column {missing[0]}; it has {', '.join(names)}")
    if source.suffix.lower() in CSV_SUFFIXES:
        table = read_csv(source, wanted, carry=[n for n in options.extra if n not in wanted])
    else:
        table = _read(source, list(dict.fromkeys([*wanted, *options.extra])))
    ours = {"path": "path", "label": "landmark_id", "split": "split"}
    try:
        columns = {ours[what]: _strings(table[name]) for what, name in found.items()}
    except pa.ArrowException as error:
        raise StoreError(f"{source}: cannot be read as paths and labels ({error})") from None
    return pa.table(columns | {name: table[name] for name in options.extra})


def find_columns(source: Path, names: Sequence[str], options: SourceOptions) -> dict[str, str]:
    """Which column of a table is what: ``path`` and ``label``, and ``split`` if there is one.

    Raises:
        StoreError: no column of paths or labels, or a named one is not there.
    """
    found = usual_columns(names, options)
    for what, name in options.columns:
        if name not in names:
            raise StoreError(
                f"--columns {what}={name}: {source} has no such column; it has {', '.join(names)}"
            )
    missing = [what for what in ("path", "label") if what not in found]
    if missing:
        others = [name for name in names if name not in found.values()]
        example = others[0] if len(others) == len(missing) == 1 else "COLUMN"
        named = ",".join(f"{what}={example}" for what in missing)
        raise StoreError(
            f"{source}: no column is called like {' or '.join(missing)}; it has "
            f"{', '.join(names)}; name {'it' if len(missing) == 1 else 'them'} with "
            f"--columns {shlex.quote(named)}"
        )
    return found


def usual_columns(names: Sequence[str], options: SourceOptions) -> dict[str, str]:
    """Which column of a table is what, by the names that were given or else the usual ones."""
    given = dict(options.columns)
    found: dict[str, str] = {}
    for what, usual in COLUMNS.items():
        if what in given:
            found[what] = given[what]
            continue
        taken = {*found.values(), *given.values()}
        lower = {name.strip().lower(): name for name in reversed(names) if name not in taken}
        match = next((lower[name] for name in usual if name in lower), None)
        if match is not None:
            found[what] = match
    return found


def read_paths(source: Path, column: str) -> pa.ChunkedArray:
    """One column of a table, as strings without blanks around them.

    Raises:
        StoreError: it cannot be read.
    """
    if source.suffix.lower() in CSV_SUFFIXES:
        return read_csv(source, [column])[column]
    return _strings(_read(source, [column])[column])


def _strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pc.utf8_trim_whitespace(pc.fill_null(column.cast(pa.string()), ""))


def column_names_of(source: Path) -> list[str]:
    """The names of the columns of a table.

    Raises:
        StoreError: it is not of the kind that its suffix says.
    """
    if source.suffix.lower() in CSV_SUFFIXES:
        return column_names(source)
    try:
        if source.suffix.lower() in JSON_SUFFIXES:
            return _json(source).column_names
        return pq.read_schema(source).names
    except (pa.ArrowException, OSError) as error:
        kind = "parquet" if source.suffix.lower() == ".parquet" else "JSON lines"
        raise StoreError(f"{source}: not a {kind} file ({_one_line(error)})") from None


def _read(source: Path, columns: list[str]) -> pa.Table:
    try:
        if source.suffix.lower() in JSON_SUFFIXES:
            return _json(source).select(columns)
        return pq.read_table(source, columns=columns)
    except (pa.ArrowException, OSError) as error:
        text = _one_line(error)
        raise StoreError(f"{source}: cannot be read as paths and labels ({text})") from None


def _json(source: Path) -> pa.Table:
    return pyarrow.json.read_json(source)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
