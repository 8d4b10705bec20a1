"""Models made in the test: small, untrained, but with opinions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from glr_fast.checkpoint import save_best
from glr_fast.data import LoaderOptions, Store, normalise, open_loader
from glr_fast.heads import classifier
from glr_fast.model_card import ModelCard

SIDE = 64
_MEAN, _STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


def run_for(store: Path, folder: Path) -> Path:
    """A run folder with ``best/`` that knows the classes of a store.

    Its weights are random; its head is stretched until its answers differ from photo to photo.
    """
    torch.manual_seed(0)
    count = Store.open(store).num_classes
    card = ModelCard("resnet18", count, "linear", SIDE, _MEAN, _STD, 1.0)
    model = card.build().eval()
    head: Any = classifier(model)
    torch.nn.init.normal_(head.weight)
    options = LoaderOptions(batch_size=16, image_size=SIDE, backend="cpu", threads=1)
    with torch.inference_mode(), open_loader(store, "train", options, train=False) as loader:
        logits = torch.cat([model(normalise(b.images, _MEAN, _STD)) for b in loader.epoch()])
    stretch = 2 / logits.std(dim=0)
    with torch.no_grad():
        head.weight *= stretch[:, None]
        head.bias.copy_(-logits.mean(dim=0) * stretch)
    classes = (store / "classes.parquet").read_bytes()
    save_best(
        folder, model, {"model.json": card.to_json().encode(), "classes.parquet": classes}, {}
    )
    return folder
