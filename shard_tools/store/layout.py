"""Names of the files of a store, and the columns of its tables (the contract: docs/format.md)."""

from __future__ import annotations

import pyarrow as pa

FORMAT_NAME = "glr-store"

FORMAT_VERSION = 4

SPLITS = ("train", "val", "test")

MANIFEST = "manifest.json"

LARGEST_MANIFEST = 1 << 28
"""Bytes; 1.58 million photos take 0.6 MB."""

CLASSES = "classes.parquet"

SAMPLES = "samples.parquet"

REJECTED = "rejected.csv"
DUPLICATES = "duplicates.csv"

INDEX_DIR = "index"

#: Extensions of the two members that a photo has in a shard.
PHOTO, LABEL = "jpg", "cls"

#: One row per class; the row number is the label.
CLASSES_SCHEMA = pa.schema(
    [
        ("label", pa.int32()),
        ("landmark_id", pa.string()),
        ("name", pa.string()),
        ("train", pa.int32()),
        ("val", pa.int32()),
        ("test", pa.int32()),
    ]
)

#: One row per photo, ordered by split (train, val, test), shard and place in the shard. The row
#: number is what an epoch order names.
SAMPLES_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("landmark_id", pa.dictionary(pa.int32(), pa.string())),
        ("label", pa.int32()),
        ("split", pa.dictionary(pa.int32(), pa.string())),
        ("shard", pa.dictionary(pa.int32(), pa.string())),
        ("offset", pa.int64()),
        ("size", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("xxh128", pa.binary(16)),
        ("path", pa.string()),
    ]
)


WORK = ".building"
