"""The work folder inside a store that is being built: what an interrupted build goes on from.

``STORE/.building/plan.json`` says which plan the shards belong to, and ``<shard>.parquet`` beside
it holds what became of each shard that is whole. The folder goes when the manifest is written.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shard_tools.build.plan import ShardPlan
from shard_tools.build.shard_writer import ROWS_SCHEMA, PackResult, Reject
from shard_tools.errors import StoreError
from shard_tools.files.atomic import atomic_open, locked_folder, sha256_file, write_text
from shard_tools.files.regular import read_regular
from shard_tools.files.remote import explained, is_remote, read_many, remove_many, sizes
from shard_tools.sources.unpacked import UNPACKED
from shard_tools.store.layout import FORMAT_VERSION, MANIFEST, WORK
from shard_tools.store.manifest import ShardInfo

_PLAN = "plan.json"
_LARGEST_PLAN = 1 << 16
"""Bytes."""

_META = b"glr"
_SCANNED = re.compile(rf"scan-\d+-[0-9a-f]+\.parquet|{UNPACKED}|\..*\.tmp")
"""What a build that was killed before it had a plan leaves in its work folder."""


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Have the folder of a store for oneself while the block runs; it is made if it is missing.

    (In an object store nothing can be locked. Builds of the same plan write the same bytes there,
    and another plan is refused.)

    Raises:
        StoreError: another build is at work there, it holds a finished store or other files, or it
            is not a folder.
    """
    if is_remote(out):
        with explained(out):
            _check_out(out)
        yield
        return
    entered = False
    for _ in range(_TRIES):
        if os.path.lexists(out) and not out.is_dir():
            raise StoreError(f"--out {out}: is not a folder; give another name")
        try:
            out.mkdir(parents=True, exist_ok=True)
            with locked_folder(out) as locked:
                if locked:
                    try:
                        _check_out(out)
                        entered = True
                        yield
                        return
                    finally:
                        with suppress(OSError):
                            out.rmdir()  # if nothing was written
        except FileNotFoundError:  # another build, which failed, removed it
            if entered or out.exists():
                raise
    raise StoreError(f"--out {out}: another glr-shard build is at work there")


_TRIES = 3
"""A folder may be removed between being made and being locked."""


def _check_out(out: Path) -> None:
    """Check that a store may be built in ``out``, before any work is done.

    Raises:
        StoreError: it holds a finished store or other files.
    """
    work = out / WORK
    if not is_remote(out) and os.path.lexists(work) and (work.is_symlink() or not work.is_dir()):
        raise StoreError(f"--out {out}: {WORK} in it is not a folder; give another folder")
    if (work / _PLAN).exists():
        version = _read_plan(work / _PLAN).get("version", 1)
        if version != FORMAT_VERSION:
            raise StoreError(
                f"--out {out}: holds an unfinished build by another version of glr-shard (store "
                f"format {version}, this one writes {FORMAT_VERSION}); finish it with that one, or "
                "remove the folder"
            )
        return
    if (out / MANIFEST).exists():
        _remove_rest(work)  # of a build that was killed at the very end
        raise _finished(out)
    if is_remote(out) or not out.exists():
        return
    strange = [entry.name for entry in out.iterdir() if entry.name != WORK]
    if strange:
        raise StoreError(f"--out {out}: is not empty and no store; give a new or empty folder")
    inside = [entry.name for entry in work.iterdir()] if work.is_dir() else []
    if not all(_SCANNED.fullmatch(name) for name in inside):
        raise StoreError(
            f"--out {out}: its folder {WORK} is not of a build, or lost its {_PLAN}; give another "
            "folder, or remove this one"
        )


def _read_plan(file: Path) -> dict[str, Any]:
    try:
        raw = json.loads(read_regular(file, _LARGEST_PLAN))
    except ValueError:
        raw = None
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EFBIG):
            raise
        raw = None
    if not isinstance(raw, dict):
        raise StoreError(f"{file}: damaged; remove {file.parent.parent}, then build again")
    return raw


def _finished(out: Path) -> StoreError:
    return StoreError(
        f"--out {out}: already holds a finished store; give another folder, or remove that one"
    )


def _remove_rest(work: Path) -> None:
    if not is_remote(work):
        with suppress(OSError):
            work.rmdir()


