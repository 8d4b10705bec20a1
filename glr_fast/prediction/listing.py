"""From what a user names to a list of photos; nothing is opened yet, nothing is unpacked."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from shard_tools.errors import StoreError
from shard_tools.sources import Unlabelled, files_of, is_container, list_photos

pc: Any = pyarrow.compute
STDIN = "-"
_CHUNK = 256
"""Photos whose places in a zip, tar or store are looked up at once."""


@dataclass(frozen=True)
class Rejected:
    """A photo, or what should hold some, that cannot be read."""

    path: str
    reason: str
    """One of a few phrases, to count by."""
    detail: str = ""
    """What was found, in words."""


@dataclass(frozen=True)
class Listed:
    """Photos by row: those of several places, one after the other."""

    places: tuple[Unlabelled, ...]
    rejected: tuple[Rejected, ...]
    """What the user named and cannot be listed."""
    others: int
    """Files passed over since their names are not those of photos."""

    def __len__(self) -> int:
        return sum(len(place.files) for place in self.places)

    @property
    def starts(self) -> np.ndarray:
        """Row of the first photo of each place. Shape (places,), int64."""
        sizes = [len(place.files) for place in self.places]
        return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)

    def paths(self, rows: np.ndarray) -> list[str]:
        """What to call some photos: where each is. ``rows``: shape (N,), integers."""
        which = np.searchsorted(self.starts, rows, side="right") - 1
        inside = rows - self.starts[which]
        return [
            self.places[place].root + self.places[place].files["path"][row].as_py()
            for place, row in zip(which.tolist(), inside.tolist(), strict=True)
        ]

    def file(self, row: int) -> Path | None:
        """The file that is a photo; None where it is inside of another."""
        place, inside = self._place(row)
        return Path(place.root + place.files["path"][inside].as_py()) if place.on_disk else None

    def read(self, row: int) -> bytes:
        """The bytes of a photo as they are.

        Raises:
            OSError: it cannot be read.
            PhotoError: its zip or tar is damaged there.
        """
        place, inside = self._place(row)
        reader = place.reader.of(place.files.slice(inside, 1))
        return reader.read(place.files["path"][inside].as_py())

    def _place(self, row: int) -> tuple[Unlabelled, int]:
        which = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.places[which], row - int(self.starts[which])

    def chunks(self) -> Iterator[tuple[int, Unlabelled]]:
        """All photos, some at a time: row of the first, and a place that holds just them."""
        for start, place in zip(self.starts.tolist(), self.places, strict=True):
            for first in range(0, len(place.files), _CHUNK):
                files = place.files.slice(first, _CHUNK)
                yield start + first, replace(place, files=files, reader=place.reader.of(files))


def list_arguments(
    arguments: Iterable[Path | str], leave_out: Sequence[Path | None] = ()
) -> Listed:
    """List the photos that a user names.

    Args:
        arguments: files, folders, patterns, zips, tars, stores; ``-`` reads more of them from
            standard input, one a line.
        leave_out: folders whose photos are passed over: those that the answers go to.
    """
    places: list[Unlabelled] = []
    rejected: list[Rejected] = []
    single: list[str] = []
    ours = tuple(os.path.join(os.path.realpath(path), "") for path in leave_out if path)  # noqa: PTH118

    def end_of_files() -> None:
        if single:
            places.append(files_of(single))
            single.clear()

    for name in _expanded(arguments, rejected):
        try:
            if not _holds_photos(name):
                if not ours or not os.path.realpath(name).startswith(ours):
                    single.append(name)
                continue
            end_of_files()
            place = _without(list_photos(Path(name)), [path for path in leave_out if path])
        except StoreError as error:
            detail = str(error).removeprefix(f"{name}: ")
            rejected.append(Rejected(name, "cannot be listed", detail))
            continue
        rows = place.rejected.to_pylist()
        rejected += [Rejected(place.root + r["path"], r["reason"], r["detail"]) for r in rows]
        if not len(place.files) and not rows:
            rejected.append(Rejected(name, "no photo there", _advice(name)))
        places.append(place)
    end_of_files()
    others = sum(place.others for place in places)
    return Listed(_without_repeats(places), tuple(rejected), others)


def _expanded(arguments: Iterable[Path | str], rejected: list[Rejected]) -> Iterator[str]:
    """Names of files and folders that are there, of all arguments; the others are rejected."""
    for argument in arguments:
        name = str(argument)
        if name == STDIN:
            yield from _expanded_names(_lines_of_stdin(), rejected)
        elif glob.has_magic(name) and not os.path.lexists(name):
            found = sorted(glob.glob(name, recursive=True))
            if not found:
                rejected.append(Rejected(_shown(name), "no file fits this pattern"))
            yield from _expanded_names(found, rejected)
        else:
            yield from _expanded_names([name], rejected)


def _expanded_names(names: Iterable[str], rejected: list[Rejected]) -> Iterator[str]:
    for name in names:
        if "://" in name:
            rejected.append(Rejected(name, "cannot be listed", "on another machine; copy it first"))
        elif not name.isascii() and _shown(name) != name:
            rejected.append(Rejected(_shown(name), "file name is not UTF-8"))
        elif "\0" in name or not os.path.exists(name):  # noqa: PTH110 (hot)
            broken = os.path.islink(name) if "\0" not in name else False  # noqa: PTH114
            rejected.append(Rejected(name, "link to nothing" if broken else "no such file"))
        else:
            yield name


def _lines_of_stdin() -> list[str]:
    """What standard input lists: lines, or names that end in NUL as ``find -print0`` gives them."""
    data = sys.stdin.buffer.read()
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    parts = data.split(b"\0") if b"\0" in data else data.splitlines()
    return [os.fsdecode(part) for part in parts if part.strip()]


def _shown(name: str) -> str:
    """A name as text, bytes that are not UTF-8 escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _holds_photos(name: str) -> bool:
    return os.path.isdir(name) or is_container(Path(name))  # noqa: PTH112 (hot)


