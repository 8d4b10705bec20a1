"""81,313 classes, whole: memory, step time, losses, saves, resume and evaluation on the CPU.

    python -m benchmarks.bench_classes store [--work DIR]     once, about a minute
    python -m benchmarks.bench_classes head                   losses, matrix products, optimiser
    python -m benchmarks.bench_classes train                  81,313 classes: steps, save, evaluate
    python -m benchmarks.bench_classes train --classes 1000   the same network with 1,000
    python -m benchmarks.bench_classes resume
    python -m benchmarks.bench_classes page

The store holds 220,000 generated photos of 32 x 32 pixels whose class counts have the shape of the
true ones (../shared/data/glr2020): what is measured is what depends on the number of classes. The
network is ResNet-50, whose head has 166 million weights. Each part runs in a process of its own and
leaves WORK/PART.json; ``page`` writes benchmarks/results/classes.md from those.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import resource
import shutil
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.classes_head import head
from benchmarks.classes_page import page
from benchmarks.environment import describe, repository

COUNTS = repository().parent / "shared" / "data" / "glr2020" / "class_counts.csv"
RESULT = Path("benchmarks/results/classes.md")
PHOTOS = 220_000
SIDE = 32
BATCH = 64
NETWORK = "resnet50"
FEW = 1000
"""Classes of the store that the large one is compared with."""
WARM_UP, STEPS = 3, 12
GIB = 2**30


def scaled_counts(counts: np.ndarray, photos: int) -> np.ndarray:
    """Counts in the shape of others that sum to about ``photos``, each at least 1.

    Args:
        counts: photos per class. Shape (classes,), int64.
        photos: the sum wanted.
    """
    low, high = 0.0, 1.0
    for _ in range(50):
        share = (low + high) / 2
        total = np.maximum(1, np.rint(counts * share)).sum()
        low, high = (share, high) if total < photos else (low, share)
    return np.maximum(1, np.rint(counts * low)).astype(np.int64)


def peak_gib() -> float:
    """Most memory that this process has held, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def build(work: Path) -> dict[str, Any]:
    """The generated photos as a zip in the layout of the competition, and the stores of it."""
    from shard_tools.build import BuildOptions, build_store

    with open(COUNTS) as file:
        rows = list(csv.DictReader(file))
    counts = scaled_counts(np.array([int(row["images"]) for row in rows]), PHOTOS)
    work.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    source = work / "photos.zip"
    write_zip(source, [row["landmark_id"] for row in rows], counts)
    found: dict[str, Any] = {
        "classes": len(counts),
        "photos": int(counts.sum()),
        "generate_s": time.perf_counter() - started,
    }
    for classes in (len(counts), FEW):
        out = work / f"store-{classes}"
        shutil.rmtree(out, ignore_errors=True)
        started = time.perf_counter()
        options = BuildOptions(
            source=source,
            out=out,
            duplicates="keep",
            top_classes=classes,
            splits=(0.95, 0.01, 0.04),
        )
        build_store(options, workers=2)
        found["build_few_s" if classes == FEW else "build_s"] = time.perf_counter() - started
    return found


def write_zip(file: Path, ids: list[str], counts: np.ndarray) -> None:
    """Write photos that differ by a few hundred pictures only: their content measures nothing."""
    from PIL import Image

    random = np.random.default_rng(0)
    pictures = []
    for _ in range(256):
        encoded = io.BytesIO()
        pixels = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 40)).save(encoded, "JPEG", quality=80)
        pictures.append(encoded.getvalue())
    table = io.StringIO()
    table.write("id,landmark_id\n")
    with zipfile.ZipFile(file, "w") as archive:
        number = 0
        for landmark, count in zip(ids, counts.tolist(), strict=True):
            for _ in range(count):
                key = f"{number:016x}"[::-1]
                name = f"train/{key[0]}/{key[1]}/{key[2]}/{key}.jpg"
                archive.writestr(name, pictures[number % len(pictures)])
                table.write(f"{key},{landmark}\n")
                number += 1
        archive.writestr("train.csv", table.getvalue())


