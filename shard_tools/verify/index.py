"""Checks the index folders of a store: epoch orders, and DALI indexes over the unchanged tars.

DALI crashes on an index that points past the end of a tar, so every line must be one of a photo.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shard_tools.store.epoch_index import INDEX_FILE, INDEX_FORMAT, INDEX_VERSION
from shard_tools.store.layout import INDEX_DIR
from shard_tools.store.shard import DALI_INDEX_VERSION, IndexEntry, label_digits
from shard_tools.store.store import Store
from shard_tools.verify.problems import Findings, Problem
from shard_tools.verify.tables import codes


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
        described = self._described()
        for epoch in described.get("epochs", []) if described else []:
            try:
                self._check_epoch(described, epoch)
            except (KeyError, TypeError) as error:
                self._add(f"{INDEX_FILE}: incomplete epoch ({error!r})")
        return self._found

    def _add(self, what: str) -> None:
        self._found.add("index", what)

    def _described(self) -> dict[str, Any]:
        file = self._folder / INDEX_FILE
        try:
            described = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            self._add(f"{INDEX_FILE} cannot be read ({error})")
            return {}
        kind = isinstance(described, dict) and (described.get("format"), described.get("version"))
        if kind != (INDEX_FORMAT, INDEX_VERSION):
            self._add(f"{INDEX_FILE}: not version {INDEX_VERSION} of {INDEX_FORMAT}")
            return {}
        return described

    def _check_epoch(self, described: dict[str, Any], epoch: dict[str, Any]) -> None:
        order = self._order(described, epoch)
        if order is None:
            return
        of_row = codes(self._samples["shard"], self._names)[order]
        wanted = {self._names[code] for code in np.unique(of_row) if code >= 0}
        listed = {Path(shard).name for shard in epoch["shards"]}
        if listed != wanted or len(epoch["shards"]) != len(epoch["indexes"]):
            self._add(f"{epoch['order']}: lists other tars than the order draws from")
        for shard, file in zip(epoch["shards"], epoch["indexes"], strict=False):
            name = Path(shard).name
            if name in wanted:
                self._check_file(file, order[of_row == self._names.index(name)])

    def _order(self, described: dict[str, Any], epoch: dict[str, Any]) -> np.ndarray | None:
        """The rows that an epoch draws, or None where they cannot be used."""
        name = epoch["order"]
        try:
            with (self._folder / name).open("rb") as file:
                order = np.load(file)
        except (OSError, ValueError) as error:
            self._add(f"{name} cannot be read ({error})")
            return None
        if order.dtype != np.int64 or order.shape != (described["samples"],):
            said = f"int64 of length {described['samples']}"
            self._add(f"{name} is {order.dtype} of shape {order.shape}, not {said}")
            return None
        rows = self._store.split_rows(described["split"])
        if len(order) and (order.min() < rows.start or order.max() >= rows.stop):
            self._add(f"{name} has rows that are not of split {described['split']}")
            return None
        return order

    def _check_file(self, file: str, rows: np.ndarray) -> None:
        """A DALI index against the rows that the order draws from its tar."""
        try:
            head, *lines = (self._folder / file).read_text().splitlines() or [""]
        except (OSError, UnicodeDecodeError) as error:
            self._add(f"{file} cannot be read ({error})")
            return
        wanted = self._lines(rows)
        if head != f"{DALI_INDEX_VERSION} {len(wanted)}" or len(lines) != len(wanted):
            said = f"begins with {head!r} and has {len(lines):,} lines"
            self._add(f"{file} {said}; the order draws {len(wanted):,} photos")
            return
        wrong = [number for number, line in enumerate(lines) if line != wanted[number]]
        if wrong:
            at = wrong[0]
            said = f"line {at + 2} is {lines[at]!r}, the order draws {wanted[at]!r}"
            self._add(f"{file}: {len(wrong):,} lines differ; {said}")

    def _lines(self, rows: np.ndarray) -> list[str]:
        digits = label_digits(self._store.num_classes)
        table = self._samples.select(["key", "offset", "size"]).take(pa.array(rows))
        key, offset, size = (column.to_pylist() for column in table.columns)
        places = zip(key, offset, size, strict=True)
        return [IndexEntry.of_sample(*place, digits).line() for place in places]
