"""Checks the index folders of a store: epoch orders, and DALI indexes over the unchanged tars.

DALI crashes on an index that points past the end of a tar, so every line must be one of a photo.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from shard_tools.errors import StoreError
from shard_tools.files.regular import read_regular
from shard_tools.store.consistency import codes
from shard_tools.store.epoch_index import INDEX_FILE, Epoch, EpochIndex
from shard_tools.store.layout import INDEX_DIR
from shard_tools.store.problems import Findings, Problem
from shard_tools.store.seal import digest
from shard_tools.store.shard import DALI_INDEX_VERSION, IndexEntry, label_digits
from shard_tools.store.store import Store

_LONGEST_LINE = 512
"""Bytes of a line of a DALI index: two names of a key and four numbers."""


def check_indexes(store: Store, samples: pa.Table) -> list[Problem]:
    """Everything that is wrong with the folders under ``index/``."""
    root = store.path / INDEX_DIR
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    found: list[Problem] = []
    for folder in folders:
        if not folder.name.startswith("."):  # those are reported as left over
            found += _Folder(store, samples, folder).check()
    return found


class _Folder:
    """One index folder, checked against the samples table."""

    def __init__(self, store: Store, samples: pa.Table, folder: Path) -> None:
        self._store, self._samples, self._folder = store, samples, folder
        self._names = [shard.name for shard in store.manifest.shards]
        self._found = Findings(f"{INDEX_DIR}/{folder.name}")

    def check(self) -> list[Problem]:
        try:
            index = EpochIndex.open(self._store, self._folder.name)
        except StoreError as error:
            self._add(str(error).removeprefix(f"{self._folder}/").removeprefix(f"{self._folder}: "))
            return self._found
        for number, epoch in enumerate(index.epochs):
            self._check_epoch(index, number, epoch)
        self._check_names(index)
        return self._found

    def _add(self, what: str) -> None:
        self._found.add("index", what)

    def _check_names(self, index: EpochIndex) -> None:
        """Files that do not belong to the index."""
        known = {INDEX_FILE}
        for epoch in index.epochs:
            known |= {epoch.order, epoch.order.removesuffix(".npy"), *epoch.indexes}
        there = (str(path.relative_to(self._folder)) for path in self._folder.rglob("*"))
        strange = sorted(name for name in there if name not in known)
        self._found.add_all("index", f"not listed in {INDEX_FILE}", strange)

    def _check_epoch(self, index: EpochIndex, number: int, epoch: Epoch) -> None:
        try:
            order = index.order(number)
        except StoreError as error:
            self._add(str(error).removeprefix(f"{self._folder}/"))
            return
        of_row = codes(self._samples["shard"], self._names)[order]
        wanted = {self._names[code] for code in np.unique(of_row) if code >= 0}
        if {Path(shard).name for shard in epoch.shards} != wanted:
            self._add(f"{epoch.order}: lists other tars than the order draws from")
        content = []
        for shard, file in zip(epoch.shards, epoch.indexes, strict=True):
            name = Path(shard).name
            rows = order[of_row == self._names.index(name)]
            content.append(self._check_file(file, rows))
        if digest(b"".join(content)) != epoch.indexes_xxh128:
            self._add(f"{epoch.order}: its indexes are not those that were written")

    def _check_file(self, file: str, rows: np.ndarray) -> bytes:
        """A DALI index against the rows that the order draws from its tar; its bytes."""
        try:
            data = read_regular(self._folder / file, _LONGEST_LINE * (len(rows) + 1))
        except OSError as error:
            self._add(f"{file} cannot be read ({error.strerror})")
            return b""
        # Only a newline ends a line: DALI refuses what Python's splitlines would let pass.
        head, *lines = data.decode("utf-8", "backslashreplace").split("\n")
        wanted = [*self._lines(rows), ""]
        if head != f"{DALI_INDEX_VERSION} {len(rows)}" or len(lines) != len(wanted):
            said = f"begins with {head!r} and has {len(lines) - 1:,} lines"
            self._add(f"{file} {said}; the order draws {len(rows):,} photos")
            return data
        wrong = [number for number, line in enumerate(lines) if line != wanted[number]]
        if wrong:
            at = wrong[0]
            said = f"line {at + 2} is {lines[at]!r}, the order draws {wanted[at]!r}"
            self._add(f"{file}: {len(wrong):,} lines differ; {said}")
        return data

    def _lines(self, rows: np.ndarray) -> list[str]:
        digits = label_digits(self._store.num_classes)
        table = self._samples.select(["key", "offset", "size"]).take(pa.array(rows))
        key, offset, size = (column.to_pylist() for column in table.columns)
        places = zip(key, offset, size, strict=True)
        return [IndexEntry.of_sample(*place, digits).line() for place in places]
