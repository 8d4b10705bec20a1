"""Features of the photos of landmarks13 for benchmarks/bench_long_tail_heads.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from glr_fast.config import ModelConfig
from glr_fast.data import LoaderOptions, Store, normalise, open_loader
from glr_fast.heads import GeM
from glr_fast.models import build_model, pretrained_statistics
from shard_tools.build import BuildOptions, build_store
from shard_tools.photos import PhotoOptions

SIDE = 112
"""Pixels of the crops."""
CROPS = 4
"""Random crops of each photo."""


@dataclass(frozen=True)
class Features:
    """Features of all photos, by the pooling: crops and the centre."""

    labels: np.ndarray
    """Shape (photos,), int64."""
    crops: dict[str, Tensor]
    """Shape (photos, CROPS, F), float32."""
    centers: dict[str, Tensor]
    """Shape (photos, F), float32."""


def extract(shared: Path, work: Path) -> Features:
    """Features of every photo, kept in WORK/features.pt."""
    file = work / "features.pt"
    if not file.is_file():
        torch.save(_extract(shared, work), file)
    raw = torch.load(file)
    return Features(raw["labels"].numpy(), raw["crops"], raw["centers"])


def _extract(shared: Path, work: Path) -> dict:
    out = work / "photos"
    options = BuildOptions(
        source=shared / "data" / "landmarks13",
        out=out,
        duplicates="drop",
        splits=(1.0, 0.0, 0.0),
        photo=PhotoOptions(resize_short=160),
    )
    if not (out / "manifest.json").is_file():
        build_store(options, workers=1)
    store = Store.open(out)
    weights = shared / "weights" / "tf_efficientnet_b0.safetensors"
    wanted = ModelConfig(name="tf_efficientnet_b0", weights=weights)
    model = build_model(wanted, store.num_classes).eval()
    statistics = pretrained_statistics(model)
    pools = {"avg": lambda maps: maps.mean((2, 3)), "gem": GeM()}
    photos = len(store.split_rows("train"))
    crops = {name: torch.full((photos, CROPS, 1280), torch.nan) for name in pools}
    centers = {name: torch.empty((photos, 1280)) for name in pools}

    def features(images: Tensor) -> dict[str, Tensor]:
        maps = model.forward_features(normalise(images, *statistics))  # type: ignore[operator]
        return {name: pool(maps) for name, pool in pools.items()}

    loading = LoaderOptions(batch_size=16, image_size=SIDE, backend="cpu", threads=1)
    with torch.inference_mode():
        with open_loader(store, "train", loading) as loader:
            for crop in range(CROPS):
                for batch in loader.epoch(crop):
                    for name, values in features(batch.images).items():
                        crops[name][batch.rows, crop] = values
        with open_loader(store, "train", loading, train=False) as loader:
            for batch in loader.epoch():
                rows = batch.rows[: batch.valid]
                for name, values in features(batch.images).items():
                    centers[name][rows] = values[: len(rows)]
    for name in pools:  # a training epoch leaves out what does not fill its last batch
        missing = crops[name].isnan().any(2)
        crops[name][missing] = centers[name].unsqueeze(1).expand_as(crops[name])[missing]
    labels = store.samples(["label"])["label"].to_numpy().astype(np.int64)
    return {"labels": torch.from_numpy(labels), "crops": crops, "centers": centers}
