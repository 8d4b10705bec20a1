"""Photos per class of anything that has classes: a store, source, label file or table of counts.

Of a label file, and of tars with one beside them, only the label file is read, which takes a second
at full scale. Other sources are listed, so that what a build would leave out is counted too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from shard_tools.columns import column_names, one_array, pc, read_csv
from shard_tools.errors import StoreError
from shard_tools.sources import gldv2, kaggle
from shard_tools.sources.detect import read_source
from shard_tools.sources.labels import (
    NameFile,
    class_table,
    find_label_file,
    names_ids,
    read_labels,
)
from shard_tools.sources.layout import SourceOptions
from shard_tools.sources.look import describe, reasons
from shard_tools.sources.records import Records
from shard_tools.sources.tars import find_tars
from shard_tools.store.consistency import open_consistent
from shard_tools.store.layout import SPLITS
from shard_tools.store.store import Store, holds_store

ALL = "all"
_COUNT = "^[0-9]{1,10}$"


@dataclass(frozen=True)
class ClassCounts:
    """How many photos each class has."""

    kind: str
    """``store``, ``source``, ``labels`` (only the label file was read) or ``counts``."""
    where: Path
    """What was counted."""
    landmark_ids: pa.Array
    """One string per class."""
    names: pa.Array
    """One string or null per class."""
    splits: dict[str, np.ndarray]
    """Photos per class by split, or under the one key ``all``. Each of shape (classes,), int64."""

    skipped: dict[str, int] = field(default_factory=dict)
    """Photos and files of a source that will be left out, by reason."""
    understood: tuple[str, ...] = ()
    """How a source was understood, in words."""

    @property
    def total(self) -> np.ndarray:
        """Photos per class over all splits. Shape (classes,), int64."""
        return np.stack(list(self.splits.values())).sum(axis=0)

    def title(self, label: int) -> str:
        """What to call a class: its name or, without one, its id."""
        return self.names[label].as_py() or self.landmark_ids[label].as_py()


def read_counts(path: Path, options: SourceOptions | None = None) -> ClassCounts:
    """Photos per class of a store, a source, a label file or a table of counts.

    Args:
        path: a store; any source that ``build`` takes; or a CSV file, either ``id,landmark_id`` or
            ``landmark_id,images``, where ``images`` is a number or ids separated by blanks.
        options: how a source is read; None detects everything.

    Raises:
        StoreError: it is none of these.
    """
    options = options or SourceOptions()
    layout = options.layout
    if not path.exists():
        raise StoreError(f"{path}: no such file or folder; check the path")
    if path.is_file() and path.suffix.lower() == ".csv" and layout is None:
        names = column_names(path)
        if names_ids(names) and "path" not in names:
            return _from_csv(path, names)
    if holds_store(path) and layout in (None, "store"):
        return of_store(open_consistent(path))
    label_file = _label_file_alone(path, options)
    if label_file is not None:
        return _of_labels(read_labels(label_file), path, NameFile.in_folder(label_file.parent))
    return of_records(read_source(path, options), path)


def _label_file_alone(path: Path, options: SourceOptions) -> Path | None:
    """The label file of a folder, where it says all that there is to count.

    That is so beside tars, of which photos without a label are no fault, and without any photos.
    """
    if options.layout not in (None, kaggle.NAME, gldv2.NAME) or not path.is_dir():
        return None
    file = options.labels or find_label_file(path)
    if file is None or not names_ids(column_names(file)):
        return None
    photos = any(entry.is_dir() and entry.name != "metadata" for entry in path.iterdir())
    return file if find_tars(path) or not photos else None


def of_store(store: Store) -> ClassCounts:
    """Photos per class and split of a store."""
    classes = store.classes()
    splits = {split: classes[split].to_numpy().astype(np.int64) for split in SPLITS}
    ids, names = one_array(classes["landmark_id"]), one_array(classes["name"])
    return ClassCounts("store", store.path, ids, names, splits)


def of_records(records: Records, path: Path) -> ClassCounts:
    """Photos per class of a source that has been listed."""
    counts = np.bincount(records.labels, minlength=len(records.classes)).astype(np.int64)
    ids, names = one_array(records.classes["landmark_id"]), one_array(records.classes["name"])
    return ClassCounts(
        "source", path, ids, names, {ALL: counts}, reasons(records), tuple(describe(records))
    )


def _from_csv(path: Path, names: list[str]) -> ClassCounts:
    if "images" not in names or "id" in names:
        return _of_labels(read_labels(path), path, NameFile.in_folder(path.parent))
    table = read_csv(path, ("landmark_id", "images"))
    if not pc.all(pc.match_substring_regex(table["images"], _COUNT), min_count=0).as_py():
        return _of_labels(read_labels(path), path, NameFile.in_folder(path.parent))
    _check_rows(path, table)
    classes, rows = class_table(table["landmark_id"], NameFile.in_folder(path.parent))
    counts = np.zeros(len(classes), np.int64)
    counts[rows] = table["images"].cast(pa.int64()).to_numpy()
    ids, names_ = one_array(classes["landmark_id"]), one_array(classes["name"])
    return ClassCounts("counts", path, ids, names_, {ALL: counts})


def _check_rows(path: Path, table: pa.Table) -> None:
    if not len(table):
        raise StoreError(f"{path}: no classes; it needs one row landmark_id,images for each")
    if pc.count_distinct(table["landmark_id"]).as_py() < len(table):
        raise StoreError(f"{path}: a landmark_id has several rows; give one row per class")


def _of_labels(table: pa.Table, path: Path, names: NameFile | None) -> ClassCounts:
    """Photos per class of a label file: columns ``id`` and ``landmark_id``."""
    if not len(table):
        raise StoreError(f"{path}: no photo in it has a label")
    classes, labels = class_table(table["landmark_id"], names)
    counts = np.bincount(labels, minlength=len(classes)).astype(np.int64)
    ids, named = one_array(classes["landmark_id"]), one_array(classes["name"])
    return ClassCounts("labels", path, ids, named, {ALL: counts})
