"""A reader of stores written from docs/format.md alone: the standard library, pyarrow and xxhash.

It shares no code with shard_tools on purpose. Where it cannot read a store, the page is at fault.
"""

import hashlib
import json
from array import array

import pyarrow.parquet as pq
import xxhash


def read_store(folder):
    """Yield split, key, label, landmark_id, name of the class and JPEG of every photo."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    if (manifest["format"], manifest["version"]) != ("glr-store", 3):
        raise ValueError("not a store of format version 3")
    classes = pq.read_table(folder / "classes.parquet").to_pylist()
    samples = iter(pq.read_table(folder / "samples.parquet").to_pylist())
    digits = max(len(str(len(classes) - 1)), 1)
    for shard in manifest["shards"]:
        tar = checked(folder / shard["name"], shard["sha256"])
        index = checked(folder / shard["name"].replace(".tar", ".idx"), shard["index_sha256"])
        head, *lines = index.decode("ascii").split("\n")[:-1]
        if len(tar) != shard["bytes"] or head != f"v1.2 {len(lines)}":
            raise ValueError(f"{shard['name']} is damaged")
        for line in lines:
            row, known = next(samples), line.split(" ")
            at, size = row["offset"], row["size"]
            end = at + (size + 511) // 512 * 512 + 512
            label, photo = tar[end : end + digits].decode("ascii"), tar[at : at + size]
            key, names = row["key"], classes[row["label"]]
            jpg, cls = ["jpg", f"{at}", f"{size}", f"{key}.jpg"], ["cls", f"{end}", f"{digits}"]
            if (
                known != [*jpg, *cls, f"{key}.cls"]
                or xxhash.xxh3_128_digest(photo) != row["xxh128"]
            ):
                raise ValueError(f"{key} in {shard['name']} is not where the tables say")
            if (row["shard"], row["split"]) != (shard["name"], shard["split"]):
                raise ValueError(f"{key} is not of {shard['name']}")
            if (int(label), row["landmark_id"]) != (names["label"], names["landmark_id"]):
                raise ValueError(f"{key} has two labels")
            yield row["split"], key, int(label), row["landmark_id"], names["name"], photo
    if next(samples, None) is not None:
        raise ValueError("more rows than photos")


def read_epoch(folder, name, epoch):
    """Rows of the samples table that an epoch of an index folder draws, in order."""
    index = folder / "index" / name
    described = json.loads((index / "index.json").read_text(encoding="utf-8"))
    if (described["format"], described["version"]) != ("glr-index", 1):
        raise ValueError("not an index of format version 1")
    data = (index / described["epochs"][epoch]["order"]).read_bytes()
    start = 10 + int.from_bytes(data[8:10], "little")  # as every .npy file of version 1
    return array("q", data[start:]).tolist()


def checked(file, sha256):
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"{file} is damaged")
    return data
