"""From a source to its table of photos: keys, paths, labels, and what could not be used.

Sources: the Kaggle layout as a folder or as the zip that is downloaded, the tars of Google
Landmarks v2, one folder per class (on disk or in a zip), a table of paths and labels, a finished
store. None is unpacked. Everything is columns of pyarrow and numpy, not rows of Python.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from shard_tools.errors import StoreError
from shard_tools.sources.class_folders import class_folders
from shard_tools.sources.finished_store import store_photos
from shard_tools.sources.gldv2 import find_tars, gldv2_tars
from shard_tools.sources.kaggle import kaggle_folder, kaggle_zip, zip_prefix
from shard_tools.sources.labels import CLEAN, TRAIN
from shard_tools.sources.path_table import TABLE_SUFFIXES, path_table
from shard_tools.sources.records import PHOTOS_SCHEMA, REJECTED_SCHEMA, Records, rejects
from shard_tools.sources.zips import SUFFIX as ZIP
from shard_tools.sources.zips import read_directory
from shard_tools.store.layout import FORMAT_NAME, MANIFEST

__all__ = [
    "LAYOUTS",
    "PHOTOS_SCHEMA",
    "REJECTED_SCHEMA",
    "Records",
    "detect_layout",
    "read_source",
    "rejects",
]

LAYOUTS = ("kaggle", "folders", "gldv2", "table", "store")

Listed = Callable[[Path, Path | None], Records]
_FOLDERS: dict[str, Listed] = {
    "kaggle": kaggle_folder,
    "folders": class_folders,
    "gldv2": gldv2_tars,
    "store": store_photos,
}
_ZIPS: dict[str, Listed] = {"kaggle": kaggle_zip, "folders": class_folders}
_TABLES: dict[str, Listed] = {"table": path_table}


def read_source(source: Path, layout: str | None = None, labels: Path | None = None) -> Records:
    """List a source.

    Args:
        source: the folder, zip or table.
        layout: one of ``LAYOUTS``, or None to find out.
        labels: the label file, for layouts that take one; None for the one beside the photos.

    Raises:
        StoreError: no photos there, or a label file that cannot be used.
    """
    if not source.exists():
        raise StoreError(f"--source {source}: no such folder or file; check the path")
    choices = _choices(source)
    try:
        layout = layout or detect_layout(source)
        if layout not in choices:
            raise StoreError(
                f"--source {source}: cannot have the layout {layout}; that of "
                f"{'a folder' if source.is_dir() else 'such a file'} is {' or '.join(choices)}"
            )
        records = choices[layout](source, labels)
    except OSError as error:
        raise StoreError(f"--source {source}: cannot be listed ({error})") from None
    if not len(records.photos):
        raise StoreError(f"--source {source}: no photo there that has a label (layout {layout})")
    return records


def _choices(source: Path) -> dict[str, Listed]:
    """The layouts that a source of this kind can have."""
    if source.is_dir():
        return _FOLDERS
    if source.suffix.lower() == ZIP:
        return _ZIPS
    if source.suffix.lower() in TABLE_SUFFIXES:
        return _TABLES
    advice = (
        "give the folder that holds the tars"
        if source.suffix == ".tar"
        else ("give a folder of photos, a .zip, or a .csv or .parquet table of paths and labels")
    )
    raise StoreError(f"--source {source}: is a file of no known kind; {advice}")


def detect_layout(source: Path) -> str:
    """The layout of a source: one of ``LAYOUTS``.

    Raises:
        StoreError: none fits.
    """
    if not source.is_dir():
        if source.suffix.lower() == ZIP:
            return "kaggle" if zip_prefix(read_directory(source)) is not None else "folders"
        return "table"
    if _is_store(source):
        return "store"
    labelled = any((source / name).exists() for name in (TRAIN, CLEAN))
    tars = find_tars(source)
    if tars and (labelled or tars[0].name.startswith("images_")):
        return "gldv2"
    if (source / TRAIN).exists():
        return "kaggle"
    if any(entry.is_dir() and not entry.name.startswith(".") for entry in source.iterdir()):
        return "folders"
    zips = sorted(source.glob(f"*{ZIP}"))
    advice = f"give the zip itself: {zips[0]}" if zips else "check the path"
    raise StoreError(
        f"--source {source}: neither a {TRAIN} (Kaggle layout) nor a folder per class is there, "
        f"nor tars, nor a store; {advice}"
    )


def _is_store(source: Path) -> bool:
    try:
        manifest = json.loads((source / MANIFEST).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("format") == FORMAT_NAME
