"""Building a store: list the source, plan, pack the shards in parallel, write tables and manifest.

Workers only execute the plan, so the bytes do not depend on their number, on the order in which
they finish, or on how often the build was interrupted.
"""

from __future__ import annotations

import errno
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa

from shard_tools.build.assign import assign
from shard_tools.build.classes import subset
from shard_tools.build.options import GIVEN, BuildOptions
from shard_tools.build.packing import pack_all
from shard_tools.build.plan import Plan, make_plan
from shard_tools.build.shard_writer import pack_shard
from shard_tools.build.tables import Summary, write_tables
from shard_tools.build.work_folder import WorkFolder, claimed, drop_empty
from shard_tools.duplicates.policy import deduplicated
from shard_tools.errors import StoreError
from shard_tools.files.remote import RemoteError, explained
from shard_tools.sources.detect import read_source
from shard_tools.sources.look import albums, describe, doubts
from shard_tools.sources.readers import stamped
from shard_tools.sources.records import Records
from shard_tools.sources.unpacked import unpacked
from shard_tools.store import SPLITS
from shard_tools.store.layout import FORMAT_VERSION, MANIFEST, WORK
from shard_tools.workers.executor import Executor


class BuildInterruptedError(StoreError):
    """The build was stopped with Ctrl-C; the message says how to go on."""


#: Shown what was understood of a source, and what speaks against it, before anything is packed;
#: raises to stop the build.
Look = Callable[[list[str], list[str]], None]


def preview(options: BuildOptions, show: Callable[[str], object]) -> None:
    """Say how a build would understand its source, without writing anything.

    Duplicates are not looked for.

    Args:
        options: what to build.
        show: called with each line.

    Raises:
        StoreError: the source cannot be read.
    """
    found = read_source(options.source, options.reading)
    records = subset(found, options)
    for line in _understood(options, records):
        show(line)
    assigned = assign(records, options)
    counts = np.bincount(assigned.splits, minlength=len(SPLITS)).tolist()
    pairs = zip(SPLITS, counts, strict=True)
    show("would be  " + ", ".join(f"{name} {count:,}" for name, count in pairs))
    show(f"copies    {_SEARCHES[options.duplicates]}; a dry run opens no photo")
    for note in (*assigned.notes, *_doubts(options, found, records)):
        show(f"note      {note}")


def build_store(
    options: BuildOptions,
    workers: int | Executor,
    progress: bool | None = None,
    look: Look | None = None,
) -> Summary:
    """Build a store, or go on with one that was interrupted.

    Args:
        options: what to build.
        workers: processes that pack, or where else to do it; the result does not depend on it.
        progress: show a bar; None shows it where stderr is a terminal.
        look: shown what was understood of the source before anything is packed; raises to stop.

    Raises:
        StoreError: a bad source or option, a full disk, a dead worker: whatever a user can fix.
    """
    started = time.monotonic()
    executor = Executor(workers) if isinstance(workers, int) else workers
    try:
        with claimed(options.out):
            summary = _build(options, executor, progress, look)
    except KeyboardInterrupt:
        raise BuildInterruptedError("interrupted before anything was written") from None
    except OSError as error:
        raise StoreError(_explain(error, options)) from None
    return summary.after(time.monotonic() - started)


def _build(
    options: BuildOptions, executor: Executor, progress: bool | None, look: Look | None
) -> Summary:
    """A build in a folder that is claimed for it."""
    if options.source.exists():
        executor.prepare(pack_shard)
    found = read_source(options.source, options.reading)
    records = subset(found, options)
    if look is not None:
        look(_understood(options, records), _doubts(options, found, records))
    records = _unpacked(records, options, executor, progress)
    records = _without_leaks(records, options, executor, progress)
    assigned = assign(records, options)
    options = replace(options, splits=assigned.chosen)
    if assigned.notes:
        records = replace(records, notes={**records.notes, "splits": list(assigned.notes)})
    plan = make_plan(records.photos["key"], assigned.splits, options.seed, options.shard_size)
    stamps = hashlib.sha256(stamped(records.reader, records.photos)).hexdigest()
    work = WorkFolder(options.out, plan_digest(options, records, plan), stamps)
    try:
        with explained(options.out):
            return _execute(options, records, plan, work, executor, progress)
    except KeyboardInterrupt:
        raise BuildInterruptedError(
            f"interrupted: {work.done} of {len(plan.shards)} shards are done and kept in "
            f"{options.out}; run the same command again to go on"
        ) from None


