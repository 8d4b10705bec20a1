"""Is this store what was built, and does every part agree with the others?

verify_store(Path("store"), decode=True, workers=8)   # [] where all is well
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from shard_tools.errors import StoreError
from shard_tools.photos.decode import MAX_PIXELS
from shard_tools.store.consistency import check_classes, check_manifest, check_samples
from shard_tools.store.layout import (
    CLASSES,
    DUPLICATES,
    INDEX_DIR,
    MANIFEST,
    REJECTED,
    SAMPLES,
    WORK,
)
from shard_tools.store.problems import Findings, Problem
from shard_tools.store.shard import label_digits
from shard_tools.store.store import Store, read_store_csv
from shard_tools.verify.index import check_indexes
from shard_tools.verify.leakage import check_duplicates, check_leakage
from shard_tools.verify.shard import COLUMNS, ShardTask, check_shard
from shard_tools.workers.executor import Executor

_ENERGON = (".nv-meta", ".idx")
"""What Megatron-Energon adds to a store that it prepares: a folder, and an index after each tar."""


def verify_store(
    path: Path, decode: bool = False, workers: int | Executor = 1, progress: bool = False
) -> list[Problem]:
    """Check a store: every file, every byte, every table against the others.

    Args:
        path: the store.
        decode: also decode every photo with the strict decoder that the build used.
        workers: processes that check shards, or where else to do it; the result does not depend on
            it.
        progress: show a bar on stderr.

    Returns:
        Problems, by file; empty where the store is whole.

    Raises:
        StoreError: no such folder, a number of workers under 1, or a worker that died.
    """
    executor = Executor(workers) if isinstance(workers, int) else workers
    if not path.is_dir():
        raise StoreError(f"{path}: no such store folder; check the path")
    try:
        store = Store.open(path, check=False)
    except StoreError as error:
        return [Problem(MANIFEST, "manifest", _words(error, path))]
    found = check_manifest(store.manifest)
    if found:  # nothing can be checked against a manifest that contradicts itself
        return found
    samples, missing = _table(store, SAMPLES)
    found += missing
    found += _check_files(store)
    found += _check_tables(store, samples)
    found += _check_shards(store, samples, decode, executor, progress)
    return sorted(set(found))  # several checks may meet one missing file


def _words(error: StoreError, path: Path) -> str:
    return str(error).removeprefix(f"{path}/{MANIFEST}: ").removeprefix(f"{path}: ")


def _table(store: Store, name: str) -> tuple[pa.Table | None, list[Problem]]:
    """A table of the store, or None and the problem that says why not."""
    try:
        return (store.samples() if name == SAMPLES else store.classes()), []
    except (StoreError, pa.ArrowException) as error:
        return None, [Problem(name, "files", _of_file(store, name, StoreError(str(error))))]


def _check_tables(store: Store, samples: pa.Table | None) -> list[Problem]:
    classes, found = _table(store, CLASSES)
    found += _check_rejected(store)
    if samples is None:
        return found
    order = check_samples(store.manifest, samples)
    found += order
    found += check_leakage(samples)
    found += _check_duplicates(store, samples)
    if classes is not None:
        found += check_classes(store.manifest, classes, samples)
    if not order:
        found += check_indexes(store, samples)
    return found


def _check_duplicates(store: Store, samples: pa.Table) -> list[Problem]:
    try:
        groups = read_store_csv(store, DUPLICATES, ("group", "key"))
        return check_duplicates(samples, groups) if groups is not None else []
    except StoreError as error:
        text = str(error).removeprefix(f"{store.path / DUPLICATES}: ")
        return [Problem(DUPLICATES, "files", text)]


def _check_rejected(store: Store) -> list[Problem]:
    found = Findings(REJECTED)
    try:
        table = read_store_csv(store, REJECTED, ("key", "path", "reason"))
    except StoreError as error:
        found.add("files", str(error).removeprefix(f"{store.path / REJECTED}: "))
        return found
    said = store.manifest.counts.get("rejected")
    if table is None:
        found.add("files", "missing; every store has one")
    elif len(table) != said:
        found.add("rejected", f"has {len(table):,} rows, the manifest says {said}")
    return found


def _check_files(store: Store) -> list[Problem]:
    """Files that are damaged or do not belong to the store, and what interrupted writing left."""
    known = {MANIFEST, CLASSES, SAMPLES, REJECTED, DUPLICATES, INDEX_DIR, _ENERGON[0]}
    for shard in store.manifest.shards:
        known |= {shard.name, shard.index_name, f"{shard.name}{_ENERGON[1]}"}
    found: list[Problem] = []
    for info in store.manifest.files:
        try:
            store.content(info.name)
        except StoreError as error:
            found.append(Problem(info.name, "files", _of_file(store, info.name, error)))
    listed = {info.name for info in store.manifest.files}
    for name in {CLASSES, SAMPLES, REJECTED} - listed:
        found.append(Problem(MANIFEST, "manifest", f"does not list {name}"))
    folders = [store.path, store.path / INDEX_DIR]
    for entry in sorted(
        entry for folder in folders if folder.is_dir() for entry in folder.iterdir()
    ):
        name = str(entry.relative_to(store.path))
        if entry.name.startswith(".") and entry.suffix == ".tmp":
            found.append(Problem(name, "files", "left half-written; remove it"))
        elif name == WORK:
            found.append(Problem(name, "files", "left over from the build; remove it"))
        elif entry.parent == store.path and name not in known:
            found.append(Problem(name, "files", "not listed in the manifest"))
        elif name == INDEX_DIR and not entry.is_dir():
            found.append(Problem(name, "files", "is a file, not a folder"))
        elif entry.parent != store.path and not entry.is_dir():
            found.append(Problem(name, "files", "is a file; only folders belong there"))
    return found


def _of_file(store: Store, name: str, error: StoreError) -> str:
    """The message of an error without the path of the file."""
    text = str(error).removeprefix(f"{store.path / name}: ")
    return text.removesuffix("; build the store again")


def _check_shards(
    store: Store, samples: pa.Table | None, decode: bool, executor: Executor, progress: bool
) -> list[Problem]:
    shards = store.manifest.shards
    starts = np.cumsum([0, *(shard.samples for shard in shards)])
    columns = samples.select(COLUMNS) if samples is not None else None
    said = store.manifest.options.get("max_pixels")
    limit = said if isinstance(said, int) else MAX_PIXELS

    def task(place: int) -> ShardTask:
        rows = None
        if columns is not None:
            last = place + 1 == len(shards)  # which is shown all the rows that are too many
            stop = len(columns) if last else min(int(starts[place + 1]), len(columns))
            rows = columns.take(np.arange(min(int(starts[place]), stop), stop))  # a copy to pickle
        digits = label_digits(store.num_classes)
        return ShardTask(store.path, shards[place], rows, digits, decode, limit)

    tasks = [partial(task, place) for place in range(len(shards))]
    disable = None if progress else True
    with tqdm(total=int(starts[-1]), unit=" photos", disable=disable, leave=False) as bar:
        results = executor.run(check_shard, tasks, bar.update)
        return [problem for result in results for problem in result]
