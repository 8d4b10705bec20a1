"""Long-tailed stores from the photos of landmarks13, thinned by a fixed rule.

A first store splits the photos as ever: copies of a picture stay on one side. Then the classes are
put in order of their training photos, and class j of C keeps ``n_0 ratio^(-j / (C - 1))`` of them,
rounded, at least one and at most what it has (Cao et al. 2019, the exponential profile). Training
photos that are thinned out measure: they join the test photos, unless they have a copy.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shard_tools.build import BuildOptions, build_store
from shard_tools.photos import PhotoOptions
from shard_tools.store import Store

SHORT_SIDE = 128
"""Pixels of the packed photos' shorter side: enough for small crops, cheap to decode."""


def thinned_counts(counts: Sequence[int], ratio: float) -> list[int]:
    """Training photos that each class keeps.

    Args:
        counts: training photos of the classes, descending.
        ratio: of the first class over the last.
    """
    most, last = counts[0], max(1, len(counts) - 1)
    wanted = [round(most * ratio ** (-place / last)) for place in range(len(counts))]
    return [min(have, max(1, want)) for have, want in zip(counts, wanted, strict=True)]


def base_store(photos: Path, out: Path) -> Path:
    """All photos, split, as ``glr-shard build`` does by default. Nothing if it is there."""
    return _build(BuildOptions(source=photos, out=out, photo=_small()))


def thinned_store(base: Path, photos: Path, ratio: float, out: Path) -> Path:
    """The photos of ``base`` with thinned training classes. Nothing if it is there.

    Args:
        base: from ``base_store``.
        photos: the folder it was built from, in the layout of the Kaggle competition.
        ratio: imbalance.
        out: of the store; a table with its rows is written beside it.
    """
    table = out.with_suffix(".csv")
    if not (out / "manifest.json").is_file():
        _write_table(base, photos, ratio, table)
    return _build(BuildOptions(source=table, out=out, photo=_small(), duplicates="keep"))


def _write_table(base: Path, photos: Path, ratio: float, table: Path) -> None:
    store = Store.open(base)
    samples = store.samples(["key", "path", "landmark_id", "label"])
    keys, paths, ids = (samples[name].to_pylist() for name in ("key", "path", "landmark_id"))
    labels = samples["label"].to_numpy()
    counts = store.class_counts("train")
    order = sorted(range(len(counts)), key=lambda label: (-int(counts[label]), label))
    kept = dict(zip(order, thinned_counts([int(counts[j]) for j in order], ratio), strict=True))
    copied = _copied(base)
    folder, rows = photos / "train", []
    for split in ("train", "val", "test"):
        seen = dict.fromkeys(order, 0)
        # In the order of their keys, which are random.
        for row in sorted(store.split_rows(split), key=lambda row: keys[row]):
            label = int(labels[row])
            seen[label] += 1
            thinned = split == "train" and seen[label] > kept[label]
            if not thinned:
                rows.append((folder / paths[row], ids[row], split))
            elif keys[row] not in copied:
                rows.append((folder / paths[row], ids[row], "test"))
    with open(table, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "landmark_id", "split"])
        writer.writerows(rows)


def _copied(base: Path) -> set[str]:
    """Keys of the photos that show the same picture as another."""
    file = base / "duplicates.csv"
    if not file.is_file():
        return set()
    with open(file, newline="", encoding="utf-8") as opened:
        return {row["key"].removeprefix("'") for row in csv.DictReader(opened)}


def _small() -> PhotoOptions:
    return PhotoOptions(resize_short=SHORT_SIDE)


def _build(options: BuildOptions) -> Path:
    if not (options.out / "manifest.json").is_file():
        build_store(options, workers=1)
    return options.out


def rarest(counts: np.ndarray, classes: int = 4) -> np.ndarray:
    """Labels of the classes with the fewest training photos."""
    return np.argsort(counts, kind="stable")[:classes]
