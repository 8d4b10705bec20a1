"""From a store to batches of images: plan, source, backends, loader."""

from glr_fast.data.augment import Augmentation
from glr_fast.data.bad_photos import bad_samples_file
from glr_fast.data.loader import Batch, Loader
from glr_fast.data.normalisation import IMAGENET_MEAN, IMAGENET_STD, normalise
from glr_fast.data.opening import open_loader, usable_cores
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
