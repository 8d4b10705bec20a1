"""Photos to compare an exported program with its model on."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from glr_fast.checkpoint import CONFIG
from glr_fast.config import Config
from glr_fast.data import LoaderOptions, Store, StoreError, open_loader
from glr_fast.errors import ConfigError
from glr_fast.trained_model import TrainedModel

PHOTOS = 16


def check_photos(model: TrainedModel, store: Path | None, run: Path | None) -> tuple[Tensor, str]:
    """Some photos of a store, validation before test before train; and in words where from.

    Args:
        model: says how large they are.
        store: take them from here; None takes the store of the run.
        run: the run folder, where there is one.

    Returns:
        Shape (N, 3, S, S), uint8, N up to 16. Where there is no store, noise, and the text says so.

    Raises:
        StoreError: no store at ``store``, or a damaged one.
    """
    if store is None:
        store = _store_of(run)
        try:
            opened = Store.open(store) if store else None
        except StoreError:
            opened = None  # moved since the training; the export does not need it
    else:
        opened = Store.open(store)
    splits = [s for s in ("val", "test", "train") if opened and len(opened.split_rows(s)) > 1]
    if opened is None or not splits:
        size = model.card.image_size
        noise = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (8, 3, size, size), dtype=torch.uint8, generator=noise)
        return images, "8 images of noise, since no store was at hand (--store)"
    count = min(PHOTOS, len(opened.split_rows(splits[0])))
    options = LoaderOptions(batch_size=count, image_size=model.card.image_size)
    with open_loader(opened, splits[0], options, train=False, device=torch.device("cpu")) as loader:
        images = next(iter(loader.epoch())).images.clone()
    return images.contiguous(), f"{count} photos of the {splits[0]} split of {opened.path}"


def _store_of(run: Path | None) -> Path | None:
    file = run / CONFIG if run else None
    if file is None or not file.is_file():
        return None
    try:
        return Config.from_json(file.read_text(), str(file)).data.store
    except ConfigError:
        return None
