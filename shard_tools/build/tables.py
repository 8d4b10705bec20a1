"""The last step of a build: samples, classes, rejected, manifest, and the summary."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from shard_tools.build.options import BuildOptions
from shard_tools.build.shard_writer import ROWS_SCHEMA, PackResult
from shard_tools.columns import one_array, pc, read_csv, without_formulas
from shard_tools.errors import StoreError, counted
from shard_tools.files.atomic import atomic_open, write_text
from shard_tools.sources.records import REJECTED_SCHEMA, Records
from shard_tools.store.layout import (
    CLASSES,
    CLASSES_SCHEMA,
    DUPLICATES,
    MANIFEST,
    REJECTED,
    SAMPLES,
    SAMPLES_SCHEMA,
    SPLITS,
)
from shard_tools.store.manifest import Manifest
from shard_tools.store.seal import FileInfo
from shard_tools.store.store import Store, table_bytes

_LISTED = 20
"""Classes named in the summary, at most."""


@dataclass(frozen=True)
class Summary:
    """The result of a build."""

    out: Path
    manifest: Manifest
    rejected: dict[str, int]
    """Number by reason."""
    seconds: float = 0.0
    """How long this run took."""

    def after(self, seconds: float) -> Summary:
        """The same, with the time it took."""
        return replace(self, seconds=seconds)

    @classmethod
    def of_store(cls, out: Path) -> Summary:
        """The summary of a store that is finished."""
        rejected = read_csv(out / REJECTED, ("reason",), (out / REJECTED).read_bytes())
        return cls(out, Store.open(out).manifest, _by_reason(rejected))

    def text(self) -> str:
        """The summary in a few lines."""
        counts, shards = self.manifest.counts, self.manifest.shards
        size = sum(shard.bytes for shard in shards)
        rate = counts["photos"] / max(self.seconds, 1e-9)
        by_split = ", ".join(f"{split} {counts[split]:,}" for split in SPLITS)
        lines = [
            f"photos    {counts['photos']:,} ({by_split})",
            f"classes   {counts['classes']:,}",
            f"shards    {len(shards):,}, {size / 1e6:,.1f} MB",
            f"time      {self.seconds:.1f} s, {rate:,.0f} photos/s",
            f"rejected  {counts['rejected']:,}",
            *(f"          {number:,} {reason}" for reason, number in self.rejected.items()),
        ]
        if self.rejected:
            lines.append(f"          each one is listed in {self.out / REJECTED}")
        splits = self.manifest.notes.get("splits", [])
        torn = any("in several of the given splits" in note for note in splits)
        lines += duplicate_lines(self.manifest.notes.get("duplicates"), torn)
        if self.manifest.options.get("check") == "header":
            lines.append("warning   photos were not decoded; glr-shard verify --decode does that")
        lines += [f"splits    {note}" for note in splits]
        strange = self.manifest.notes.get("photos_of_unknown_classes", 0)
        if strange:
            lines.append(
                f"unknown   {strange:,} photos are of classes that the model does not know"
            )
        untrained = self.manifest.notes["classes_without_train_photo"]
        if untrained:
            names = ", ".join(untrained[:_LISTED]) + (", ..." if len(untrained) > _LISTED else "")
            lines.append(
                f"warning   {counted(len(untrained), 'class')} without a photo to train: {names}"
            )
        untested = self._untested()
        if untested:
            names = ", ".join(untested[:_LISTED]) + (", ..." if len(untested) > _LISTED else "")
            lines.append(
                f"untested  {counted(len(untested), 'class')} without test photos: {names}"
            )
        return "\n".join([*lines, f"store     {self.out}"])

    def _untested(self) -> list[str]:
        """What to call the classes without a test photo, where others have some."""
        if not self.manifest.counts["test"]:
            return []
        # Without threads: one that is just being started when the process ends would abort it.
        data = pa.BufferReader((self.out / CLASSES).read_bytes())
        classes = pq.ParquetFile(data, pre_buffer=False).read(use_threads=False).to_pylist()
        return [row["name"] or row["landmark_id"] for row in classes if not row["test"]]


#: Said where most copies of a photo are in several classes.
_NO_CLASSES = ": the classes may not be what the photos show (--dry-run, --classes)"


def duplicate_lines(notes: Mapping[str, int] | None, torn: bool = False) -> list[str]:
    """What the summary says of duplicates: nothing where none were found, or looked for.

    Args:
        notes: those of the manifest.
        torn: whether splits that the source gives tear groups apart, as another line says.
    """
    if not notes or not notes["groups"]:
        return []
    kept = "kept" if torn else "each group in one split"
    fate = f"{notes['dropped']:,} dropped" if notes["dropped"] else kept
    lines = [
        f"copies    {notes['photos']:,} photos in {notes['groups']:,} groups "
        f"({notes['exact']:,} to the byte), {fate}; listed in {DUPLICATES}"
    ]
    if notes["groups_with_label_conflict"]:
        number = notes["groups_with_label_conflict"]
        lines.append(
            f"warning   {number:,} of {notes['groups']:,} groups of duplicates have more than one "
            "label" + _NO_CLASSES * (2 * number >= notes["groups"])
        )
    return lines


def write_tables(
    options: BuildOptions,
    records: Records,
    results: Sequence[PackResult],
    packed: Sequence[PackResult],
) -> Summary:
    """Write the tables of a store, its manifest last.

    Args:
        options: of the build.
        records: that went in.
        results: of every shard, in the order of the plan.
        packed: those with photos in them.

    Raises:
        StoreError: every photo was rejected.
    """
    rejected = pa.concat_tables([records.rejected, _rejected(results, records)])
    reasons = _by_reason(rejected)
    files = [_put(options.out, REJECTED, _csv_bytes(rejected))]
    if not packed:
        worst = ", ".join(f"{number:,} {reason}" for reason, number in reasons.items())
        raise StoreError(f"no photo could be packed: {worst}; see {options.out / REJECTED}")
    rows = pa.concat_tables([result.rows for result in packed])
    samples, counts = _samples(rows, packed, records)
    if records.duplicates is not None:
        files.append(_put(options.out, DUPLICATES, _csv_bytes(records.duplicates)))
    files.append(_put(options.out, SAMPLES, table_bytes(samples, samples.schema)))
    classes = table_bytes(_classes(records, counts), CLASSES_SCHEMA)
    files.append(_put(options.out, CLASSES, classes))
    manifest = _manifest(options, records, packed, counts, len(rejected))
    manifest = replace(manifest, files=tuple(sorted(files, key=lambda info: info.name)))
    write_text(options.out / MANIFEST, manifest.to_json())
    return Summary(options.out, manifest, reasons)


def _put(folder: Path, name: str, data: bytes) -> FileInfo:
    """Write a file of the store; returns what the manifest says of it."""
    with atomic_open(folder / name) as file:
        file.write(data)
    return FileInfo.of(name, data)


def _csv_bytes(table: pa.Table) -> bytes:
    """A table as CSV. (Keys cannot hold a formula that does harm.)"""
    file = io.BytesIO()
    csv.write_csv(without_formulas(table, but=("key",)), file)
    return file.getvalue()


def _by_reason(rejected: pa.Table) -> dict[str, int]:
    return dict(Counter(rejected["reason"].to_pylist()).most_common())


def _samples(
    rows: pa.Table, packed: Sequence[PackResult], records: Records
) -> tuple[pa.Table, np.ndarray]:
    """The samples table, and photos per class and split of shape (classes, 3)."""
    labels = rows["label"].to_numpy()
    sizes = [result.info.samples for result in packed]
    shard = np.repeat(np.arange(len(packed), dtype=np.int32), sizes)
    of_shard = np.array([SPLITS.index(result.info.split) for result in packed], np.int32)
    split = of_shard[shard]
    classes = len(records.classes)
    counts = np.bincount(labels * len(SPLITS) + split, minlength=classes * len(SPLITS))
    ids = records.classes["landmark_id"].combine_chunks()
    derived = {
        "landmark_id": _dictionary(labels, ids),
        "split": _dictionary(split, pa.array(SPLITS)),
        "shard": _dictionary(shard, pa.array([result.info.name for result in packed])),
    }
    at = pc.index_in(rows["key"], value_set=one_array(records.photos["key"]))
    origins = records.photos["path"] if records.origins is None else records.origins
    derived["path"] = origins.take(at)
    columns = [
        rows[name] if name in ROWS_SCHEMA.names else derived[name] for name in SAMPLES_SCHEMA.names
    ]
    table = pa.table(columns, names=SAMPLES_SCHEMA.names).cast(SAMPLES_SCHEMA)
    if records.carried is not None and records.carried.num_columns:
        for name, column in zip(
            records.carried.column_names, records.carried.take(at).columns, strict=True
        ):
            table = table.append_column(name, column)
    return table, counts.reshape(classes, len(SPLITS))


def _dictionary(codes: np.ndarray, values: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), values)


def _classes(records: Records, counts: np.ndarray) -> pa.Table:
    columns: dict[str, Any] = {
        "label": np.arange(len(counts), dtype=np.int32),
        "landmark_id": records.classes["landmark_id"],
        "name": records.classes["name"],
    }
    columns |= {split: counts[:, place] for place, split in enumerate(SPLITS)}
    return pa.table(columns)


def _rejected(results: Sequence[PackResult], records: Records) -> pa.Table:
    bad = [reject for result in results for reject in result.rejected]
    labels = pa.array([reject.label for reject in bad], pa.int32())
    columns = {
        "key": [reject.key for reject in bad],
        "path": [reject.path for reject in bad],
        "landmark_id": pc.take(records.classes["landmark_id"], labels),
        "reason": [reject.reason for reject in bad],
        "detail": [reject.detail for reject in bad],
    }
    return pa.table(columns).cast(REJECTED_SCHEMA)


def _manifest(
    options: BuildOptions,
    records: Records,
    packed: Sequence[PackResult],
    counts: np.ndarray,
    rejected: int,
) -> Manifest:
    per_split = dict(zip(SPLITS, counts.sum(axis=0).tolist(), strict=True))
    ids = records.classes["landmark_id"]
    # A store for evaluation has nothing to train on, and need not say so class by class.
    untrained = pa.array(
        np.flatnonzero(counts[:, 0] == 0) if counts[:, 0].any() else [], pa.int64()
    )
    return Manifest(
        source={
            "kind": records.kind,
            "location": str(options.source),
            "labels": records.label_file,
        },
        options=options.deciding() | {"layout": records.kind},
        seed=options.seed,
        counts={
            "classes": len(records.classes),
            "photos": int(counts.sum()),
            **per_split,
            "rejected": rejected,
        },
        shards=tuple(result.info for result in packed),
        notes={
            "classes_without_train_photo": pc.take(ids, untrained).to_pylist(),
            **records.notes,
        },
    )
