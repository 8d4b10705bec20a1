"""Whether the manifest and the tables of a store agree with each other and with themselves.

Readers that take rows of a store from elsewhere as they are, such as a build from a store, check
this first: a label or an offset out of range must not become an error far from its cause.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa

from shard_tools.columns import one_array, pc
from shard_tools.errors import StoreError
from shard_tools.store.layout import CLASSES, MANIFEST, SAMPLES, SPLITS
from shard_tools.store.manifest import Manifest
from shard_tools.store.problems import Findings, Problem
from shard_tools.store.store import Store

_KEY = r"\A[A-Za-z0-9_-]{1,80}\z"


def open_consistent(path: Path | str) -> Store:
    """Open a store whose manifest and tables agree, so that every row can be used as it is.

    Raises:
        StoreError: no store there, or the first thing that is wrong with it.
    """
    store = Store.open(path)
    found = check_manifest(store.manifest)
    if not found:
        samples = store.samples()
        found = check_samples(store.manifest, samples)
        found = found or check_classes(store.manifest, store.classes(), samples)
    if found:
        raise StoreError(
            f"{store.path}: damaged: {found[0].text()}; glr-shard verify shows all of it"
        )
    return store


def check_manifest(manifest: Manifest) -> list[Problem]:
    """The manifest against itself: order of the shards, sums of photos."""
    found = Findings(MANIFEST)
    splits = [shard.split for shard in manifest.shards]
    unknown = sorted(set(splits) - set(SPLITS))
    if unknown:
        found.add("manifest", f"shards of an unknown split: {', '.join(unknown)}")
        return found
    places = [SPLITS.index(split) for split in splits]
    if places != sorted(places):
        found.add("manifest", "the shards are not in the order train, val, test")
    names = [shard.name for shard in manifest.shards]
    found.add_all("manifest", "listed twice", sorted({n for n in names if names.count(n) > 1}))
    odd = [name for name in names if not re.fullmatch(r"[A-Za-z0-9_-]+\.tar", name)]
    found.add_all("manifest", "not the file name of a shard", [repr(name) for name in odd])
    for split in SPLITS:
        total = sum(shard.samples for shard in manifest.shards if shard.split == split)
        if manifest.counts.get(split) != total:
            said = manifest.counts.get(split)
            found.add("manifest", f"counts.{split} is {said}, its shards hold {total:,} photos")
    total = sum(shard.samples for shard in manifest.shards)
    if manifest.counts.get("photos") != total:
        said = manifest.counts.get("photos")
        found.add("manifest", f"counts.photos is {said}, its shards hold {total:,} photos")
    return found


def check_samples(manifest: Manifest, samples: pa.Table) -> list[Problem]:
    """The samples table against the manifest: rows, their order, keys."""
    found = Findings(SAMPLES)
    sizes = [shard.samples for shard in manifest.shards]
    if len(samples) != sum(sizes):
        found.add("samples", f"has {len(samples):,} rows, the manifest lists {sum(sizes):,} photos")
    order = np.repeat(np.arange(len(sizes)), sizes)
    names = [shard.name for shard in manifest.shards]
    for column, wanted in (
        ("shard", order),
        ("split", np.array([SPLITS.index(shard.split) for shard in manifest.shards])[order]),
    ):
        have = codes(samples[column], names if column == "shard" else list(SPLITS))
        shorter = min(len(have), len(wanted))
        wrong = np.flatnonzero(have[:shorter] != wanted[:shorter])
        rows = [f"row {row:,} has {samples[column][row].as_py()!r}" for row in wrong[:4].tolist()]
        if len(wrong):
            said = f"{column} is not in the order of the manifest in {len(wrong):,} rows"
            found.add_all("samples", said, rows)
    _check_places(samples, found)
    _check_keys(samples["key"], found)
    return found


def _check_places(samples: pa.Table, found: Findings) -> None:
    """Within a tar, rows must be in the order of their bytes."""
    offsets, sizes = samples["offset"].to_numpy(), samples["size"].to_numpy()
    numbers = (offsets, sizes, samples["width"].to_numpy(), samples["height"].to_numpy())
    odd = np.flatnonzero(np.any([number <= 0 for number in numbers], axis=0))
    rows = [f"row {row:,}" for row in odd.tolist()]
    found.add_all("samples", "offset, size, width or height is not above 0", rows)
    shard = codes(samples["shard"], pc.unique(samples["shard"].cast(pa.string())).to_pylist())
    back = np.flatnonzero((np.diff(offsets) <= 0) & (np.diff(shard) == 0)) + 1
    rows = [f"row {row:,}" for row in back.tolist()]
    found.add_all("samples", "rows out of the order of their place in the tar", rows)


def _check_keys(keys: pa.ChunkedArray, found: Findings) -> None:
    odd = keys.filter(pc.invert(pc.match_substring_regex(keys, _KEY)))
    found.add_all("samples", "not a key", [repr(key) for key in odd.to_pylist()])
    if pc.count_distinct(keys).as_py() < len(keys):
        table = pc.value_counts(keys)
        twice = table.filter(pc.greater(table.field("counts"), 1)).field("values").to_pylist()
        found.add_all("samples", "key in several rows", twice)


def check_classes(manifest: Manifest, classes: pa.Table, samples: pa.Table) -> list[Problem]:
    """The classes table against the samples table and the manifest."""
    found = Findings(CLASSES)
    count = len(classes)
    if manifest.counts.get("classes") != count:
        found.add("classes", f"has {count:,} rows, the manifest says {manifest.counts['classes']}")
    wrong = np.flatnonzero(classes["label"].to_numpy() != np.arange(count))
    found.add_all(
        "classes", "label is not the row number", [f"row {row}" for row in wrong.tolist()]
    )
    ids = one_array(classes["landmark_id"])
    if pc.count_distinct(ids).as_py() < count:
        found.add("classes", "a landmark_id is in several rows")
    labels = samples["label"].to_numpy()
    inside = (labels >= 0) & (labels < count)
    if not inside.all():
        row = int(np.flatnonzero(~inside)[0])
        found.add("classes", f"no class for label {labels[row]} of row {row:,} of {SAMPLES}")
        return found
    split = codes(samples["split"], list(SPLITS))
    for place, name in enumerate(SPLITS):
        have = classes[name].to_numpy()
        want = np.bincount(labels[split == place], minlength=count)
        off = np.flatnonzero(have != want)
        items = [f"label {label} says {have[label]}, there are {want[label]}" for label in off]
        found.add_all("classes", f"photos in {name} miscounted", items)
    given = samples["landmark_id"].cast(pa.string())
    off = np.flatnonzero(pc.not_equal(given, ids.take(pa.array(labels))).to_numpy())
    rows = [f"row {row:,} has {given[row].as_py()!r}" for row in off[:4].tolist()]
    found.add_all("classes", f"landmark_id of {len(off):,} rows of {SAMPLES} differs", rows)
    return found


def codes(column: pa.ChunkedArray, values: list[str]) -> np.ndarray:
    """Place in ``values`` of every row of a dictionary column, -1 for others. Shape (rows,)."""
    array = one_array(column.unify_dictionaries())
    known = {value: place for place, value in enumerate(values)}
    table = np.array([known.get(value, -1) for value in array.dictionary.to_pylist()], np.int64)
    return table[array.indices.to_numpy()] if len(array) else np.empty(0, np.int64)
