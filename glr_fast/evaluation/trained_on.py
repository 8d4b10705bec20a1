"""Whether photos of an evaluation are among those that the run was trained on, in another store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute

from glr_fast.checkpoint import TrainState, newest_checkpoint
from glr_fast.data import Store, StoreError
from glr_fast.errors import ConfigError
from glr_fast.run_folders import store_of
from glr_fast.run_start import fingerprint

pc = cast(Any, pyarrow.compute)


def trained_on(run: Path, store: Store, splits: Sequence[str]) -> int | None:
    """How many photos of these splits were in the training split of the run's own store.

    That is so where photos were split anew. A photo is known by its bytes, or by where it came from
    and its class, if the stores resized it differently.

    Args:
        run: a run folder, its ``best`` or a checkpoint.
        store: that is evaluated.
        splits: of it.

    Returns:
        0 for the run's own store, and for a model that names none; None where that store is gone,
        or another one is in its place now.
    """
    place, trained = store_of(run), _digest_of_run(run)
    if trained == fingerprint(store) or place is None:
        return 0
    try:
        own = Store.open(place)
    except (StoreError, OSError):
        return None
    if trained is not None and fingerprint(own) != trained:
        return None
    if fingerprint(own) == fingerprint(store):
        return 0
    learnt = _known_by(own, ["train"])
    found = _known_by(store, splits)
    same = [pc.is_in(ours, value_set=theirs) for ours, theirs in zip(found, learnt, strict=True)]
    return pc.sum(pc.or_(*same), min_count=0).as_py()


def _digest_of_run(run: Path) -> str | None:
    """The fingerprint of the store that a run was trained on, as its checkpoints have it."""
    for folder in (run, run.parent, run.parent.parent):  # of a run, its best, a checkpoint
        checkpoint = newest_checkpoint(folder)
        if checkpoint is not None:
            try:
                return TrainState.read(checkpoint).store.partition(" ")[0]
            except (ConfigError, OSError):
                return None
    return None


def _known_by(store: Store, splits: Sequence[str]) -> tuple[pa.Array, pa.Array]:
    """Digests of the photos of some splits, and where they came from with their classes."""
    samples = store.samples(["split", "xxh128", "path", "landmark_id"])
    chosen = pc.is_in(samples["split"].cast(pa.string()), value_set=pa.array([*splits]))
    samples = samples.filter(chosen)
    ids = samples["landmark_id"].cast(pa.string())
    origin = pc.binary_join_element_wise(ids, samples["path"].cast(pa.string()), "\n")
    return samples["xxh128"].combine_chunks(), origin.combine_chunks()
