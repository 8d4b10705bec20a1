"""Answers into a file as they come: CSV, JSON lines or parquet, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.csv import CSVWriter, write_csv

from glr_fast.errors import ConfigError
from glr_fast.predict_options import PredictOptions
from glr_fast.prediction.listing import Rejected
from glr_fast.prediction.table import AnswerTable, flat
from shard_tools.columns import without_formulas
from shard_tools.files import atomic_open

MOST_COLUMNS = 1000
"""Classes whose probabilities are written as text; more belong into parquet."""
_GROUP_BYTES = 64 << 20
"""Of a row group, at most, before it is packed."""
_GROUP_ROWS = 65_536


class Writer(Protocol):
    """Writes tables of answers one after the other."""

    def write(self, table: pa.Table) -> None:
        """Append the rows of a table."""
        ...

    def close(self) -> None:
        """Write what is still held."""
        ...


def check_output(options: PredictOptions, classes: int) -> None:
    """Refuse, before anything is predicted, what could not be written afterwards.

    Raises:
        ConfigError: a file is there already, its folder is not, or it would be too wide.
    """
    out = options.out
    if out is None:
        return
    if out.is_dir() or not out.parent.is_dir():
        what = "is a folder" if out.is_dir() else f"there is no folder {out.parent}"
        raise ConfigError(f"--out {out}: {what}; give the name of a file")
    for file in (out, options.rejected_file):
        if file is not None and file.exists() and not options.overwrite:
            raise ConfigError(f"--out: {file} exists; give another name, or --overwrite")
    if options.all and classes > MOST_COLUMNS and out.suffix.lower() != ".parquet":
        raise ConfigError(
            f"--all: {classes:,} probabilities for each photo are too many for {out.suffix}; "
            "give --out FILE.parquet"
        )


@contextmanager
def open_writer(out: Path, table: AnswerTable) -> Iterator[Writer]:
    """A writer of the kind that the file's suffix says; the file appears when the block ends."""
    kinds = {".csv": _Csv, ".jsonl": _JsonLines, ".parquet": _Parquet}
    with atomic_open(out) as file:
        writer = kinds[out.suffix.lower()](file, table)
        try:
            yield writer
        except BaseException:
            with suppress(Exception):  # what it holds goes with the file
                writer.close()
            raise
        writer.close()


def write_rejected(file: Path, rejected: Iterable[Rejected]) -> None:
    """The list of photos that could not be read: ``path,reason,detail``."""
    rows = [
        [part.encode("utf-8", "backslashreplace").decode() for part in parts]
        for parts in ((found.path, found.reason, found.detail) for found in rejected)
    ]
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    arrays = [pa.array(column, pa.string()) for column in columns]
    table = pa.table(arrays, names=["path", "reason", "detail"])
    with atomic_open(file) as raw:
        write_csv(without_formulas(table), raw)


class _Csv:
    def __init__(self, file: BinaryIO, table: AnswerTable) -> None:
        self._ids = table.landmark_ids
        self._writer = CSVWriter(file, flat(table.schema.empty_table(), self._ids).schema)

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(without_formulas(flat(table, self._ids)))

    def close(self) -> None:
        self._writer.close()


class _JsonLines:
    def __init__(self, file: BinaryIO, table: AnswerTable) -> None:
        self._file, self._ids = file, table.landmark_ids

    def write(self, table: pa.Table) -> None:
        for row in table.to_pylist():
            row["probability"] = _short(row["probability"])
            row["top_probabilities"] = [_short(p) for p in row["top_probabilities"]]
            if "probabilities" in row:
                pairs = zip(self._ids, row["probabilities"], strict=True)
                row["probabilities"] = {landmark: _short(p) for landmark, p in pairs}
            self._file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")

    def close(self) -> None:
        """Nothing is held."""


class _Parquet:
    def __init__(self, file: BinaryIO, table: AnswerTable) -> None:
        self._writer = pq.ParquetWriter(file, table.schema, compression="zstd")
        self._held: list[pa.Table] = []
        self._bytes = self._rows = 0  # of the tables held

    def write(self, table: pa.Table) -> None:
        self._held.append(table)
        self._bytes += table.nbytes
        self._rows += len(table)
        if self._bytes >= _GROUP_BYTES or self._rows >= _GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._held:
            # A table's schema has no metadata, the file's may have.
            table = pa.concat_tables(self._held).replace_schema_metadata(
                self._writer.schema.metadata
            )
            self._writer.write_table(table, row_group_size=len(table))
        self._held, self._bytes, self._rows = [], 0, 0


def _short(probability: float) -> float:
    """Of a float32 the digits that it has, not those of the float64 it became."""
    return float(f"{probability:.7g}")
