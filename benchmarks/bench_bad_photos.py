"""What bad photos cost: the loader on a store with 0.1% of its photos destroyed and on a clean one.

    python -m benchmarks.bench_bad_photos [--repetitions 7]

Interleaved in one process; each repetition is one epoch of either store. Writes
benchmarks/results/bad_photos.md. Target: at least 0.95 of the clean rate.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.environment import describe, repository
from glr_fast.data import LoaderOptions, Store, open_loader
from shard_tools.build.builder import build_store
from shard_tools.build.options import BuildOptions
from shard_tools.demo_photos import write_kaggle_dataset

RESULT = repository() / "benchmarks/results/bad_photos.md"
SHARE = 0.001


def make_stores(folder: Path, photos: int) -> tuple[Path, Path]:
    """A clean store and a copy in which every thousandth training photo is no JPEG any more."""
    write_kaggle_dataset(folder / "photos", classes=10, largest=photos // 10, smallest=photos // 10)
    clean, bad = folder / "clean", folder / "bad"
    build_store(BuildOptions(source=folder / "photos", out=clean), workers=2)
    shutil.copytree(clean, bad)
    rows = Store.open(bad).split_rows("train")
    chosen = np.random.default_rng(0).choice(rows, max(1, round(SHARE * len(rows))), replace=False)
    samples = Store.open(bad).samples(["shard", "offset"])
    for row in chosen.tolist():
        with open(bad / samples["shard"][row].as_py(), "r+b") as file:
            file.seek(samples["offset"][row].as_py())
            file.write(b"<html>")
    return clean, bad


def rate(store: Path, backend: str, epoch: int) -> float:
    """Photos per second over one epoch, opening included in neither."""
    with open_loader(
        store, "train", LoaderOptions(batch_size=64, backend=backend, threads=2)
    ) as loader:  # type: ignore[arg-type]
        next(loader.stream())
        started, photos = time.perf_counter(), 0
        for batch in loader.epoch(epoch):
            photos += len(batch.rows)
        return photos / (time.perf_counter() - started)


def main() -> None:
    """Build, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--photos", type=int, default=3000)
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # one line per bad photo and epoch
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        clean, bad = make_stores(Path(folder), options.photos)
        for backend in ("cpu", "dali"):
            pairs = [
                (rate(clean, backend, e), rate(bad, backend, e))
                for e in range(options.repetitions + 1)
            ][1:]
            ratios = sorted(b / a for a, b in pairs)
            clean_rate = statistics.median(a for a, _ in pairs)
            rows.append(
                f"| `{backend}` | {clean_rate:.0f} | {statistics.median(ratios):.3f} "
                f"| {ratios[0]:.3f} to {ratios[-1]:.3f} |"
            )
    table = "\n".join(rows)
    RESULT.write_text(
        f"""# What bad photos cost

Rate on a store with {SHARE:.1%} of its training photos destroyed over the rate on the clean store,
{options.repetitions} epochs of each, interleaved, 2 threads, 224 pixels. Target: 0.95.

| backend | clean, photos/s | bad over clean, median | range |
|---|---|---|---|
{table}

{describe()} Command: `python -m benchmarks.bench_bad_photos --repetitions {options.repetitions}
--photos {options.photos}`.
"""
    )
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