#: What a build does about photos that show the same picture, by the mode.
_SEARCHES = {
    "one-split": "the build looks for them and keeps each group in one split",
    "drop": "the build looks for them and keeps one photo of each group",
    "keep": "the build does not look for them (--duplicates keep)",
}


def _understood(options: BuildOptions, records: Records) -> list[str]:
    lines = describe(records, _split_again(options))
    albums_in = albums(records)
    return [*lines, f"note      {albums_in}"] if albums_in else lines


def _split_again(options: BuildOptions) -> bool:
    return options.splits not in (None, GIVEN)


def _doubts(options: BuildOptions, found: Records, records: Records) -> list[str]:
    return doubts(options.source, found, records, split_again=_split_again(options))


def _unpacked(
    records: Records, options: BuildOptions, executor: Executor, progress: bool | None
) -> Records:
    """The records, with a reader that takes photos in any order."""
    if (options.out / MANIFEST).exists():  # only the work folder is left to be removed
        return records
    work = options.out / WORK
    try:
        reader = unpacked(records.reader, records.photos, work, executor, progress)
    except KeyboardInterrupt:
        raise BuildInterruptedError(
            f"interrupted while unpacking {options.source}; what was unpacked is kept in "
            f"{options.out}; run the same command again to go on"
        ) from None
    return replace(records, reader=reader)


def _without_leaks(
    records: Records, options: BuildOptions, executor: Executor, progress: bool | None
) -> Records:
    """The records, with what the options ask for about duplicates."""
    try:
        with explained(options.out):
            return deduplicated(
                records,
                options.duplicates,
                source=options.source,
                max_pixels=options.photo.max_pixels,
                work=options.out / WORK,
                executor=executor,
                progress=progress,
            )
    except KeyboardInterrupt:
        raise BuildInterruptedError(
            f"interrupted while looking for duplicates; what was scanned is kept in {options.out}; "
            "run the same command again to go on"
        ) from None


def _execute(
    options: BuildOptions,
    records: Records,
    plan: Plan,
    work: WorkFolder,
    executor: Executor,
    progress: bool | None,
) -> Summary:
    """Everything that writes: shards, tables, the manifest last."""
    if work.finished_store:
        summary = Summary.of_store(options.out)
    else:
        results = pack_all(options, records, plan, work, executor, progress)
        packed = drop_empty(options.out, results)
        summary = write_tables(options, records, results, packed)
    work.remove()
    return summary


def plan_digest(options: BuildOptions, records: Records, plan: Plan) -> str:
    """A digest of everything that decides the shards: builds that share it may share shards."""
    digest = hashlib.sha256()
    head = [FORMAT_VERSION, options.deciding(), options.seed, [str(s) for s in plan.shards]]
    digest.update(json.dumps([*head, str(options.source.resolve())], default=str).encode())
    digest.update(plan.order.tobytes())
    digest.update(records.labels.tobytes())
    for column in records.photos.columns:
        for chunk in column.chunks:
            for buffer in pa.concat_arrays([chunk]).buffers()[1:]:
                digest.update(buffer)
    return digest.hexdigest()


def _explain(error: OSError, options: BuildOptions) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"--out {options.out}: the disk is full ({error.strerror}); finished shards are kept: "
            "make room, then run the same command again to go on"
        )
    if isinstance(error, RemoteError) or error.filename is None:
        return f"{error}; put that right, then run the same command again to go on"
    return (
        f"{error.filename}: {error.strerror}; put that right, then run the same command again to "
        "go on"
    )
