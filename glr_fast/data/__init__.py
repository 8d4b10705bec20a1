"""From a store to batches of images: plan, source, backends, loader."""

from glr_fast.data.augment import Augmentation
from glr_fast.data.health import bad_samples_file
from glr_fast.data.loader import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Batch,
    Loader,
    normalise,
    open_loader,
    usable_cores,
)
from glr_fast.data.plan import Plan, Rank
from shard_tools.errors import StoreError
from shard_tools.sampling.policies import POLICIES
from shard_tools.store.store import Store

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "POLICIES",
    "Augmentation",
    "Batch",
    "Loader",
    "Plan",
    "Rank",
    "Store",
    "StoreError",
    "bad_samples_file",
    "normalise",
    "open_loader",
    "usable_cores",
]
