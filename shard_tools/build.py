"""Building a store: list the source, plan, pack the shards in parallel, write tables and manifest.

Workers only execute the plan, so the bytes do not depend on their number, on the order in which
they finish, or on how often the build was interrupted.
"""

from __future__ import annotations

import errno
import hashlib
import json
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from shard_tools.arrow import one_array
from shard_tools.executor import Advance, run_tasks
from shard_tools.finish import Summary, write_tables
from shard_tools.format import FORMAT_VERSION, StoreError, label_digits
from shard_tools.images import PhotoOptions
from shard_tools.plan import DEFAULT_SHARD_SIZE, Plan, ShardPlan, make_plan, select_classes
from shard_tools.records import LAYOUTS, Records, read_source
from shard_tools.splits import DEFAULT_FRACTIONS, assign_splits, check_fractions
from shard_tools.workfolder import WorkFolder, check_out, drop_empty
from shard_tools.writer import PackResult, PackTask, pack_shard


class BuildInterruptedError(StoreError):
    """The build was stopped with Ctrl-C; the message says how to go on."""


@dataclass(frozen=True)
class BuildOptions:
    """Everything that decides a store. Equal options over equal photos give equal bytes."""

    source: Path
    """Folder, zip or table of photos."""
    out: Path
    """Folder of the store; new, empty, or an unfinished build of the same."""
    layout: str | None = None
    """One of ``records.LAYOUTS``; None finds out."""
    labels: Path | None = None
    """Label file, where the layout has a choice; None takes the one beside the photos."""
    photo: PhotoOptions = field(default_factory=PhotoOptions)
    """What is done to every photo."""
    top_classes: int | None = None
    """How many of the largest classes go in; None for all."""
    min_images: int = 1
    """The fewest photos a class may have."""
    splits: tuple[float, float, float] = DEFAULT_FRACTIONS
    """Fractions of train, val and test."""
    seed: int = 0
    """Of split and shuffle."""
    shard_size: int = DEFAULT_SHARD_SIZE
    """The most photos in a shard."""

    def __post_init__(self) -> None:
        check_fractions(self.splits)
        short, quality = self.photo.resize_short, self.photo.quality
        for name, value, low, high in (
            ("resize-short", short, 1, 65_500),
            ("quality", quality, 1, 100),
            ("top-classes", self.top_classes, 1, None),
            ("min-images", self.min_images, 0, None),
            ("shard-size", self.shard_size, 1, None),
            ("seed", self.seed, 0, 2**63 - 1),
        ):
            if value is not None and (value < low or (high is not None and value > high)):
                span = f"{low} or more" if high is None else f"{low} to {high}"
                raise StoreError(f"--{name} is {value}; it must be {span}")
        if self.layout not in (None, *LAYOUTS):
            raise StoreError(f"--layout {self.layout!r} is unknown; give {' or '.join(LAYOUTS)}")

    def deciding(self) -> dict[str, Any]:
        """The options that decide the bytes, as the manifest lists them."""
        return {
            "layout": self.layout,
            "labels": self.labels and self.labels.name,
            "resize_short": self.photo.resize_short,
            "quality": self.photo.quality,
            "max_pixels": self.photo.max_pixels,
            "top_classes": self.top_classes,
            "min_images": self.min_images,
            "splits": list(self.splits),
            "shard_size": self.shard_size,
        }


def build_store(options: BuildOptions, workers: int, progress: bool | None = None) -> Summary:
    """Build a store, or go on with one that was interrupted.

    Args:
        options: what to build.
        workers: processes that pack; they do not change the result.
        progress: show a bar; None shows it where stderr is a terminal.

    Raises:
        StoreError: of sources, options, a full disk, a dead worker: whatever a user can put right.
    """
    started = time.monotonic()
    if workers < 1:
        raise StoreError(f"--workers is {workers}; it must be 1 or more")
    check_out(options.out)
    records = subset(read_source(options.source, options.layout, options.labels), options)
    splits = assign_splits(
        records.photos["key"],
        records.labels,
        records.classes["landmark_id"],
        options.splits,
        options.seed,
    )
    plan = make_plan(records.photos["key"], splits, options.seed, options.shard_size)
    try:
        work = WorkFolder(options.out, plan_digest(options, records, plan))
        try:
            results = _pack(options, records, plan, work, workers, progress)
            packed = drop_empty(options.out, results)
            summary = write_tables(options, records, results, packed)
            work.remove()
        finally:
            work.close()
    except OSError as error:
        raise StoreError(_explain(error, options)) from None
    return summary.after(time.monotonic() - started)


def subset(records: Records, options: BuildOptions) -> Records:
    """The records of the classes that the options ask for, labelled anew.

    Raises:
        StoreError: nothing is left.
    """
    kept = select_classes(
        records.labels, len(records.classes), options.top_classes, options.min_images
    )
    if len(kept) == len(records.classes):
        return records
    labels = np.full(len(records.classes), -1, np.int32)
    labels[kept] = np.arange(len(kept))
    rows = pa.array(np.flatnonzero(labels[records.labels] >= 0))
    return replace(
        records,
        photos=records.photos.take(rows),
        labels=labels[records.labels[rows.to_numpy()]],
        classes=records.classes.take(pa.array(kept)),
    )


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


def _pack(
    options: BuildOptions,
    records: Records,
    plan: Plan,
    work: WorkFolder,
    workers: int,
    progress: bool | None,
) -> list[PackResult]:
    """Pack the shards that are not yet whole; all results, in the order of the plan."""
    results = work.finished(plan.shards)
    todo = [shard for shard in plan.shards if shard.name not in results]
    tasks = [partial(_task, options, records, plan, shard) for shard in todo]
    ready = sum(s.stop - s.start for s in plan.shards) - sum(s.stop - s.start for s in todo)
    hidden = not sys.stderr.isatty() if progress is None else not progress
    bar = tqdm(total=len(plan.order), initial=ready, disable=hidden, unit=" photos", smoothing=0.05)
    try:
        with (
            bar,
            closing(
                run_tasks(_pack_one, tasks, min(workers, max(len(tasks), 1)), bar.update)
            ) as done,
        ):
            for result in done:
                work.record(result)
                results[result.info.name] = result
    except KeyboardInterrupt:
        raise BuildInterruptedError(
            f"interrupted: {len(results)} of {len(plan.shards)} shards are done and kept in "
            f"{options.out}; run the same command again to go on"
        ) from None
    return [results[shard.name] for shard in plan.shards]


def _pack_one(task: PackTask, advance: Advance) -> PackResult:
    return pack_shard(task, advance)


def _task(options: BuildOptions, records: Records, plan: Plan, shard: ShardPlan) -> PackTask:
    rows = plan.order[shard.start : shard.stop]
    photos = records.photos.take(pa.array(rows)).combine_chunks()
    return PackTask(
        name=shard.name,
        split=shard.split,
        folder=options.out,
        reader=records.reader.of(photos),
        keys=one_array(photos["key"]),
        paths=one_array(photos["path"]),
        labels=records.labels[rows],
        digits=label_digits(len(records.classes)),
        photo=options.photo,
    )


def _explain(error: OSError, options: BuildOptions) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"--out {options.out}: the disk is full ({error.strerror}); finished shards are kept: "
            "make room, then run the same command again to go on"
        )
    return f"{error}; put that right, then run the same command again to go on"
