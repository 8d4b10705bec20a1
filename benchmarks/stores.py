"""The stores that loaders are measured on: some two thousand photos, all of them for training."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args

from benchmarks.environment import repository
from shard_tools.demo_photos import write_kaggle_dataset

Kind = Literal["original", "short256"]
KINDS: tuple[Kind, ...] = get_args(Kind)

#: Times that the 512 photos of landmarks13 come, under other ids.
COPIES = 4
#: Photos in a shard: several shards for each worker process.
SHARD = 256


def source_photos(work: Path, small: bool = False) -> tuple[Path, str]:
    """Photos in the layout of the Kaggle competition.

    Args:
        work: where they are put.
        small: a few generated ones, to see that everything runs.

    Returns:
        The folder, and what the photos are in words.
    """
    landmarks = repository().parent / "shared/data/landmarks13"
    if small or not landmarks.is_dir():
        dest, largest = work / ("few" if small else "generated"), 40 if small else 240
        if not (dest / "train.csv").exists():
            write_kaggle_dataset(dest, 16, largest, largest // 2, seed=1, size=(800, 600))
        return dest, "generated photos of 800 x 600 pixels (shard_tools/demo_photos)"
    dest = work / "landmarks13"
    if not (dest / "train.csv").exists():
        _copy(landmarks, dest)
    return dest, f"the 512 real photos of landmarks13, {COPIES} times under different ids"


def open_store(kind: Kind, photos: Path, work: Path, shard: int = SHARD) -> Path:
    """A store of those photos: with their own bytes, or shrunk to a shorter side of 256.

    Args:
        kind: which of the two.
        photos: in the layout of the Kaggle competition.
        work: where the store is put.
        shard: photos in a shard.
    """
    out = work / f"store-{photos.name}-{kind}"
    if not (out / "manifest.json").exists():
        size = ["--resize-short", "256"] if kind == "short256" else ["--keep-original"]
        command = ["build", "--source", str(photos), "--out", str(out), *size]
        more = ["--splits", "1,0,0", "--shard-size", str(shard)]
        subprocess.run([sys.executable, "-m", "shard_tools.cli", *command, *more], check=True)
    return out


def _copy(landmarks: Path, dest: Path) -> None:
    rows = []
    with open(landmarks / "train.csv", newline="") as file:
        for row in csv.DictReader(file):
            key = row["id"]
            folder = Path("train", key[0], key[1], key[2])
            (dest / folder).mkdir(parents=True, exist_ok=True)
            for number in range(COPIES):
                name = f"{key}x{number}"
                _link(landmarks / folder / f"{key}.jpg", dest / folder / f"{name}.jpg")
                rows.append((name, row["landmark_id"]))
    with open(dest / "train.csv", "w", newline="") as file:
        csv.writer(file).writerows([("id", "landmark_id"), *sorted(rows)])


def _link(source: Path, dest: Path) -> None:
    dest.unlink(missing_ok=True)
    try:
        os.link(source, dest)
    except OSError:
        shutil.copy(source, dest)
