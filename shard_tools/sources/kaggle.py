"""The Kaggle competition: ``train.csv`` and ``train/a/b/c/<id>.jpg``, in a folder or a zip."""

from __future__ import annotations

from pathlib import Path

from shard_tools.columns import column_names, pc
from shard_tools.errors import StoreError
from shard_tools.sources.folder import list_folder
from shard_tools.sources.join import join_labels
from shard_tools.sources.labels import (
    TRAIN,
    NameFile,
    find_label_file,
    names_ids,
    read_labels,
)
from shard_tools.sources.layout import FOLDER, ZIP, Layout, SourceOptions
from shard_tools.sources.records import Listing, Records
from shard_tools.sources.tars import IN_PHOTO_FOLDER
from shard_tools.sources.zip_reader import ZipReader
from shard_tools.sources.zips import outermost, read_directory, read_member

NAME = "kaggle"


def detect(source: Path) -> bool:
    """Whether there is a label file of ids: in a zip, a ``train.csv`` in any of its folders.

    Other tables are often called ``train.csv`` too; one that cannot be read is taken for it.
    """
    if not source.is_dir():
        return outermost(read_directory(source), TRAIN) is not None
    file = find_label_file(source)
    if file is None or not (file.parent == source or (source / IN_PHOTO_FOLDER).is_dir()):
        return False
    try:
        return names_ids(column_names(file))
    except StoreError:
        return True


def read(source: Path, options: SourceOptions) -> Records:
    """List photos and the labels of their ids.

    Raises:
        StoreError: no label file, or no photos where they belong.
    """
    options.forbid(source, "labelled by a table", "classes")
    return _folder(source, options) if source.is_dir() else _zip(source, options)


def _folder(source: Path, options: SourceOptions) -> Records:
    file = options.labels or find_label_file(source) or source / TRAIN
    table = read_labels(file, options=options)
    folder = source / IN_PHOTO_FOLDER
    if not folder.is_dir():
        raise StoreError(f"{folder}: missing; photos of {file.name} belong there: a/b/c/<id>.jpg")
    beside = (source, source / "metadata")
    names = next((n for n in map(NameFile.in_folder, beside) if n), None)
    return join_labels(NAME, list_folder(folder), table, file.name, names, options)


def _zip(source: Path, options: SourceOptions) -> Records:
    members = read_directory(source)
    prefix = outermost(members, TRAIN)
    if prefix is None and options.labels is None:
        raise StoreError(f"--source {source}: no {TRAIN} in the zip; give --labels FILE")
    prefix = prefix or ""
    if options.labels is None:
        data = read_member(source, members, prefix + TRAIN)
        table = read_labels(source / (prefix + TRAIN), data, options)
    else:
        table = read_labels(options.labels, options=options)
    listing = Listing(
        members.filter(pc.starts_with(members["path"], f"{prefix}{IN_PHOTO_FOLDER}/")),
        ZipReader(str(source)),
    )
    if not len(listing.files):
        raise StoreError(
            f"--source {source}: no photos in the zip under {prefix}{IN_PHOTO_FOLDER}/, "
            f"where those of {TRAIN} belong"
        )
    names = NameFile.in_zip(source, members, prefix)
    return join_labels(NAME, listing, table, (options.labels or Path(TRAIN)).name, names, options)


LAYOUT = Layout(
    NAME, f"{TRAIN} + train/a/b/c/<id>.jpg in a folder or zip", (FOLDER, ZIP), detect, read
)
