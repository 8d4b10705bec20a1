"""Tiny photos and sources, made in the test."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shard_tools.build.builder import build_store
from shard_tools.build.options import BuildOptions
from shard_tools.photos.prepare import PhotoOptions


def picture(width: int = 48, height: int = 32, seed: int = 0) -> Image.Image:
    """A smooth colour picture that is different for every seed."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 6, 3), np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def scene(width: int = 200, height: int = 150, seed: int = 0) -> Image.Image:
    """A grey picture with coarse and fine detail, as photos have it; different for every seed."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width))
    for side in (3, 6, 12, 24, 48):
        layer = Image.fromarray(rng.normal(size=(side, side)).astype(np.float32))
        total += np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC)) / side**0.5
    low, high = total.min(), total.max()
    return Image.fromarray(((total - low) / (high - low) * 255).astype(np.uint8)).convert("RGB")


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def jpeg(seed: int = 0, width: int = 48, height: int = 32) -> bytes:
    return encoded(picture(width, height, seed), quality=90)


def pixels(data: bytes) -> np.ndarray:
    """RGB pixels as Pillow decodes them. Shape (height, width, 3), int16."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).astype(np.int16)


def kaggle(root: Path, sizes: Mapping[str, int]) -> dict[str, str]:
    """A Kaggle source; ``sizes`` gives photos per landmark id. Returns id -> landmark id."""
    labels = {}
    for number, landmark in enumerate(mark for mark, size in sizes.items() for _ in range(size)):
        name = f"{number * 7919 % 65536:04x}{number:012x}"
        labels[name] = landmark
        add_photo(root, name, jpeg(number))
    write_labels(root, labels)
    return labels


def add_photo(root: Path, name: str, data: bytes) -> Path:
    path = root / "train" / name[0] / name[1] / name[2] / f"{name}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def write_labels(root: Path, labels: Mapping[str, str]) -> None:
    lines = [f"{name},{landmark}" for name, landmark in labels.items()]
    (root / "train.csv").write_text("\n".join(["id,landmark_id", *lines]) + "\n")


def built(source: Path, out: Path, workers: int = 1, **options: Any) -> Path:
    """Build a store quietly; ``resize_short`` and ``quality`` go to the photo options."""
    photo = {key: options.pop(key) for key in ("resize_short", "quality") if key in options}
    build = BuildOptions(source=source, out=out, photo=PhotoOptions(**photo), **options)
    build_store(build, workers=workers, progress=False)
    return out


def exif(orientation: int) -> bytes:
    from PIL import Image

    tags = Image.Exif()
    tags[0x112] = orientation
    return tags.tobytes()
