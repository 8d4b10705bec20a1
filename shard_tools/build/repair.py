"""Rebuilds the damaged shards of a store from its source, byte for byte.

The samples table says which photos a shard holds, in which order, and where they came from. So no
plan is needed: a shard is packed again from its rows, and must come out with the digest that the
manifest has.
"""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from tqdm import tqdm

from shard_tools.build.shard_writer import PackTask, pack_shard
from shard_tools.columns import mask, one_array, pc
from shard_tools.errors import StoreError
from shard_tools.files import is_remote, sha256_file
from shard_tools.photos import CHECKS, PhotoOptions
from shard_tools.sources import Records, SourceOptions, read_source
from shard_tools.store import ShardInfo, Store
from shard_tools.store.consistency import open_consistent
from shard_tools.store.layout import MANIFEST
from shard_tools.store.shard import label_digits
from shard_tools.workers import Executor


def damaged_shards(store: Store) -> list[ShardInfo]:
    """The shards whose tar or index is missing or has another digest than the manifest says."""
    return [shard for shard in store.manifest.shards if not _is_whole(store.path, shard)]


def repair_store(
    path: Path,
    source: Path,
    reading: SourceOptions,
    workers: int | Executor = 1,
    progress: bool | None = None,
) -> list[str]:
    """Rebuild the damaged shards of a store. The others are not touched.

    A shard takes its place when it is whole and has the digest of the manifest.

    Args:
        path: the store; its manifest and tables must be sound.
        source: the photos that it was built from.
        reading: how the source is read; what is not said is taken from the store's manifest.
        workers: processes that pack, or where else to do it.
        progress: show a bar; None shows it where stderr is a terminal.

    Returns:
        Names of the shards that were rebuilt.

    Raises:
        StoreError: no store there, photos that are missing or not those of the build.
    """
    executor = Executor(workers) if isinstance(workers, int) else workers
    store = open_consistent(path)
    if is_remote(store.path):
        raise StoreError(f"{path}: repair works on folders; copy the store to this machine first")
    damaged = damaged_shards(store)
    if not damaged:
        return []
    built = _as_built(store, source, reading)
    try:
        records = read_source(source, built)
    except StoreError as error:
        if reading.layout is not None or built.layout is None:
            raise
        raise StoreError(
            f"{error}. {path} was built from a source of the layout {built.layout}: give that one"
        ) from None
    with tempfile.TemporaryDirectory(prefix=".repair-", suffix=".tmp", dir=store.path) as scratch:
        tasks = [partial(_task, store, shard, records, Path(scratch)) for shard in damaged]
        hidden = None if progress is None else not progress
        total = sum(shard.samples for shard in damaged)
        with (
            tqdm(total=total, unit=" photos", disable=hidden) as bar,
            closing(executor.run(pack_shard, tasks, bar.update)) as done,
        ):
            wanted = {shard.name: shard for shard in damaged}
            for result in done:
                shard = wanted[result.info.name]
                if result.info != shard:
                    why = result.rejected[0].reason if result.rejected else "other bytes"
                    raise StoreError(
                        f"{store.path / shard.name}: cannot be rebuilt from {source}: its photos "
                        f"are not those of the build ({why}); give the source as it was then, or "
                        "build the store again"
                    )
                for name in (shard.name, shard.index_name):
                    _put(Path(scratch) / name, store.path / name)
    return [shard.name for shard in damaged]


def _put(made: Path, place: Path) -> None:
    try:
        made.replace(place)
    except IsADirectoryError:
        raise StoreError(f"{place}: is a folder; remove it, then repair again") from None


def _as_built(store: Store, source: Path, reading: SourceOptions) -> SourceOptions:
    """How the source was read by the build, where ``reading`` does not say it.

    Raises:
        StoreError: the build was given a label file, which the manifest names without its folder.
    """
    options = store.manifest.options
    if options.get("labels") and reading.labels is None and source.is_dir():
        raise StoreError(
            f"{store.path}: was built with --labels .../{options['labels']}; give it again"
        )
    return replace(
        reading,
        layout=reading.layout or (None if reading.labels else options.get("layout")),
        classes=reading.classes or options.get("classes"),
        columns=reading.columns or tuple(options.get("columns", {}).items()),
    )


def _is_whole(folder: Path, shard: ShardInfo) -> bool:
    files = ((shard.name, shard.sha256), (shard.index_name, shard.index_sha256))
    return all(
        (folder / name).is_file() and sha256_file(folder / name) == digest for name, digest in files
    )


def _task(store: Store, shard: ShardInfo, records: Records, folder: Path) -> PackTask:
    """What packs one shard again: its rows of the samples table, read from the source."""
    table = store.samples(["key", "label", "shard", "xxh128"])
    rows = table.filter(mask(pc.equal(table["shard"], shard.name)))
    at = pc.index_in(rows["key"], value_set=one_array(records.photos["key"]))
    missing = rows["key"].filter(pc.is_null(at))
    if len(missing):
        raise StoreError(
            f"{store.path / shard.name}: {len(missing):,} of its photos are not in the source, "
            f"such as {missing[0].as_py()}; give the source and options of the build"
        )
    photos = records.photos.take(at).combine_chunks()
    options = store.manifest.options
    kept = options.get("check") == "full" and options.get("resize_short") is None
    return PackTask(
        name=shard.name,
        split=shard.split,
        folder=folder,
        reader=records.reader.of(photos),
        keys=one_array(photos["key"]),
        paths=one_array(photos["path"]),
        labels=rows["label"].to_numpy().astype(np.int32),
        digits=label_digits(store.num_classes),
        photo=_photo_options(store),
        whole_digests=one_array(rows["xxh128"]) if kept else None,
    )


def _photo_options(store: Store) -> PhotoOptions:
    """What the build did to every photo."""
    said = store.manifest.options
    short, check = said.get("resize_short"), said.get("check")
    quality, most = said.get("quality"), said.get("max_pixels")
    if (
        not (_is_whole_number(quality) and quality <= 100 and _is_whole_number(most))
        or not (short is None or _is_whole_number(short))
        or check not in CHECKS
    ):
        raise StoreError(
            f"{store.path / MANIFEST}: its options do not say how photos were packed; build the "
            "store again"
        )
    return PhotoOptions(short, quality, most, check)


def _is_whole_number(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
