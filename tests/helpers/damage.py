# ruff: noqa: E501 (a table: one line for each damage)
"""Every way to damage a store, and what ``glr-shard verify`` must say of it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from shard_tools.store.layout import SAMPLES_SCHEMA
from shard_tools.store.seal import FileInfo, digest, seal
from shard_tools.store.shard import TAR_END, IndexEntry, class_member, dali_index, tar_member
from shard_tools.store.store import Store
from tests.helpers.photos import encoded, picture

TAR, IDX = "train-000000.tar", "train-000000.idx"


def edit(path: Path, change: Callable[[bytearray], object]) -> None:
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)


def manifest(store: Path, change: Callable[[dict], object]) -> None:
    raw = json.loads((store / "manifest.json").read_text())
    change(raw)
    (store / "manifest.json").write_text(seal(raw))


def reseal(store: Path) -> None:
    """Give manifest and indexes the digests of what is there, as whoever means harm would."""
    for file in store.glob("index/*/index.json"):
        raw = json.loads(file.read_text())
        for epoch in raw["epochs"] if isinstance(raw, dict) else []:
            epoch["xxh128"] = digest((file.parent / epoch["order"]).read_bytes())
            indexes = [file.parent / name for name in epoch["indexes"]]
            content = b"".join(index.read_bytes() for index in indexes if index.exists())
            epoch["indexes_xxh128"] = digest(content)
        if isinstance(raw, dict):
            file.write_text(seal(raw))
    try:
        raw = json.loads((store / "manifest.json").read_text())
    except (OSError, ValueError):
        return
    files = [store / info["name"] for info in raw["files"]]
    if (store / "duplicates.csv").exists():
        files.append(store / "duplicates.csv")
    there = {file.name: file.read_bytes() for file in files if file.exists()}
    kept = [info for info in raw["files"] if info["name"] not in there]
    raw["files"] = [*kept, *(asdict(FileInfo.of(name, there[name])) for name in sorted(there))]
    (store / "manifest.json").write_text(seal(raw))


def column(store: Path, table: str, name: str, change: Callable[[list], object]) -> None:
    """Change the values of one column of a parquet table."""
    path = store / f"{table}.parquet"
    whole = pq.read_table(path)
    values = whole[name].to_pylist()
    change(values)
    place = whole.column_names.index(name)
    array = pa.array(values, whole.schema.field(name).type)
    pq.write_table(whole.set_column(place, whole.schema.field(name), array), path)


def put(place: int, value: object) -> Callable[[list], None]:
    def change(values: list) -> None:
        values[place] = value

    return change


def swap(values: list) -> None:
    values[0], values[1] = values[1], values[0]


def rows(store: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    path = store / "samples.parquet"
    pq.write_table(change(pq.read_table(path)), path)


def sample(store: Path, row: int = 0) -> dict:
    return Store.open(store).samples().slice(row, 1).to_pylist()[0]


def in_photo(store: Path, at: int, value: bytes) -> None:
    """Overwrite bytes of the first photo; ``at`` counts from its end where negative."""
    first = sample(store)
    start = first["offset"] + (at if at >= 0 else first["size"] + at)
    edit(store / TAR, lambda data: data.__setitem__(slice(start, start + len(value)), value))


def repack(store: Path, photo: bytes) -> None:
    """Put another photo in the place of the first, and make all digests and tables fit it."""
    shard = Store.open(store).manifest.shards[0]
    table = Store.open(store).samples().slice(0, shard.samples).to_pylist()
    old = (store / TAR).read_bytes()
    tar, entries = b"", []
    for place, row in enumerate(table):
        data = photo if place == 0 else old[row["offset"] : row["offset"] + row["size"]]
        head, pad = tar_member(f"{row['key']}.jpg", data)
        label = class_member(row["label"], 1)
        label_head, label_pad = tar_member(f"{row['key']}.cls", label)
        row |= {"offset": len(tar) + 512, "size": len(data)}
        row["xxh128"] = xxhash.xxh3_128(data).digest()
        entries.append(IndexEntry.of_sample(row["key"], row["offset"], row["size"], 1))
        tar += head + data + pad + label_head + label + label_pad
    (store / TAR).write_bytes(tar + TAR_END)
    (store / IDX).write_text(dali_index(entries))
    fresh = pa.Table.from_pylist(table, SAMPLES_SCHEMA)
    rest = Store.open(store).samples().slice(shard.samples)
    pq.write_table(pa.concat_tables([fresh, rest]).unify_dictionaries(), store / "samples.parquet")
    sums = {
        "bytes": len(tar) + 1024,
        "sha256": hashlib.sha256((store / TAR).read_bytes()).hexdigest(),
        "index_sha256": hashlib.sha256((store / IDX).read_bytes()).hexdigest(),
    }
    manifest(store, lambda raw: raw["shards"][0].update(sums))
    reseal(store)
    shutil.rmtree(store / "index")


def truncated_photo(store: Path) -> None:
    first = sample(store)
    tar = (store / TAR).read_bytes()
    repack(store, tar[first["offset"] : first["offset"] + first["size"] - 40])


def leak(store: Path) -> None:
    """Give a photo of test the bytes of one of train, everywhere."""
    same = sample(store)["xxh128"]
    last = len(Store.open(store).samples()) - 1
    column(store, "samples", "xxh128", put(last, same))


def copies(store: Path) -> None:
    last = len(Store.open(store).samples()) - 1
    keys = [sample(store)["key"], sample(store, last)["key"]]
    (store / "duplicates.csv").write_text(f"group,key\n1,{keys[0]}\n1,{keys[1]}\n")


def index_json(store: Path, change: Callable[[dict], object]) -> None:
    file = store / "index/even/index.json"
    raw = json.loads(file.read_text())
    change(raw)
    file.write_text(seal(raw))


#: Damage that is only seen by digests: sealed again, it would not be damage.
SEEN_BY_DIGEST = {"bytes after an order", "a byte of the classes", "a byte of the manifest"}
#: Damage that sealing again would undo, or trip over.
UNSEALED = SEEN_BY_DIGEST | {"no manifest", "manifest not JSON", "other version", "index outside"}
UNSEALED |= {"order outside", "index file gone", "shard outside", "list of duplicates gone"}


def index_line(store: Path, old: str, new: str) -> None:
    file = next((store / "index/even/epoch-0001").glob("*.idx"))
    file.write_text(file.read_text().replace(old, new, 1))


def other_order(store: Path) -> None:
    path = store / "index/even/epoch-0000.npy"
    np.save(path, np.roll(np.load(path), 1) * 0 + 1)


DAMAGE: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    # what is done to the store: by what, the check and the file that name it, and words of it
    "no manifest": (lambda s: (s / "manifest.json").unlink(), "manifest", "manifest.json", "not a finished store"),
    "manifest not JSON": (lambda s: (s / "manifest.json").write_text("{"), "manifest", "manifest.json", "not JSON"),
    "other version": (lambda s: manifest(s, lambda m: m.update(version=1)), "manifest", "manifest.json", "version 1"),
    "manifest counts": (lambda s: manifest(s, lambda m: m["counts"].update(val=99)), "manifest", "manifest.json", "counts.val is 99"),
    "manifest order": (lambda s: manifest(s, lambda m: m["shards"].reverse()), "manifest", "manifest.json", "order train, val, test"),
    "shard listed twice": (lambda s: manifest(s, lambda m: m["shards"].insert(0, m["shards"][0])), "manifest", "manifest.json", "listed twice"),
    "shard outside": (lambda s: manifest(s, lambda m: m["shards"][0].update(name="../x.tar")), "manifest", "manifest.json", "'../x.tar' is not the file name"),
    "index outside": (lambda s: index_json(s, lambda m: m["epochs"][0]["shards"].__setitem__(0, "../../../x.tar")), "index", "index/even", "tars that are not of this store"),
    "order outside": (lambda s: index_json(s, lambda m: m["epochs"][0].update(order="../../x.npy")), "index", "index/even", "the order of epoch 0 is"),
    "file in the index": (lambda s: (s / "index/even/x.idx").touch(), "index", "index/even", "not listed in index.json: x.idx"),
    "file beside the indexes": (lambda s: (s / "index/x.idx").touch(), "files", "index/x.idx", "only folders belong there"),
    "idx with a vertical tab": (lambda s: edit(next((s / "index/even/epoch-0001").glob("*.idx")), lambda d: d.__setitem__(d.rindex(b"\n", 0, -1), 11)), "index", "index/even", "has .* lines; the order draws"),
    "list of duplicates gone": (lambda s: (s / "duplicates.csv").unlink(), "files", "duplicates.csv", "No such file"),
    "bytes after an order": (lambda s: edit(s / "index/even/epoch-0000.npy", lambda d: d.append(0)), "index", "index/even", "not what was written"),
    "a byte of the classes": (lambda s: edit(s / "classes.parquet", lambda d: d.__setitem__(9, d[9] ^ 1)), "files", "classes.parquet", "not what was written"),
    "a byte of the manifest": (lambda s: edit(s / "manifest.json", lambda d: d.__setitem__(d.index(b"kaggle"), 75)), "manifest", "manifest.json", "damaged or edited"),
    "no tar": (lambda s: (s / TAR).unlink(), "files", TAR, "missing"),
    "no idx": (lambda s: (s / IDX).unlink(), "files", IDX, "missing"),
    "no samples": (lambda s: (s / "samples.parquet").unlink(), "files", "samples.parquet", "missing"),
    "no classes": (lambda s: (s / "classes.parquet").unlink(), "files", "classes.parquet", "missing"),
    "no rejected": (lambda s: (s / "rejected.csv").unlink(), "files", "rejected.csv", "No such file"),
    "samples not parquet": (lambda s: (s / "samples.parquet").write_bytes(b"x" * 99), "files", "samples.parquet", "cannot be read"),
    "another file": (lambda s: (s / "notes.txt").touch(), "files", "notes.txt", "not listed in the manifest"),
    "half-written file": (lambda s: (s / ".val-000000.tar.7.tmp").touch(), "files", ".val-000000.tar.7.tmp", "half-written"),
    "half-written index": (lambda s: (s / "index/.odd.tmp").mkdir(), "files", "index/.odd.tmp", "half-written"),
    "work folder": (lambda s: (s / ".building").mkdir(), "files", ".building", "left over from the build"),
    "empty tar": (lambda s: (s / TAR).write_bytes(b""), "tar", TAR, "ends at byte 0"),
    "tar cut short": (lambda s: edit(s / TAR, lambda d: d.__delitem__(slice(-1400, None))), "tar", TAR, "goes past the end|ends at byte"),
    "no end of tar": (lambda s: edit(s / TAR, lambda d: d.__delitem__(slice(-1024, None))), "tar", TAR, "without the zero blocks"),
    "bytes after the tar": (lambda s: edit(s / TAR, lambda d: d.extend(b"x")), "tar", TAR, "1,024 zero bytes and no more"),
    "size of the tar": (lambda s: edit(s / TAR, lambda d: d.extend(b"x")), "files", TAR, "the manifest says"),
    "header": (lambda s: edit(s / TAR, lambda d: d.__setitem__(0, 0x21)), "tar", TAR, "no tar header at byte 0"),
    "padding": (lambda s: edit(s / TAR, lambda d: d.__setitem__(-1025, 1)), "tar", TAR, "padding after .*cls.* is not zero"),
    "a bit of a photo": (lambda s: in_photo(s, -20, b"\x55"), "photo", TAR, "xxh128 differs"),
    "sha256 of a tar": (lambda s: in_photo(s, -20, b"\x55"), "sha256", TAR, "not the one that was built"),
    "label in the tar": (lambda s: edit(s / TAR, lambda d: d.__setitem__(-1536, 0x39)), "samples", TAR, r"label \(.cls\) differs"),
    "line of the idx": (lambda s: edit(s / IDX, lambda d: d.__setitem__(d.index(b" 512 ") + 1, 0x36)), "idx", IDX, "line 2 is .*jpg 612"),
    "count of the idx": (lambda s: edit(s / IDX, lambda d: d.__setitem__(5, 0x35)), "idx", IDX, "line 1 is 'v1.2 5"),
    "idx line gone": (lambda s: edit(s / IDX, lambda d: d.__delitem__(slice(d.rindex(b"\njpg ") + 1, None))), "idx", IDX, "is 'nothing'"),
    "sha256 of an idx": (lambda s: edit(s / IDX, lambda d: d.append(10)), "sha256", IDX, "not the one that was built"),
    "offset": (lambda s: column(s, "samples", "offset", put(0, 700)), "samples", TAR, "offset differs.* 512, the table says 700"),
    "size": (lambda s: column(s, "samples", "size", put(0, 7)), "samples", TAR, "size differs"),
    "width": (lambda s: column(s, "samples", "width", put(0, 7)), "samples", TAR, "48x32, the table says 7x32"),
    "digest of a photo": (lambda s: column(s, "samples", "xxh128", put(0, b"x" * 16)), "photo", TAR, "xxh128 differs"),
    "key": (lambda s: column(s, "samples", "key", put(0, "other")), "samples", TAR, "key differs"),
    "key twice": (lambda s: column(s, "samples", "key", put(0, sample(s, 9)["key"])), "samples", "samples.parquet", "several rows"),
    "no key": (lambda s: column(s, "samples", "key", put(0, "a.b")), "samples", "samples.parquet", "not a key: 'a.b'"),
    "label in the table": (lambda s: column(s, "samples", "label", put(0, 1)), "samples", TAR, r"label \(.cls\) differs"),
    "label too large": (lambda s: column(s, "samples", "label", put(0, 3)), "classes", "classes.parquet", "no class for label 3"),
    "landmark_id": (lambda s: column(s, "samples", "landmark_id", put(0, "7")), "classes", "classes.parquet", "landmark_id of 1 rows"),
    "split": (lambda s: column(s, "samples", "split", put(0, "val")), "samples", "samples.parquet", "split is not in the order"),
    "shard": (lambda s: column(s, "samples", "shard", put(0, "val-000000.tar")), "samples", "samples.parquet", "shard is not in the order"),
    "rows swapped": (lambda s: rows(s, lambda t: t.take([1, 0, *range(2, len(t))])), "samples", "samples.parquet", "place in the tar: row 1"),
    "row gone": (lambda s: rows(s, lambda t: t.slice(1)), "samples", "samples.parquet", "has 30 rows, the manifest lists 31"),
    "row too many": (lambda s: rows(s, lambda t: pa.concat_tables([t, t.slice(3, 1)])), "samples", "samples.parquet", "has 32 rows"),
    "class count": (lambda s: column(s, "classes", "val", put(0, 77)), "classes", "classes.parquet", "photos in val miscounted: label 0 says 77"),
    "class order": (lambda s: column(s, "classes", "label", swap), "classes", "classes.parquet", "not the row number: row 0; row 1"),
    "class twice": (lambda s: column(s, "classes", "landmark_id", put(1, "1")), "classes", "classes.parquet", "in several rows"),
    "number of classes": (lambda s: manifest(s, lambda m: m["counts"].update(classes=4)), "classes", "classes.parquet", "has 3 rows, the manifest says 4"),
    "rejected": (lambda s: manifest(s, lambda m: m["counts"].update(rejected=4)), "rejected", "rejected.csv", "has 1 rows, the manifest says 4"),
    "leakage": (leak, "leakage", "samples.parquet", "to the byte.* in train and .* in test"),
    "copies": (copies, "leakage", "duplicates.csv", "copies of one picture.* in train and .* in test"),
    "truncated photo": (truncated_photo, "decode", TAR, "truncated: "),
    "progressive photo": (lambda s: repack(s, encoded(picture(), progressive=True)), "decode", TAR, "not an upright baseline RGB JPEG"),
    "index line": (lambda s: index_line(s, "jpg ", "jpg 1"), "index", "index/even", "lines differ; line 2"),
    "index count": (lambda s: index_line(s, "v1.2 ", "v1.2 1"), "index", "index/even", "the order draws"),
    "index file gone": (lambda s: next((s / "index/even/epoch-0001").glob("*.idx")).unlink(), "index", "index/even", "cannot be read"),
    "index.json": (lambda s: (s / "index/even/index.json").write_text("[]"), "index", "index/even", "not a file of the format glr-index"),
    "order": (other_order, "index", "index/even", "other tars than the order draws"),
    "order out of its split": (lambda s: np.save(s / "index/even/epoch-0000.npy", np.load(s / "index/even/epoch-0000.npy") + 20), "index", "index/even", "not of split train"),
}  # fmt: skip
