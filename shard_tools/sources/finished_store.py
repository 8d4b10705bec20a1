"""A finished store as a source: to split, resize or select classes again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from shard_tools.columns import one_array, pc
from shard_tools.files.regular import read_regular
from shard_tools.sources.layout import FOLDER, Layout, SourceOptions
from shard_tools.sources.readers import SpanReader
from shard_tools.sources.records import REJECTED_SCHEMA, Records
from shard_tools.sources.split_names import splits_of
from shard_tools.store.consistency import open_consistent
from shard_tools.store.layout import FORMAT_NAME, LARGEST_MANIFEST, MANIFEST, PHOTO

NAME = "store"
_COLUMNS = ["key", "landmark_id", "label", "shard", "offset", "size", "xxh128", "path", "split"]


def detect(source: Path) -> bool:
    """Whether there is the manifest of a store."""
    try:
        manifest = json.loads(read_regular(source / MANIFEST, LARGEST_MANIFEST))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and manifest.get("format") == FORMAT_NAME


def read(source: Path, options: SourceOptions) -> Records:
    """List the photos of a store. Keys stay as they are.

    Raises:
        StoreError: a damaged store.
    """
    options.forbid(source, "a store, which holds its labels itself", "labels", "columns", "classes")
    store = open_consistent(source)
    shards = store.manifest.shards
    store.check_shards()
    samples = store.samples([*_COLUMNS, *options.extra])
    names = samples["shard"].cast(pa.string())
    places = pc.index_in(names, value_set=pa.array([shard.name for shard in shards]))
    files = pc.binary_join_element_wise(samples["key"], PHOTO, ".")
    photos = pa.table(
        {
            "key": samples["key"],
            "path": pc.binary_join_element_wise(names, files, "/"),
            "volume": places.cast(pa.int32()),
            "offset": samples["offset"],
            "size": samples["size"].cast(pa.int64()),
        }
    )
    known = store.classes()
    used = pc.unique(samples["label"]).sort()  # a class may have lost its last photo
    classes = known.take(used).select(["landmark_id", "name"])
    numbers = pc.index_in(samples["label"], value_set=one_array(pa.chunked_array([used])))
    reader = SpanReader([str(source / shard.name) for shard in shards])
    checked = store.manifest.options.get("check") == "full"
    owners = None
    if options.group_by is not None:
        owners = one_array(pc.fill_null(samples[options.group_by].cast(pa.string()), ""))
    given = splits_of(samples["split"])
    return Records(
        NAME,
        reader,
        photos,
        numbers.to_numpy().astype(np.int32),
        classes,
        REJECTED_SCHEMA.empty_table(),
        whole_digests=one_array(samples["xxh128"]) if checked else None,
        carried=samples.select(list(options.carry)),
        owners=owners,
        origins=one_array(samples["path"]),
        # Photos that were tested on stay so: another split of them would leak.
        given=given if len(np.unique(given)) > 1 else None,
    )


LAYOUT = Layout(NAME, "a finished store", (FOLDER,), detect, read)
