"""The same photos as every kind of source."""

from __future__ import annotations

import csv
import io
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path


def zipped(folder: Path, file: Path, prefix: str = "", method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip of a folder, directories included."""
    with zipfile.ZipFile(file, "w", method) as out:
        for path in sorted(folder.rglob("*")):
            out.write(path, prefix + str(path.relative_to(folder)))
    return file


def tars(kaggle: Path, dest: Path, count: int = 3, kind: int = tarfile.USTAR_FORMAT) -> Path:
    """The photos of a Kaggle folder as GLDv2 tars, with ``train.csv`` as GLDv2 has it."""
    dest.mkdir(parents=True, exist_ok=True)
    photos = sorted((kaggle / "train").rglob("*.jpg"))
    for number in range(count):
        with tarfile.open(dest / f"images_{number:03d}.tar", "w", format=kind) as tar:
            tar.add(kaggle / "train" / "0", "0", recursive=False)
            for path in photos[number::count]:
                tar.add(path, str(path.relative_to(kaggle / "train")))
    with open(kaggle / "train.csv") as file:
        rows = [(row["id"], row["landmark_id"]) for row in csv.DictReader(file)]
    urls = [(name, f'http://x/"{name}",', landmark) for name, landmark in rows]
    write_csv(dest / "train.csv", "id,url,landmark_id", urls)
    return dest


def clean(dest: Path, labels: dict[str, str]) -> None:
    """``train_clean.csv``: a row per class."""
    marks = dict.fromkeys(labels.values())
    images = [(mark, " ".join(i for i, m in labels.items() if m == mark)) for mark in marks]
    write_csv(dest / "train_clean.csv", "landmark_id,images", images)


def write_csv(path: Path, header: str, rows: Iterable[Iterable[str]]) -> Path:
    text = io.StringIO()
    csv.writer(text).writerows([header.split(","), *rows])
    path.write_text(text.getvalue())
    return path
