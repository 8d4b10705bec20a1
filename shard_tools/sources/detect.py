"""Which layout a source has, and its photos and labels read as one ``Records``.

Nothing is unpacked. Everything is columns of pyarrow and numpy, not rows of Python.
"""

from __future__ import annotations

from pathlib import Path

from shard_tools.errors import StoreError
from shard_tools.sources import (
    class_folders,
    finished_store,
    gldv2,
    image_folder,
    kaggle,
    parquet_images,
    path_table,
)
from shard_tools.sources.labels import TRAIN
from shard_tools.sources.layout import FOLDER, TABLE, ZIP, Layout, SourceOptions
from shard_tools.sources.path_table import TABLE_SUFFIXES
from shard_tools.sources.records import Records

_ZIP_SUFFIX = ".zip"
#: By name, in the order in which a source is compared with them: the first that fits is taken.
LAYOUTS: dict[str, Layout] = {
    module.LAYOUT.name: module.LAYOUT
    for module in (
        finished_store,
        gldv2,
        kaggle,
        image_folder,
        parquet_images,
        path_table,
        class_folders,
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
    choices = [layout for layout in LAYOUTS.values() if _kind(source) in layout.kinds]
    try:
        name = options.layout or detect_layout(source)
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
        raise StoreError(f"--source {source}: no photo there that has a label (layout {name})")
    return records


def detect_layout(source: Path) -> str:
    """The name of the layout of a source.

    Raises:
        StoreError: none fits.
    """
    kind = _kind(source)
    for layout in LAYOUTS.values():
        if kind in layout.kinds and layout.detect(source):
            return layout.name
    zips = sorted(source.glob(f"*{_ZIP_SUFFIX}"))
    advice = f"give the zip itself: {zips[0]}" if zips else "check the path"
    raise StoreError(
        f"--source {source}: neither a {TRAIN} (Kaggle layout) nor a folder per class is there, "
        f"nor tars, nor a store; {advice}"
    )


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
        else "give a folder of photos, a .zip, or a .csv or .parquet table of paths and labels"
    )
    raise StoreError(f"--source {source}: is a file of no known kind; {advice}")
