"""A table of paths and labels, and where the photos that it names are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from shard_tools.columns import one_array, pc
from shard_tools.errors import StoreError
from shard_tools.sources.folder import list_files
from shard_tools.sources.join import one_label_each, with_extra
from shard_tools.sources.labels import NameFile, class_table
from shard_tools.sources.layout import TABLE, Layout, SourceOptions
from shard_tools.sources.readers import FolderReader
from shard_tools.sources.records import Records, is_photo, photo_table, stems
from shard_tools.sources.split_names import splits_in_paths
from shard_tools.sources.table_columns import TABLE_SUFFIXES, read_columns

NAME = "table"
#: Folders beside a table that may hold its photos, after the table's own; {} is the table's name.
_ROOTS = ("", "{}", "images", "photos", "train")
_PROBED = 100
"""Paths of a table that are looked up before a build begins."""


def detect(source: Path) -> bool:
    """Whether it is a table by its suffix."""
    return source.suffix.lower() in TABLE_SUFFIXES


def read(source: Path, options: SourceOptions) -> Records:
    """List the rows of a table that has a column of paths and one of labels.

    Paths are absolute, or relative to ``options.root``, to the table's folder, or to a folder
    beside the table that is called like it, ``images``, ``photos`` or ``train``. Backslashes
    between folders and suffixes that are missing are put right. A missing file shows when it is
    packed; only a table of which no path in a sample exists is refused here.

    Raises:
        StoreError: not such a table.
    """
    options.forbid(source, "a table that holds the labels itself", "labels", "classes")
    table = read_columns(source, options)
    root = [options.root] if options.root else beside(source)
    return records_of(NAME, source, table, root, options)


def records_of(
    kind: str, source: Path, table: pa.Table, roots: Sequence[Path], options: SourceOptions
) -> Records:
    """Records of a table.

    Args:
        kind: name of the layout.
        source: the table's file, for messages.
        table: columns ``path``, ``landmark_id``, perhaps ``split``, and those of ``options.extra``.
        roots: folders that the paths may be relative to.
        options: how the source is read.

    Raises:
        StoreError: none of a sample of the paths is there.
    """
    place = paths_there(table["path"], roots)
    if len(table) and not place.share:
        raise StoreError(_nothing_there(source, table["path"], roots, options))
    paths = posix(table["path"]) if place.backslashes else table["path"]
    table = table.set_column(0, "path", with_suffixes(place.root, paths))
    table, rejected = one_label_each(table, "path", source.name)
    names = NameFile.in_folder(source.parent)
    classes, numbers = class_table(pc.utf8_normalize(table["landmark_id"], form="NFC"), names)
    photos = photo_table(stems(table["path"]), table.select(["path"]))
    reader = FolderReader(str(place.root))
    records = Records(kind, reader, photos, numbers, classes, rejected, source.name)
    records = with_extra(records, table, options)
    if records.given is None and "split" not in table.column_names:
        records = replace(records, given=splits_in_paths(table["path"]))
    return records


def with_suffixes(root: Path, paths: pa.ChunkedArray) -> pa.ChunkedArray:
    """Paths with the suffixes that they lack: ``a/12`` becomes ``a/12.jpg``, or ``x/y/12.jpg``.

    Only where most paths have no suffix of a photo; then the files under ``root`` are listed once.
    Those that are not found stay as they are.
    """
    bare = pc.invert(is_photo(paths))
    if not len(paths) or pc.sum(bare).as_py() * 2 <= len(paths):
        return paths
    files = list_files(root)[0]
    files = files.filter(is_photo(files))
    for known in (pc.replace_substring_regex(files, r"(?s)\.[^./]*$", ""), stems(files)):
        counts = pc.value_counts(known)
        once = counts.field("values").filter(pc.equal(counts.field("counts"), 1))
        place = pc.index_in(paths, value_set=one_array(known))
        sure = pc.and_(bare, pc.is_in(paths, value_set=once))
        found = files.take(pc.if_else(sure, place, None))
        paths = pc.if_else(pc.is_valid(found), found, paths)
        bare = pc.invert(is_photo(paths))
    return paths


@dataclass(frozen=True)
class Place:
    """Where the photos of a table are."""

    root: Path
    """Folder that its paths are relative to."""
    share: float
    """Of a sample of its paths, how many are there."""
    backslashes: bool = False
    """Whether the backslashes in its paths part folders."""


def beside(source: Path) -> list[Path]:
    """The folders that the paths of a table may be relative to."""
    return [source.parent / name.format(source.stem) for name in _ROOTS]


def paths_there(paths: pa.ChunkedArray, roots: Sequence[Path]) -> Place:
    """The folder under which most paths of a sample are there; the first of several such."""
    paths = paths.filter(pc.not_equal(paths, ""))
    rows = np.linspace(0, max(len(paths) - 1, 0), min(_PROBED, len(paths))).astype(np.int64)
    sample = paths.take(pa.array(rows))
    best = Place(roots[0], 0.0)
    ways = [False]
    if pc.any(pc.match_substring(sample, "\\"), min_count=0).as_py():
        ways.append(True)
    for backslashes in ways:
        wanted = posix(sample) if backslashes else sample
        for root in roots:
            if not root.is_dir() or not len(sample):
                continue
            there = _count_there(root, with_suffixes(root, wanted)) / len(sample)
            if there > best.share:
                best = Place(root, there, backslashes)
            if best.share == 1:
                return best
    return best


def posix(paths: pa.ChunkedArray) -> pa.ChunkedArray:
    r"""Paths as Windows writes them, ``images\cat\1.jpg``, with slashes."""
    return pc.replace_substring(paths, "\\", "/")


def _nothing_there(
    source: Path, paths: pa.ChunkedArray, roots: Sequence[Path], options: SourceOptions
) -> str:
    where = f"--root {options.root}" if options.root else str(roots[0])
    first = paths[0].as_py()
    text = f"{source}: none of {min(len(paths), _PROBED)} of its paths is there, such as {first}"
    if first.startswith("/") or first[1:3] == ":\\":
        return f"{text}; make them relative, and name the folder that they begin in with --root"
    advice = "name their folder with --root" if not options.root else "give another folder"
    return f"{text}; paths are absolute or relative to {where}; {advice}"


def _count_there(folder: Path, paths: pa.ChunkedArray) -> int:
    there = 0
    for path in paths.to_pylist():
        try:
            place = folder / path
            there += place.exists() and not place.is_dir()
        except ValueError:
            continue
    return there


LAYOUT = Layout(
    NAME,
    "a .csv, .tsv, .parquet or .jsonl table of path and label",
    (TABLE,),
    detect,
    read,
)
