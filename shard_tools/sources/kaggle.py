"""The Kaggle competition: ``train.csv`` and ``train/a/b/c/<id>.jpg``, in a folder or a zip."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from shard_tools.columns import pc
from shard_tools.errors import StoreError
from shard_tools.sources.folder import list_folder
from shard_tools.sources.join import join_labels
from shard_tools.sources.labels import TRAIN, NameFile, read_labels
from shard_tools.sources.records import Listing, Records
from shard_tools.sources.zips import ZipReader, read_directory, read_member

_IN_PHOTO_FOLDER = "train"


def kaggle_folder(source: Path, labels: Path | None) -> Records:
    """``train.csv`` and ``train/a/b/c/<id>.jpg``."""
    file = labels or source / TRAIN
    table = read_labels(file)
    folder = source / _IN_PHOTO_FOLDER
    if not folder.is_dir():
        raise StoreError(f"{folder}: missing; photos of {file.name} belong there: a/b/c/<id>.jpg")
    listing = list_folder(folder)
    return join_labels("kaggle", listing, table, file.name, NameFile.in_folder(source))


def kaggle_zip(source: Path, labels: Path | None) -> Records:
    """The competition's zip as downloaded: ``train.csv`` and ``train/a/b/c/<id>.jpg`` inside."""
    members = read_directory(source)
    prefix = zip_prefix(members)
    if prefix is None and labels is None:
        raise StoreError(f"--source {source}: no {TRAIN} in the zip; give --labels FILE")
    prefix = prefix or ""
    if labels is None:
        table = read_labels(source / (prefix + TRAIN), read_member(source, members, prefix + TRAIN))
    else:
        table = read_labels(labels)
    listing = Listing(
        members.filter(pc.starts_with(members["path"], f"{prefix}{_IN_PHOTO_FOLDER}/")),
        ZipReader(str(source)),
    )
    if not len(listing.files):
        raise StoreError(
            f"--source {source}: no photos in the zip under {prefix}{_IN_PHOTO_FOLDER}/, "
            f"where those of {TRAIN} belong"
        )
    names = NameFile.in_zip(source, members, prefix)
    return join_labels("kaggle", listing, table, labels.name if labels else TRAIN, names)


def zip_prefix(members: pa.Table) -> str | None:
    """The folder in a zip that holds ``train.csv``, with a slash; the outermost if several do."""
    paths = members["path"]
    found = paths.filter(pc.match_substring_regex(paths, rf"(^|/){TRAIN}$")).to_pylist()
    return min(found, key=lambda path: path.count("/")).removesuffix(TRAIN) if found else None
