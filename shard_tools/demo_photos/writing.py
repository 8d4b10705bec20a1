"""Writes generated photos: a data set with labels, and an album without."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from shard_tools.demo_photos.drawing import Landmark, take_photo


def long_tail(classes: int, largest: int, smallest: int) -> list[int]:
    """Photos per class, falling exponentially from ``largest`` to ``smallest``."""
    ratio = smallest / largest
    return [round(largest * ratio ** (k / max(classes - 1, 1))) for k in range(classes)]


def write_kaggle_dataset(
    dest: Path,
    classes: int = 20,
    largest: int = 90,
    smallest: int = 10,
    seed: int = 0,
    size: tuple[int, int] = (320, 240),
) -> int:
    """Write ``train.csv`` and ``train/a/b/c/<id>.jpg``. The same arguments give the same bytes.

    Args:
        dest: folder to make or fill.
        classes: landmarks.
        largest: photos of the most photographed one.
        smallest: photos of the least photographed one.
        seed: of buildings and photos.
        size: (width, height) in pixels; every third photo is upright instead.

    Returns:
        Photos written.
    """
    rows: list[tuple[str, int]] = []
    for landmark, key, photo in _photos(classes, largest, smallest, seed, size):
        path = dest / "train" / key[0] / key[1] / key[2] / f"{key}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo.save(path, quality=88)
        rows.append((key, landmark))
    with open(dest / "train.csv", "w", newline="") as file:
        csv.writer(file).writerows([("id", "landmark_id"), *sorted(rows)])
    return len(rows)


def write_class_folders(
    dest: Path,
    classes: int = 20,
    largest: int = 90,
    smallest: int = 10,
    seed: int = 0,
    size: tuple[int, int] = (320, 240),
) -> int:
    """Write the photos of :func:`write_kaggle_dataset` as one folder per landmark.

    The folders are called ``landmark-1000`` and so on.
    """
    written = 0
    for landmark, key, photo in _photos(classes, largest, smallest, seed, size):
        path = dest / f"landmark-{landmark}" / f"{key}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo.save(path, quality=88)
        written += 1
    return written


def _photos(
    classes: int, largest: int, smallest: int, seed: int, size: tuple[int, int]
) -> Iterator[tuple[int, str, Image.Image]]:
    """Landmark id, name of the file, photo."""
    counts = long_tail(classes, largest, smallest)
    with tqdm(total=sum(counts), desc="photos", unit="photo", disable=None) as progress:
        for index, count in enumerate(counts):
            landmark = Landmark.of_class(index, seed)
            for number in range(count):
                rng = np.random.default_rng([seed, index, number])
                photo = take_photo(landmark, rng, (size[1], size[0]) if number % 3 == 2 else size)
                key = hashlib.sha256(f"{seed}/{index}/{number}".encode()).hexdigest()[:16]
                yield 1000 + 37 * index, key, photo
                progress.update()


def write_album(
    dest: Path, classes: int = 20, each: int = 6, seed: int = 0, size: tuple[int, int] = (320, 240)
) -> int:
    """Write photos of the same landmarks that :func:`write_kaggle_dataset` never writes.

    They are what a visitor brings home: files ``IMG_0001.jpg`` and so on, mixed, without labels,
    and among them ``each`` photos of buildings that are none of the landmarks.

    Args:
        dest: folder to make or fill.
        classes: landmarks.
        each: photos of each landmark.
        seed: that of the data set.
        size: (width, height) in pixels.

    Returns:
        Photos written.
    """
    strangers = [(classes + number, 0) for number in range(each)]
    known = [(index, number) for index in range(classes) for number in range(each)]
    taken = np.random.default_rng(seed).permutation([*known, *strangers])
    dest.mkdir(parents=True, exist_ok=True)
    for place, (index, number) in enumerate(taken, start=1):
        # A fourth number in the seed: no photo of a data set is drawn from such a one.
        rng = np.random.default_rng([seed, index, number, 1])
        photo = take_photo(Landmark.of_class(int(index), seed), rng, size)
        photo.save(dest / f"IMG_{place:04d}.jpg", quality=88)
    return len(taken)