def config(store: Path, out: Path, loss: str) -> Any:
    """A run of ResNet-50 on a generated store, without evaluations and saves of its own."""
    from glr_fast.config import RunConfig
    from glr_fast.recipes import RECIPES

    base = RECIPES[f"resnet50_{loss}"]()
    data = replace(base.data, store=store, batch_size=BATCH, image_size=SIDE, backend="cpu")
    return replace(
        base,
        data=data,
        model=replace(base.model, name=NETWORK, pretrained=False),
        run=RunConfig(log_every=10_000, save_every=0),
        out=out,
        tracker="none",
    )


def train(work: Path, classes: int, loss: str) -> dict[str, Any]:
    """Steps, then a save while training goes on, then an evaluation."""
    from glr_fast.checkpoint import newest_checkpoint, step_of
    from glr_fast.run_start import open_accelerator
    from glr_fast.trainer import Trainer

    out = work / f"run-{classes}"
    shutil.rmtree(out, ignore_errors=True)
    wanted = config(work / f"store-{classes}", out, loss)
    started = time.perf_counter()
    trainer = Trainer(wanted, open_accelerator(wanted))
    found: dict[str, Any] = {"start_s": time.perf_counter() - started, "classes": classes}
    batches = trainer.loader.stream()

    def step() -> float:
        batch = next(batches)
        begun = time.perf_counter()
        trainer.train_step(batch)
        return time.perf_counter() - begun

    found["steps_s"] = [step() for _ in range(WARM_UP + STEPS)][WARM_UP:]
    found["peak_training_gib"] = peak_gib()
    # The memory of the copy was got from the system since the first step, in the background.
    for name in ("first_save", "save"):
        begun = time.perf_counter()
        trainer.save()
        found[f"{name}_wait_s"] = time.perf_counter() - begun
        during = []
        while (there := newest_checkpoint(out)) is None or step_of(there) != trainer.saved:
            during.append(step())
        found[f"{name}_s"] = time.perf_counter() - begun
        found[f"steps_during_{name}_s"] = during
    found["peak_saving_gib"] = peak_gib()
    assert there is not None
    found["checkpoint_gb"] = sum(file.stat().st_size for file in there.iterdir()) / 1e9
    begun = time.perf_counter()
    trainer.evaluate()
    found["evaluate_s"] = time.perf_counter() - begun
    found["evaluated_photos"] = len(trainer.store.split_rows("val"))
    found["peak_gib"] = peak_gib()
    trainer.close()
    return found


def resume(work: Path, classes: int, loss: str) -> dict[str, Any]:
    """Continue from the newest checkpoint of ``train``: until the first step is done."""
    from glr_fast.run_start import open_accelerator
    from glr_fast.trainer import Trainer

    wanted = replace(config(work / f"store-{classes}", work / f"run-{classes}", loss), resume=True)
    started = time.perf_counter()
    trainer = Trainer(wanted, open_accelerator(wanted))
    loaded = time.perf_counter() - started
    step = trainer.step
    trainer.train_step(next(trainer.loader.stream(step)))
    found = {
        "load_s": loaded,
        "first_step_after_s": time.perf_counter() - started,
        "step": step,
        "peak_gib": peak_gib(),
    }
    trainer.close()
    return found


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=["store", "head", "train", "resume", "page"])
    parser.add_argument("--work", type=Path, default=Path("runs/classes"))
    parser.add_argument("--classes", type=int, default=81_313)
    parser.add_argument("--loss", default="ce")
    options = parser.parse_args()
    if options.part == "page":
        parts = {file.stem: json.loads(file.read_text()) for file in options.work.glob("*.json")}
        (repository() / RESULT).write_text(page(parts))
        print((repository() / RESULT).read_text())
        return
    if options.part == "store" and not COUNTS.is_file():
        sys.exit(f"{COUNTS}: not here; it holds the true class counts")
    found = {
        "store": lambda: build(options.work),
        "head": lambda: head(options.classes),
        "train": lambda: train(options.work, options.classes, options.loss),
        "resume": lambda: resume(options.work, options.classes, options.loss),
    }[options.part]()
    found["where"] = describe()
    name = (
        options.part if options.part in ("store", "head") else f"{options.part}-{options.classes}"
    )
    (options.work / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    from glr_fast.cpu_settings import apply_cpu_settings

    apply_cpu_settings()
    main()
