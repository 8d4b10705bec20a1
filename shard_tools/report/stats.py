"""Figures of a store, a source or a table of counts, as a dictionary and as text."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from shard_tools.errors import StoreError, counted
from shard_tools.report.class_counts import ClassCounts, read_counts
from shard_tools.report.statistics import SMALL_CLASS, Box, imbalance, largest
from shard_tools.sources.layout import SourceOptions
from shard_tools.store.consistency import open_consistent
from shard_tools.store.store import Store

PHOTO_FIGURES = ("width", "height", "aspect", "bytes")
_WHAT = {
    "store": "store",
    "source": "source, as listed; not yet packed",
    "labels": "from the label file alone; no photos were opened",
    "counts": "table of counts",
}


def collect(path: Path, options: SourceOptions | None = None, top: int = 10) -> dict[str, Any]:
    """All figures by name, ready for JSON.

    Args:
        path: what :func:`~shard_tools.report.class_counts.read_counts` takes.
        options: how a source is read; None detects everything.
        top: how many of the largest classes to list.

    Raises:
        StoreError: there is nothing to count.
    """
    if top < 0:
        raise StoreError(f"--top is {top}; it must be 0 or more")
    counts = read_counts(path, options)
    total = counts.total
    if not total.any():
        raise StoreError(f"{path}: no photos there")
    figures: dict[str, Any] = {"path": str(path), "kind": counts.kind}
    figures |= imbalance(total).as_dict()
    if counts.kind == "store":
        figures["splits"] = {name: _split(values) for name, values in counts.splits.items()}
        figures |= _store_figures(open_consistent(path))
    if counts.kind == "source":
        figures["skipped"] = counts.skipped
        figures["understood"] = list(counts.understood)
    figures["top"] = [_class(counts, label) for label in largest(total, top).tolist()]
    return figures


def _split(values: np.ndarray) -> dict[str, int]:
    return {"photos": int(values.sum()), "classes": int((values > 0).sum())}


def _class(counts: ClassCounts, label: int) -> dict[str, Any]:
    id_, name = counts.landmark_ids[label].as_py(), counts.names[label].as_py()
    return {"landmark_id": id_, "name": name, "photos": int(counts.total[label])}


def _store_figures(store: Store) -> dict[str, Any]:
    table = store.samples(["size", "width", "height"])
    width, height, size = (table[name].to_numpy() for name in ("width", "height", "size"))
    values = (width, height, width / height, size)
    shards = store.manifest.shards
    return {
        "photo": {
            name: asdict(Box.of(column)) for name, column in zip(PHOTO_FIGURES, values, strict=True)
        },
        "photo_bytes": int(size.sum(dtype=np.int64)),
        "shards": len(shards),
        "shard_bytes": sum(shard.bytes for shard in shards),
        "rejected": store.manifest.counts["rejected"],
    }


def text(figures: dict[str, Any]) -> str:
    """The figures as a few lines of text."""
    lines = [
        f"{figures['path']} ({_WHAT[figures['kind']]})",
        f"photos      {figures['photos']:,}",
        f"classes     {figures['classes']:,}",
    ]
    for name, split in figures.get("splits", {}).items():
        photos, classes = counted(split["photos"], "photo"), counted(split["classes"], "class")
        lines.append(f"  {name:<10}{photos} of {classes}")
    lines += [
        f"per class   max {figures['max']:,}, min {figures['min']:,}, "
        f"median {figures['median']:g}, mean {figures['mean']:.1f}",
        f"imbalance   Gini {figures['gini']:.3f}, largest : smallest {figures['ratio']:,.0f} : 1",
        f"small       {figures['small']:.1%} of the classes have fewer than {SMALL_CLASS} photos; "
        f"classes with one photo: {figures['singletons']:,}",
        f"half        of the photos are in the {figures['half']:,} largest classes; "
        f"same entropy as {figures['effective']:,.0f} equal classes",
    ]
    if "photo" in figures:
        lines += _photo_lines(figures)
    lines += [f"            {line}" for line in figures.get("understood", [])]
    if figures["top"]:
        lines.append("largest")
        for place in figures["top"]:
            name = f"  {place['name']}" if place["name"] else ""
            lines.append(f"  {place['photos']:>9,}  {place['landmark_id']}{name}")
    return "\n".join(lines)


def _photo_lines(figures: dict[str, Any]) -> list[str]:
    photo = figures["photo"]
    lines = [
        f"size        {figures['shard_bytes'] / 1e6:,.1f} MB in {figures['shards']:,} shards, "
        f"photos {figures['photo_bytes'] / 1e6:,.1f} MB",
        f"rejected    {figures['rejected']:,}",
    ]
    for name, digits, unit in (
        ("width", 0, " px"),
        ("height", 0, " px"),
        ("aspect", 2, ""),
        ("bytes", 0, " B"),
    ):
        box = photo[name]
        low, median, high = (f"{box[part]:,.{digits}f}{unit}" for part in ("min", "median", "max"))
        lines.append(f"{name:<11} min {low}, median {median}, max {high}")
    return lines
