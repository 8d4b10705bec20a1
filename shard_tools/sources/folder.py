"""Where photos are: listing a folder tree once, and reading one photo by its path."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from shard_tools.sources.readers import FolderReader
from shard_tools.sources.records import REJECTED_SCHEMA, Listing, rejects
from shard_tools.store.layout import CLASSES, MANIFEST, SAMPLES, WORK

_CHUNK = 65_536


@dataclass
class _Found:
    """What a walk comes across."""

    paths: list[str] = field(default_factory=list)
    odd: list[tuple[str, str]] = field(default_factory=list)
    """Path and what is wrong with it: nothing that can be opened as a photo."""
    links: list[str] = field(default_factory=list)
    """Links to folders, which are followed last."""
    seen: set[tuple[int, int]] = field(default_factory=set)
    """Device and inode of every folder."""


def list_files(root: Path) -> tuple[pa.ChunkedArray, pa.Table]:
    """All files under a folder, by path relative to it, in sorted order; hidden ones left out.

    Directories are read once and no regular file is touched. Every folder is listed once, however
    many links lead to it: by its own path where it is under ``root``, else by the first link.
    Stores, finished or not, are passed over.

    Returns:
        Paths with ``/`` between the parts, strings; and ``REJECTED_SCHEMA`` of what cannot be a
        photo: names that are not UTF-8, pipes and devices, folders that cannot be read.
    """
    found = _Found()
    _walk(root, "", found)
    linked = bool(found.links)
    while found.links:
        links, found.links = sorted(found.links), []
        for link in links:
            _walk(root, f"{link}/", found)
    if linked:  # in the order of a walk: the files of a folder before the folders in it
        found.paths.sort(key=_walk_order)
    chunks: list[pa.Array] = []
    batch: list[str] = []
    for path in found.paths:
        if path.isascii() or _is_utf8(path):
            batch.append(path)
        else:
            found.odd.append((path, "file name is not UTF-8"))
        if len(batch) == _CHUNK:
            chunks.append(pa.array(batch, pa.string()))
            batch = []
    chunks.append(pa.array(batch, pa.string()))
    odd = [(path.encode("utf-8", "backslashreplace").decode(), why) for path, why in found.odd]
    tables = [
        rejects(reason, path=pa.array([path for path, why in odd if why == reason], pa.string()))
        for reason in dict.fromkeys(why for _, why in odd)
    ]
    return pa.chunked_array(chunks), pa.concat_tables([REJECTED_SCHEMA.empty_table(), *tables])


def _walk(root: Path, start: str, found: _Found) -> None:
    """List ``root/start`` and what is below it; without recursion, folders may be nested deeply."""
    waiting = [start]
    while waiting:
        prefix = waiting.pop()
        try:
            state = (root / prefix).stat()
            place = state.st_dev, state.st_ino
            if place in found.seen:
                found.odd.append((prefix.rstrip("/"), "link to a folder that is listed elsewhere"))
                continue
            found.seen.add(place)
            with os.scandir(root / prefix) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            if not prefix:
                raise
            found.odd.append((prefix.rstrip("/"), f"folder cannot be read: {error.strerror}"))
            continue
        if prefix and _is_store(entries):
            continue
        folders: list[str] = []
        for entry in entries:
            if entry.name.startswith((".", "__MACOSX")):
                continue
            kind = _kind(entry)
            if kind == "file":
                found.paths.append(prefix + entry.name)
            elif kind != "folder":
                found.odd.append((prefix + entry.name, kind))
            elif entry.is_symlink():
                found.links.append(prefix + entry.name)
            else:
                folders.append(f"{prefix}{entry.name}/")
        waiting += reversed(folders)


def _kind(entry: os.DirEntry[str]) -> str:
    """``file``, ``folder``, or what is wrong with it."""
    try:
        if entry.is_file():
            return "file"
        if entry.is_dir():
            return "folder"
        missing = entry.is_symlink() and not os.path.exists(entry.path)  # noqa: PTH110 (hot)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "link to nothing" if missing else "not a regular file"


def _is_store(entries: list[os.DirEntry[str]]) -> bool:
    """Whether a folder is a store, such as the one that is being built from this source."""
    names = {entry.name for entry in entries}
    return WORK in names or {MANIFEST, SAMPLES, CLASSES} <= names


def _walk_order(path: str) -> list[tuple[bool, str]]:
    *folders, name = path.split("/")
    return [*((True, folder) for folder in folders), (False, name)]


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # surrogates replace bytes that are not UTF-8
        return False
    return True


def list_folder(folder: Path) -> Listing:
    """All files under a folder."""
    paths, odd = list_files(folder)
    return Listing(pa.table([paths], names=["path"]), FolderReader(str(folder)), (odd,))
