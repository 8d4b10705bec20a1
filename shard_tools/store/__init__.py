"""The format on disk, its one reader and writer (the contract is docs/format.md).

A store is a folder of WebDataset tars, DALI ``.idx`` files, two parquet tables and a manifest.
"""

from shard_tools.store.epoch_index import EpochIndex
from shard_tools.store.layout import SPLITS
from shard_tools.store.manifest import Manifest, ShardInfo
from shard_tools.store.store import Store, read_photo

__all__ = ["SPLITS", "EpochIndex", "Manifest", "ShardInfo", "Store", "read_photo"]
