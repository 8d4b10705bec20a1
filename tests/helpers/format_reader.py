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
    manifest = sealed(folder / "manifest.json", "glr-store", 4)
    for file in manifest["files"]:
        if file["xxh128"] != xxhash.xxh3_128_hexdigest((folder / file["name"]).read_bytes()):
            raise ValueError(f"{file['name']} is damaged")
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
    listed = sealed(index / "index.json", "glr-index", 2)["epochs"][epoch]
    data = (index / listed["order"]).read_bytes()
    indexes = b"".join((index / name).read_bytes() for name in listed["indexes"])
    for content, digest in ((data, "xxh128"), (indexes, "indexes_xxh128")):
        if xxhash.xxh3_128_hexdigest(content) != listed[digest]:
            raise ValueError(f"epoch {epoch} of {name} is damaged")
    start = 10 + int.from_bytes(data[8:10], "little")  # as every .npy file of version 1
    return array("q", data[start:]).tolist()


def sealed(file, kind, version):
    data = file.read_bytes()
    raw = json.loads(data.decode("utf-8"))
    if (raw["format"], raw["version"]) != (kind, version):
        raise ValueError(f"{file} is not of version {version} of {kind}")
    head, seal, tail = data.rpartition(raw["xxh128"].encode())
    if xxhash.xxh3_128_hexdigest(head + b"0" * 32 + tail).encode() != seal:
        raise ValueError(f"{file} is damaged")
    return raw


def checked(file, sha256):
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"{file} is damaged")
    return data