def _advice(name: str) -> str:
    if not os.path.isdir(name):  # noqa: PTH112
        return ""
    inside = sorted(p for p in Path(name).iterdir() if p.suffix.lower() in (".zip", ".tar"))
    return f"give the {inside[0].suffix[1:]}s in it, such as {inside[0]}" if inside else ""


def _without(place: Unlabelled, folders: Sequence[Path]) -> Unlabelled:
    """The photos that are not in some folders."""
    files = place.files
    for folder in folders if place.on_disk else ():
        inside = os.path.relpath(folder.resolve(), Path(place.root).resolve())
        if inside == ".":
            files = files.slice(0, 0)
        elif inside != ".." and not inside.startswith("../"):
            files = files.filter(pc.invert(pc.starts_with(files["path"], f"{inside}/")))
    return replace(place, files=files)


def _without_repeats(places: list[Unlabelled]) -> tuple[Unlabelled, ...]:
    """Each photo once, at its first place, where a user names it twice."""
    kept: list[Unlabelled] = []
    before: list[pa.Array] = []
    for place in places:
        full = _full_paths(place)
        rows = pa.table([full, pa.array(np.arange(len(full)))], ["path", "row"])
        first = rows.group_by("path", use_threads=False).aggregate([("row", "min")])
        if before:
            known = pc.is_in(first["path"], value_set=pa.chunked_array(before))
            first = first.filter(pc.invert(known))
        if len(places) > 1:
            before += first["path"].chunks
        taken = first["row_min"].sort()
        kept.append(place if len(taken) == len(full) else _take(place, taken))
    return tuple(place for place in kept if len(place.files))


def _take(place: Unlabelled, rows: pa.ChunkedArray) -> Unlabelled:
    return replace(place, files=place.files.take(rows))


def _full_paths(place: Unlabelled) -> pa.Array:
    """What tells the photos of a place from all others. Strings."""
    paths = place.files["path"].combine_chunks()
    if not place.root:
        folders: dict[str, str] = {}
        full = []
        for path in paths.to_pylist():
            folder, name = os.path.split(path)
            if folder not in folders:
                folders[folder] = os.path.realpath(folder)
            full.append(f"{folders[folder]}/{name}")
        return pa.array(full, pa.string())
    return pc.binary_join_element_wise(f"{os.path.realpath(place.root)}/", paths, "")
