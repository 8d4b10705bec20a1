"""Where photos are: listing a folder tree once, and reading one photo by its path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from shard_tools.sources.readers import FolderReader
from shard_tools.sources.records import Listing, rejects

_CHUNK = 65_536


def list_files(root: Path) -> tuple[pa.ChunkedArray, list[str]]:
    """All files under a folder, by path relative to it, in sorted order; hidden ones left out.

    Directories are read once and no file is touched. Links are followed, but not in circles.

    Returns:
        Paths with ``/`` between the parts, strings; and those that are not UTF-8, made printable.
    """
    chunks: list[pa.Array] = []
    unreadable: list[str] = []
    batch: list[str] = []
    for path in _walk(root, ""):
        if path.isascii() or _is_utf8(path):
            batch.append(path)
        else:
            unreadable.append(path.encode("utf-8", "backslashreplace").decode())
        if len(batch) == _CHUNK:
            chunks.append(pa.array(batch, pa.string()))
            batch = []
    chunks.append(pa.array(batch, pa.string()))
    return pa.chunked_array(chunks), unreadable


def _walk(root: Path, prefix: str) -> Iterator[str]:
    folders: list[str] = []
    with os.scandir(root / prefix) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith((".", "__MACOSX")):
                continue
            if not entry.is_dir():
                yield prefix + entry.name
            elif not entry.is_symlink() or not _is_circle(root, prefix, entry.path):
                folders.append(entry.name)
    for folder in folders:
        yield from _walk(root, f"{prefix}{folder}/")


def _is_circle(root: Path, prefix: str, link: str) -> bool:
    """Whether a link, found in ``root/prefix``, leads to a directory on the way to itself."""
    inside = root / prefix
    way = [inside, *list(inside.parents)[: prefix.count("/")]]
    return any(folder.samefile(link) for folder in way)


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # surrogates replace bytes that are not UTF-8
        return False
    return True


def list_folder(folder: Path) -> Listing:
    """All files under a folder."""
    paths, unreadable = list_files(folder)
    bad = rejects("file name is not UTF-8", path=pa.array(unreadable, pa.string()))
    return Listing(pa.table([paths], names=["path"]), FolderReader(str(folder)), (bad,))
