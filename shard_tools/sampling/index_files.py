"""Class-balanced index files: epoch orders, and DALI indexes over the unchanged tars.

Written to ``STORE/index/NAME``. Any DALI WebDataset reader that is given an epoch's lists of tars
and indexes draws what the order draws, without this project's loader.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from shard_tools.columns import one_array
from shard_tools.errors import StoreError
from shard_tools.files.atomic import locked_folder, umask
from shard_tools.files.remote import is_remote, put_folder
from shard_tools.sampling.orders import epoch_order
from shard_tools.sampling.policies import parse_policy
from shard_tools.store.consistency import open_consistent
from shard_tools.store.epoch_index import INDEX_FILE, INDEX_FORMAT, INDEX_VERSION, Epoch
from shard_tools.store.layout import INDEX_DIR, SPLITS
from shard_tools.store.seal import digest, seal
from shard_tools.store.shard import DALI_INDEX_VERSION, index_lines, label_digits
from shard_tools.store.store import Store

_CHUNK = 500_000
"""Lines that are made at a time: some 45 MB of text."""


@dataclass(frozen=True)
class IndexOptions:
    """What to write."""

    policy: str
    """A policy or a schedule, as ``policies`` describes."""
    epochs: int
    """How many epochs, from epoch 0."""
    seed: int
    """Seed of the orders."""
    name: str
    """Folder under ``STORE/index``."""
    split: str = "train"
    """Which photos are drawn."""

    def __post_init__(self) -> None:
        parse_policy(self.policy)
        if self.split not in SPLITS:
            raise StoreError(f"--split {self.split!r} is unknown; give {', '.join(SPLITS)}")
        if self.epochs < 1:
            raise StoreError(f"--epochs is {self.epochs}; it must be 1 or more")
        if self.seed < 0:
            raise StoreError(f"--seed is {self.seed}; it must be 0 or more")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise StoreError(f"--name {self.name!r}: use letters, digits, '-', '_' and '.' only")


def write_index(store_path: Path, options: IndexOptions) -> str:
    """Write the index files of a policy; the folder appears when it is whole.

    Returns:
        A line that says what was written.

    Raises:
        StoreError: no such store, the name is taken, the split is empty, or the disk is full.
    """
    store = open_consistent(store_path)
    folder = store.path / INDEX_DIR / options.name
    if os.path.lexists(folder) if not is_remote(folder) else folder.exists():
        raise _taken(folder)
    if not len(store.split_rows(options.split)):
        raise StoreError(f"{store_path}: no photos in split {options.split}")
    try:
        with _appearing(folder) as building:
            drawn = _write(store, options, building)
    except OSError as error:
        text = error.strerror or str(error)
        raise StoreError(f"{folder}: cannot be written ({text})") from None
    return (
        f"{folder}: {options.epochs} epochs of {drawn:,} photos, "
        f"policy {options.policy}, split {options.split}, seed {options.seed}"
    )


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """An empty folder to write to, which becomes ``folder`` when the block ends without error.

    An object store has no such moment: there ``index.json``, which readers open first, is
    the last file to appear.
    """
    if is_remote(folder):
        with tempfile.TemporaryDirectory(prefix="glr-") as temporary:
            yield Path(temporary)
            put_folder(Path(temporary), folder, last=INDEX_FILE)
        return
    folder.parent.mkdir(exist_ok=True)
    with locked_folder(folder.parent) as locked:
        if not locked:
            raise StoreError(f"{folder}: another glr-shard index is at work there; try again later")
        if folder.exists():
            raise _taken(folder)
        for left in folder.parent.glob(".*.tmp"):  # of one that was killed
            shutil.rmtree(left, ignore_errors=True)
        building = Path(
            tempfile.mkdtemp(prefix=f".{folder.name[:40]}.", suffix=".tmp", dir=folder.parent)
        )
        try:
            building.chmod(0o777 & ~umask())
            yield building
            building.rename(folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)


def _taken(folder: Path) -> StoreError:
    return StoreError(f"{folder}: already there; give another --name, or remove it")


def _write(store: Store, options: IndexOptions, folder: Path) -> int:
    """Orders, indexes and the file that lists them; returns the photos per epoch."""
    split = store.split_rows(options.split)
    table = store.samples(["key", "label", "shard", "offset", "size"])
    table = table.slice(split.start, len(split))
    lines = _Lines(table, label_digits(store.num_classes))
    labels = table["label"].to_numpy()
    epochs: list[dict[str, Any]] = []
    for epoch in range(options.epochs):
        order = epoch_order(labels, options.policy, options.seed, epoch)
        name = f"epoch-{epoch:04d}"
        file = io.BytesIO()
        np.save(file, order + split.start)
        (folder / f"{name}.npy").write_bytes(file.getvalue())
        (folder / name).mkdir()
        shards, indexes_digest = lines.write(order, folder / name)
        listed = Epoch(
            order=f"{name}.npy",
            shards=tuple(f"../../{shard}.tar" for shard in shards),
            indexes=tuple(f"{name}/{shard}.idx" for shard in shards),
            xxh128=digest(file.getvalue()),
            indexes_xxh128=indexes_digest,
        )
        epochs.append(asdict(listed))
    head = {"format": INDEX_FORMAT, "version": INDEX_VERSION}
    described = head | asdict(options) | {"samples": len(split), "epochs": epochs}
    (folder / INDEX_FILE).write_text(seal(described))
    return len(split)


class _Lines:
    """The index lines of a split, written in any order; everything by columns, not by photo."""

    def __init__(self, table: pa.Table, digits: int) -> None:
        shards = one_array(table["shard"].unify_dictionaries())
        self._codes = shards.indices.to_numpy()
        self._shards = [name.removesuffix(".tar") for name in shards.dictionary.to_pylist()]
        self._keys = table["key"].cast(pa.large_string()).combine_chunks()
        self._offsets, self._sizes = table["offset"].to_numpy(), table["size"].to_numpy()
        self._digits = digits
        self._digest = xxhash.xxh3_128()

    def write(self, order: np.ndarray, folder: Path) -> tuple[list[str], str]:
        """Write an index for every shard that ``order`` draws from.

        Returns:
            Their names, and the digest of the files one after the other.
        """
        self._digest = xxhash.xxh3_128()
        by_shard = order[np.argsort(self._codes[order], kind="stable")]
        codes, starts = np.unique(self._codes[by_shard], return_index=True)
        edges = [*starts.tolist(), len(by_shard)]
        first = 0
        while first < len(codes):  # as many shards at a time as make a chunk
            last = max(bisect_right(edges, edges[first] + _CHUNK) - 1, first + 1)
            rows = by_shard[edges[first] : edges[last]]
            cuts = [edge - edges[first] for edge in edges[first : last + 1]]
            names = [self._shards[code] for code in codes[first:last]]
            self._write_some(rows, cuts, [folder / f"{name}.idx" for name in names])
            first = last
        return [self._shards[code] for code in codes], self._digest.hexdigest()

    def _write_some(self, rows: np.ndarray, cuts: list[int], files: list[Path]) -> None:
        """Write the lines of ``rows`` to ``files``, each from one of ``cuts`` to the next."""
        lines = index_lines(
            self._keys.take(pa.array(rows)), self._offsets[rows], self._sizes[rows], self._digits
        )
        _, offsets, data = lines.buffers()
        at = np.frombuffer(offsets, np.int64)[lines.offset :]
        text = memoryview(data)
        for file, (start, stop) in zip(files, pairwise(cuts), strict=True):
            head, body = (
                f"{DALI_INDEX_VERSION} {stop - start}\n".encode(),
                text[at[start] : at[stop]],
            )
            with file.open("wb") as out:
                out.write(head)
                out.write(body)
            self._digest.update(head)
            self._digest.update(body)
