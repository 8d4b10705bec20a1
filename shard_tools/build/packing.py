"""The shard loop of a build: which shards are whole, packing the others, noting each when it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from shard_tools.build.options import BuildOptions
from shard_tools.build.plan import Plan, ShardPlan
from shard_tools.build.shard_writer import PackResult, PackTask, pack_shard
from shard_tools.build.work_folder import WorkFolder
from shard_tools.columns import one_array
from shard_tools.sources.records import Records
from shard_tools.store.shard import label_digits
from shard_tools.workers.executor import Executor


def pack_all(
    options: BuildOptions,
    records: Records,
    plan: Plan,
    work: WorkFolder,
    executor: Executor,
    progress: bool | None,
) -> list[PackResult]:
    """Pack the shards that are not yet whole; all results, in the order of the plan."""
    results = work.finished(plan.shards, executor.workers)
    todo = [shard for shard in plan.shards if shard.name not in results]
    tasks = pack_tasks(options, records, plan, todo)
    ready = sum(s.stop - s.start for s in plan.shards) - sum(s.stop - s.start for s in todo)
    hidden = None if progress is None else not progress  # None: hidden unless on a terminal
    bar = tqdm(total=len(plan.order), initial=ready, disable=hidden, unit=" photos", smoothing=0.05)
    with bar, closing(executor.run(pack_shard, tasks, bar.update)) as done:
        for result in done:
            work.record(result)
            results[result.info.name] = result
    return [results[shard.name] for shard in plan.shards]


def pack_tasks(
    options: BuildOptions, records: Records, plan: Plan, shards: Sequence[ShardPlan]
) -> list[Callable[[], PackTask]]:
    """A function per shard that makes its task, so that tasks exist only while they are worked on.

    (Arrow puts the chunks of a column together whenever rows are taken from it. Once is enough.)
    """
    records = replace(records, photos=records.photos.combine_chunks())
    return [partial(_task, options, records, plan, shard) for shard in shards]


def _at(column: pa.Array | None, rows: np.ndarray) -> pa.Array | None:
    return None if column is None else column.take(pa.array(rows))


def _task(options: BuildOptions, records: Records, plan: Plan, shard: ShardPlan) -> PackTask:
    """What a worker needs to pack one shard: its photos, and no others."""
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
        whole_digests=_at(records.whole_digests, rows),
    )
