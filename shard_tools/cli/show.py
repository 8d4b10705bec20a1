"""Shows what a store knows about one photo or one shard."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pyarrow as pa

from shard_tools.cli.arguments import add_store, path_or_url
from shard_tools.cli.output import say, warn_of_shards
from shard_tools.columns import mask, pc
from shard_tools.errors import StoreError
from shard_tools.files.atomic import atomic_open
from shard_tools.store.consistency import open_consistent
from shard_tools.store.layout import PHOTO
from shard_tools.store.manifest import ShardInfo
from shard_tools.store.store import Store, read_photo

HELP = "show one photo or shard of a store"
EXAMPLES = (
    ("glr-shard show store train-000000", "the first photos of a shard"),
    ("glr-shard show store KEY --out photo.jpg", "one photo"),
)
_COLUMNS = ["key", "landmark_id", "label", "split", "shard", "offset", "size", "width", "height"]
_FIRST = 10
"""How many photos of a shard are listed."""


def show(path: Path, what: str, out: Path | None = None) -> str:
    """What a store knows about a photo or a shard, in a few lines.

    Args:
        path: the store.
        what: the key of a photo, or the name of a shard with or without ``.tar``.
        out: file to write the photo to.

    Raises:
        StoreError: no such store, photo or shard, or ``out`` cannot be written.
    """
    store = open_consistent(path)
    name = what if what.endswith(".tar") else f"{what.removesuffix('.idx')}.tar"
    info = next((shard for shard in store.manifest.shards if shard.name == name), None)
    if info is None:
        return _photo(store, what.removesuffix(f".{PHOTO}"), out)
    if out is not None:
        raise StoreError(f"--out {out}: {what} is a shard, not a photo; give the key of a photo")
    return _shard(store, info)


def _photo(store: Store, key: str, out: Path | None) -> str:
    samples = store.samples([*_COLUMNS, "xxh128"])
    found = samples.filter(pc.equal(samples["key"], key)).to_pylist()
    if not found:
        raise StoreError(f"{store.path}: no photo or shard {key!r}; keys are in samples.parquet")
    row = found[0]
    name = store.classes()["name"][row["label"]].as_py()
    lines = [
        f"key          {row['key']}",
        f"landmark_id  {row['landmark_id']}" + (f" ({name})" if name else ""),
        f"label        {row['label']}",
        f"split        {row['split']}",
        f"place        {row['shard']}, bytes {row['offset']:,} to "
        f"{row['offset'] + row['size']:,} ({row['size']:,})",
        f"pixels       {row['width']} x {row['height']}",
        f"xxh128       {row['xxh128'].hex()}",
    ]
    if out is not None:
        lines.append(f"written to   {_write(store, row, out)}")
    return "\n".join(lines)


def _write(store: Store, row: dict[str, Any], out: Path) -> Path:
    data = read_photo(store, row["shard"], row["offset"], row["size"])
    try:
        with atomic_open(out) as file:
            file.write(data)
    except OSError as error:
        raise StoreError(f"--out {out}: cannot be written ({error.strerror})") from None
    return out


def _shard(store: Store, info: ShardInfo) -> str:
    samples = store.samples(_COLUMNS)
    rows = samples.filter(mask(pc.equal(samples["shard"], info.name)))
    labels = pc.count_distinct(rows["label"]).as_py()
    size = rows["size"].to_numpy()
    lines = [
        f"shard        {info.name}",
        f"split        {info.split}",
        f"photos       {info.samples:,} of {labels:,} classes",
        f"bytes        {info.bytes:,}, of which photos {int(size.sum()):,}",
        f"sha256       {info.sha256}",
        f"index        {info.index_name}, sha256 {info.index_sha256}",
        f"first        {'key':<20}{'landmark_id':>14}{'label':>8}{'pixels':>14}{'bytes':>12}",
    ]
    return "\n".join([*lines, *_listed(rows)])


def _listed(rows: pa.Table) -> list[str]:
    lines = []
    for row in rows.slice(0, _FIRST).to_pylist():
        pixels = f"{row['width']} x {row['height']}"
        place = f"{row['landmark_id']:>14}{row['label']:>8}{pixels:>14}{row['size']:>12,}"
        lines.append(f"             {row['key']:<20}{place}")
    if len(rows) > _FIRST:
        lines.append(f"             and {len(rows) - _FIRST:,} more")
    return lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``glr-shard show``."""
    add_store(parser)
    parser.add_argument("what", metavar="KEY|SHARD", help="key of a photo, or name of a shard")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the photo to this file")


def run(parsed: argparse.Namespace) -> int:
    """Print what the store knows."""
    say(show(path_or_url(parsed.store), parsed.what, parsed.out))
    warn_of_shards(path_or_url(parsed.store))
    return 0
