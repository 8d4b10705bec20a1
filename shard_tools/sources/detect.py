"""Which layout a source has, and its photos and labels read as one ``Records``.

Nothing is unpacked. Everything is columns of pyarrow and numpy, not rows of Python.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from shard_tools.columns import column_names
from shard_tools.errors import StoreError
from shard_tools.sources import (
    class_folders,
    finished_store,
    gldv2,
    image_folder,
    kaggle,
    parquet_images,
    path_table,
    tars,
)
from shard_tools.sources.advice import unused_table
from shard_tools.sources.labels import TRAIN, names_ids
from shard_tools.sources.layout import FOLDER, TABLE, ZIP, Layout, SourceOptions
from shard_tools.sources.records import PHOTO_SUFFIXES, Records
from shard_tools.sources.table_columns import TABLE_SUFFIXES, column_names_of, read_columns
from shard_tools.store.layout import WORK

_ZIP_SUFFIX = ".zip"
#: By name, in the order in which a source is compared with them: the first that fits is taken.
LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        finished_store.LAYOUT,
        gldv2.LAYOUT,
        kaggle.LAYOUT,
        image_folder.LAYOUT,
        image_folder.TABLES_LAYOUT,
        parquet_images.LAYOUT,
        path_table.LAYOUT,
        class_folders.LAYOUT,
    )
}


def read_source(source: Path, options: SourceOptions | None = None) -> Records:
    """List a source.

    Args:
        source: the folder, zip or table.
        options: how to read it; None detects everything.

    Raises:
        StoreError: no photos there, or a label file that cannot be used.
    """
    options = options or SourceOptions()
    if not source.exists():
        raise StoreError(f"--source {source}: no such folder or file; check the path")
    if not source.is_dir() and not source.is_file():
        raise StoreError(f"--source {source}: is neither a folder nor a regular file")
    choices = [layout for layout in LAYOUTS.values() if _kind(source) in layout.kinds]
    try:
        if _has_path_table(source, options):
            return _by_labels(source, options)
        name = options.layout or _by_ids(source, options) or detect_layout(source)
        if name not in [layout.name for layout in choices]:
            possible = " or ".join(sorted((layout.name for layout in choices), reverse=True))
            raise StoreError(
                f"--source {source}: cannot have the layout {name}; that of "
                f"{'a folder' if source.is_dir() else 'such a file'} is {possible}"
            )
        records = LAYOUTS[name].read(source, options)
    except OSError as error:
        raise StoreError(f"--source {source}: cannot be listed ({error})") from None
    if not len(records.photos):
        if name == class_folders.NAME and source.is_dir():
            raise StoreError(f"--source {source}: {_nothing_fits(source)}")
        raise StoreError(f"--source {source}: no photo there that has a label (layout {name})")
    return records


def _by_ids(source: Path, options: SourceOptions) -> str | None:
    """``kaggle`` where ``--labels`` names the ids of photos in ``train``."""
    if options.labels is None or not source.is_dir() or tars.find_tars(source):
        return None
    return kaggle.NAME if (source / tars.IN_PHOTO_FOLDER).is_dir() else None


def detect_layout(source: Path) -> str:
    """The name of the layout of a source.

    Raises:
        StoreError: none fits.
    """
    kind = _kind(source)
    for layout in LAYOUTS.values():
        if kind in layout.kinds and layout.detect(source):
            return layout.name
    raise StoreError(f"--source {source}: {_nothing_fits(source)}")


def _nothing_fits(source: Path) -> str:
    """What is wrong with a folder that has no layout, and what to do."""
    table = unused_table(source)
    photos = sum(file.suffix[1:].lower() in PHOTO_SUFFIXES for file in source.iterdir())
    if photos:
        advice = "put each into the folder of its class, or give a table with path and label"
        advice = f"give {table}" if table else advice
        return f"{photos:,} photos lie in it, in no class folders; {advice}"
    if table:
        return f"no class folders, but a table of photos is there; give {table}"
    if (source / TRAIN).is_file():
        names = ", ".join(column_names(source / TRAIN))
        return (
            f"its {TRAIN} names no photo there (its columns are {names}; the Kaggle layout has id "
            "and landmark_id); check the path, or name the columns with --columns"
        )
    if (source / WORK).is_dir():
        return "a store that is not finished; run the command of its build again"
    zips = sorted(source.glob(f"*{_ZIP_SUFFIX}"))
    advice = f"give the zip itself: {shlex.quote(str(zips[0]))}" if zips else "check the path"
    return (
        f"no photo there: neither a {TRAIN} (Kaggle layout) nor a folder per class with photos, "
        f"nor tars, nor a store; {advice}"
    )


def _has_path_table(source: Path, options: SourceOptions) -> bool:
    """Whether ``--labels`` names a table of paths: the ids of the competition are in ``train``."""
    file = options.labels
    if file is None or options.layout is not None or not source.is_dir() or not file.is_file():
        return False
    by_id = names_ids(column_names_of(file))
    return not by_id or not (tars.find_tars(source) or (source / tars.IN_PHOTO_FOLDER).is_dir())


def _by_labels(source: Path, options: SourceOptions) -> Records:
    """A folder of photos whose labels are in a table that was named."""
    assert options.labels is not None
    options.forbid(source, "labelled by a table", "classes")
    plain = replace(options, labels=None)
    table = read_columns(options.labels, plain)
    roots = [options.root] if options.root else [source, *path_table.beside(source / "x")]
    return path_table.records_of(path_table.NAME, options.labels, table, roots, plain)


def _kind(source: Path) -> str:
    """``folder``, ``zip`` or ``table``."""
    if source.is_dir():
        return FOLDER
    suffix = source.suffix.lower()
    if suffix == _ZIP_SUFFIX:
        return ZIP
    if suffix in TABLE_SUFFIXES:
        return TABLE
    advice = (
        "give the folder that holds the tars"
        if suffix == ".tar"
        else "give a folder of photos, a .zip, or a .csv, .tsv, .jsonl or .parquet table whose "
        "header names columns of paths and labels"
    )
    raise StoreError(f"--source {source}: is a file of no known kind; {advice}")
