"""The photos of a store as files and bytes, for contenders that cannot read it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.peers import Job
from glr_fast.data.shard_reader import ShardReader
from shard_tools.store.store import Store


def image_folder(job: Job) -> Path:
    """One folder per label with the store's photos, byte for byte."""

    def write(folder: Path) -> None:
        store = Store.open(job.store)
        source = ShardReader(store, "train")
        table = store.samples(["key", "label"])
        for row, (key, label) in enumerate(zip(*table.to_pydict().values(), strict=True)):
            path = folder / f"{label:05d}" / f"{key}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(source.encoded(np.array([row]))[0].tobytes())

    return once(job.work / "folders", write)


def labelled_files(job: Job) -> list[tuple[str, int]]:
    """Path and label of every photo in :func:`image_folder`."""
    return [(str(p), int(p.parent.name)) for p in sorted(image_folder(job).glob("*/*.jpg"))]


def once(folder: Path, write: Callable[[Path], None]) -> Path:
    """A folder that ``write`` fills the first time it is asked for."""
    if not folder.exists():
        unfinished = folder.with_name(folder.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        write(unfinished)
        unfinished.rename(folder)
    return folder
