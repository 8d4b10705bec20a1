"""From a store to batches of images.

The plan (pure numpy) decides which photos, crops and flips make up every batch; a backend decodes
them; the loader hands out batches by global step. Start with :func:`open_loader`:

    with open_loader("store", "train", LoaderOptions(batch_size=256, policy="sqrt")) as loader:
        for batch in loader.epoch(0):
            images = normalise(batch.images)
"""

from glr_fast.data.augment import Augmentation, Edits
from glr_fast.data.bad_photos import bad_samples_file
from glr_fast.data.encoded import DecodedBatch, EncodedPhoto, decode_encoded
from glr_fast.data.loader import Batch, Loader
from glr_fast.data.normalisation import IMAGENET_MEAN, IMAGENET_STD, normalise
from glr_fast.data.opening import open_loader, usable_cores
from glr_fast.data.plan import Plan, Rank
from glr_fast.loader_options import LoaderOptions
from shard_tools.errors import StoreError
from shard_tools.sampling import POLICIES
from shard_tools.store import Store, read_photo

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "POLICIES",
    "Augmentation",
    "Batch",
    "DecodedBatch",
    "Edits",
    "EncodedPhoto",
    "Loader",
    "LoaderOptions",
    "Plan",
    "Rank",
    "Store",
    "StoreError",
    "bad_samples_file",
    "decode_encoded",
    "normalise",
    "open_loader",
    "read_photo",
    "usable_cores",
]
