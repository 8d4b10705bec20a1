"""Stores on disk and in object stores (``s3://``, ``gs://``, ...) under one interface: pathlib's.

out = location("s3://bucket/store")     # a Path for a folder, a UPath (fsspec) for a URL
(out / "manifest.json").read_text()     # either way

Objects appear whole when they are written, as files do that are renamed into place.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, BinaryIO, cast

_OPTIONS = {"use_listings_cache": False}
"""Other machines write to the same place: what fsspec remembers of it would be out of date."""
_URL_AS_PATH = re.compile(r"^([a-z][a-z0-9+.-]+):/(?!/)")
"""What ``pathlib`` makes of a URL: options and config.json hold paths."""
_CLIENTS = ("botocore", "aiobotocore", "aiohttp", "gcsfs", "adlfs", "requests")
"""Packages whose exceptions mean that an object store could not be used."""


class RemoteError(OSError):
    """An object store that cannot be reached, or refuses; the message says what to do."""


def location(place: str | Path) -> Path:
    """A folder or file by its path or URL.

    Raises:
        RemoteError: a URL of no known kind, or the client for it is not installed.
    """
    if isinstance(place, PurePath):
        place = _URL_AS_PATH.sub(r"\1://", str(place))
    if is_remote(place) or "://" not in place:
        return cast("Path", place) if is_remote(place) else Path(place)
    try:
        from upath import UPath

        path = cast("Any", UPath)(place, **_OPTIONS)
        path.fs  # noqa: B018 (loads the client: better here than after an hour)
    except (ImportError, ValueError) as error:
        raise RemoteError(
            f"{place}: cannot be used ({error}); pip install 'glr-fast[s3]', or the fsspec client "
            "of that kind of store"
        ) from None
    return cast("Path", path)


def is_remote(path: object) -> bool:
    """Whether a path that :func:`location` returned is in an object store."""
    return not isinstance(path, str | PurePath)


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of every file in a folder, by name: one listing. Empty where there is no folder."""
    if not is_remote(folder):
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
    with explained(folder):
        try:
            found = _fs(folder).ls(_name(folder), detail=True)
        except FileNotFoundError:
            return {}
        return {os.path.basename(e["name"]): e["size"] for e in found if e["type"] == "file"}  # noqa: PTH119


def read_many(paths: Sequence[Path]) -> list[bytes]:
    """The content of small files; from an object store, many at a time."""
    if not paths or not is_remote(paths[0]):
        return [path.read_bytes() for path in paths]
    with explained(paths[0].parent):
        found = _fs(paths[0]).cat([_name(path) for path in paths])
        found = found if isinstance(found, dict) else {_name(paths[0]): found}
        return [found[_name(path)] for path in paths]


def remove_many(paths: Sequence[Path]) -> None:
    """Remove files, wherever they are."""
    if paths and is_remote(paths[0]):
        with explained(paths[0].parent):
            _fs(paths[0]).rm([_name(path) for path in paths])
        return
    for path in paths:
        path.unlink(missing_ok=True)


@contextmanager
def open_to_put(path: Path) -> Iterator[BinaryIO]:
    """A file on this machine that becomes the object ``path`` when the block ends without error."""
    with tempfile.NamedTemporaryFile(prefix="glr-", suffix=".tmp") as file:
        yield cast("BinaryIO", file)
        file.flush()
        try:
            with explained(path):
                _fs(path).put_file(file.name, _name(path))
        except FileNotFoundError as error:
            raise RemoteError(f"{path}: {error}; make the bucket first") from None


def put_folder(folder: Path, path: Path, last: str) -> None:
    """Copy a folder of this machine into an object store, many files at a time.

    Args:
        folder: with files, in folders or not.
        path: what it becomes there.
        last: the file in it that is put when all others are there.
    """
    names = [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]
    with explained(path):
        for some in ([name for name in names if name != last], [last]):
            if some:
                there = [_name(path / name) for name in some]
                _fs(path).put([str(folder / name) for name in some], there)


def _fs(path: Path) -> Any:
    return cast("Any", path).fs


def _name(path: Path) -> str:
    """What the file system calls a path."""
    return cast("Any", path).path


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Errors of an object store's client as one that says where, and what to do.

    Raises:
        RemoteError: in their place. Others, a missing object among them, come through.
    """
    try:
        yield
    except Exception as error:
        # To fsspec a web server that does not answer has no such file.
        cause = error.__cause__ if isinstance(error, FileNotFoundError) else None
        told = cause if cause and of_client(cause) and _status(cause) != _NOT_FOUND else error
        if not is_remote(path) or not (of_client(told) or isinstance(told, PermissionError)):
            raise
        raise RemoteError(unusable(path, told)) from None


_NOT_FOUND = 404


def _status(error: BaseException) -> int | None:
    """What a web server has answered, where the error is of that kind."""
    return getattr(error, "status", None)


def of_client(error: BaseException) -> bool:
    """Whether an error is one of an object store's client: the store could not be used."""
    return type(error).__module__.partition(".")[0] in _CLIENTS


def unusable(place: object, error: BaseException) -> str:
    """The line for an object store, by its path or URL, that could not be used."""
    text = " ".join(str(error).split()) or type(error).__name__
    return f"{place}: {text}; check the address and your credentials"
