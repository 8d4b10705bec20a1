"""Loaders opened in one line, and the slow exact reference in place of a decoder."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from glr_fast.data import Batch, Loader, LoaderOptions, Store, open_loader
from glr_fast.loader_options import BackendName
from tests.helpers.reference import ReferenceBackend

_OPTIONS = {field.name for field in fields(LoaderOptions)}


def opened(store: Store | Path | str, split: str, **given: Any) -> Loader:
    """``open_loader`` with the fields of its options among its arguments.

    ``backend="reference"`` decodes with Pillow, photo by photo.
    """
    exact = given.get("backend") == "reference"
    options = {name: given.pop(name) for name in list(given) if name in _OPTIONS}
    if exact:
        options["backend"] = "cpu"
    loader = open_loader(store, split, LoaderOptions(**options), **given)
    if exact:
        size = LoaderOptions(**options).image_size
        loader._backend.close()
        loader._backend = ReferenceBackend(loader._reader, size)
    return loader


FAST: tuple[BackendName, ...] = ("dali", "cpu")


def batches(store: Path, backend: str, split: str = "train", **options: object) -> list[Batch]:
    arguments: dict[str, object] = {"batch_size": 16, "image_size": 64, "threads": 2} | options
    with opened(store, split, backend=backend, **arguments) as loader:  # type: ignore[arg-type]
        return [*loader.epoch(0), *loader.epoch(1)]