class WorkFolder:
    """An open work folder, in a folder that is :func:`claimed`."""

    def __init__(self, out: Path, plan: str, photos: str = "") -> None:
        """Open the work folder of a store, or make it.

        Args:
            out: the store.
            plan: digest of everything that decides the shards.
            photos: digest of the sizes and times of the photos.

        Raises:
            StoreError: it belongs to another plan, or the photos have changed since.
        """
        self._out, self._path = out, out / WORK
        self.done = 0
        """Shards that are whole."""
        if not is_remote(out):
            self._path.mkdir(parents=True, exist_ok=True)
        self._check_plan({"version": FORMAT_VERSION, "plan": plan, "photos": photos})
        for folder in () if is_remote(out) else (out, self._path):
            for left in folder.glob(".*.tmp"):  # of a build that was killed
                left.unlink()

    def _check_plan(self, wanted: dict[str, Any]) -> None:
        file = self._path / _PLAN
        if not file.exists():
            if self.finished_store:
                raise _finished(self._out)
            write_text(file, json.dumps(wanted) + "\n")
            return
        found = _read_plan(file)
        if found == wanted:
            return
        if self.finished_store:
            raise _finished(self._out)
        if found.get("plan") == wanted["plan"]:
            raise StoreError(
                f"--out {self._out}: photos have changed since this build was interrupted (other "
                "sizes or times); remove the folder to build from the photos as they are now"
            )
        raise StoreError(
            f"--out {self._out}: holds an unfinished build of another source or other options; "
            "repeat those to finish it, or remove the folder"
        )

    @property
    def finished_store(self) -> bool:
        """Whether the manifest is written: a build was killed while it removed this folder."""
        return (self._out / MANIFEST).exists()

    def finished(self, shards: Sequence[ShardPlan], threads: int) -> dict[str, PackResult]:
        """What became of the shards that are whole, by name.

        A shard counts as whole if tar and index have the size and the sha256 that were recorded.
        (In an object store, where an object is whole or not there: the size.)

        Args:
            shards: of the plan.
            threads: that read tars at a time.
        """
        recorded = sizes(self._path)
        files = [self._file(s.name) for s in shards if self._file(s.name).name in recorded]
        results = [_parse(data) for data in read_many(files)]
        there = sizes(self._out)
        with ThreadPoolExecutor(threads) as pool:
            known = [result for result in results if result is not None]
            whole = pool.map(lambda result: self._is_whole(result.info, there), known)
            found = {r.info.name: r for r, good in zip(known, whole, strict=True) if good}
        self.done = len(found)
        return found

    def _is_whole(self, info: ShardInfo, there: dict[str, int]) -> bool:
        if there.get(info.name) != info.bytes or info.index_name not in there:
            return False
        if is_remote(self._out):
            return True
        files = ((info.index_name, info.index_sha256), (info.name, info.sha256))
        return all(sha256_file(self._out / name) == digest for name, digest in files)

    def record(self, result: PackResult) -> None:
        """Note that a shard is whole."""
        extra = {"info": asdict(result.info), "rejected": [asdict(r) for r in result.rejected]}
        table = result.rows.replace_schema_metadata({_META: json.dumps(extra)})
        with atomic_open(self._file(result.info.name)) as file:
            pq.write_table(table, file)
        self.done += 1

    def remove(self) -> None:
        """Remove the folder: the store is finished.

        The plan goes last, so that a build that is killed here can tell whose remains these are.
        """
        names = [name for name in sizes(self._path) if name != _PLAN]
        with suppress(OSError):
            remove_many([self._path / name for name in names])
            (self._path / _PLAN).unlink()
            _remove_rest(self._path)

    def _file(self, shard: str) -> Path:
        return self._path / f"{shard.removesuffix('.tar')}.parquet"


def _parse(data: bytes) -> PackResult | None:
    """A recorded result; None where the record cannot be read: then the shard is packed again."""
    try:
        table = pq.read_table(io.BytesIO(data))
        extra: dict[str, Any] = json.loads((table.schema.metadata or {})[_META])
        info = ShardInfo(**extra["info"])
        rejected = tuple(Reject(**reject) for reject in extra["rejected"])
        return PackResult(info, table.replace_schema_metadata(None).cast(ROWS_SCHEMA), rejected)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError):
        return None


def drop_empty(out: Path, results: list[PackResult]) -> list[PackResult]:
    """Results without the shards in which no photo is left; their files are removed.

    DALI refuses an index of no photos.
    """
    empty = [result.info for result in results if not result.info.samples]
    files = [out / name for info in empty for name in (info.name, info.index_name)]
    remove_many([file for file in files if file.exists()])
    return [result for result in results if result.info.samples]
