"""Memory of an evaluation on the CPU, with a head of 81,313 classes: flat, or growing by batch.

    python -m benchmarks.bench_evaluate_memory [--photos 4096] [--work DIR]

A generated model (resnet18, 32 pixels, 81,313 classes, random weights) and small generated photos.
Each way runs in a process of its own: ``predict`` as it is, and a copy of it that keeps the small
answers of each batch until the end, as it was once. Both under the default settings of the memory
allocator and under those that the commands make (glr_fast/cpu_settings.py). Writes
benchmarks/results/evaluate_memory.md, and fails if an evaluation takes more than 1.2 times the
model's own memory plus one batch.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.environment import describe, repository

RESULT = Path("benchmarks/results/evaluate_memory.md")
CLASSES = 81_313
SIDE = 32
BATCH = 64
MIB = 2**20
SETTINGS = {
    "default": {},
    "as the commands": {
        "MALLOC_TRIM_THRESHOLD_": "8000000000",
        "MALLOC_MMAP_THRESHOLD_": "8000000000",
    },
}
WAYS = {"arrays": "arrays made once (`predict`)", "parts": "small answers kept by batch (before)"}


def resident(key: str) -> float:
    """A line of /proc/self/status, in MiB: VmRSS, VmHWM or RssAnon."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024 / MIB


def generate(work: Path, photos: int) -> None:
    """A store of small photos, and a run whose model knows its classes among 81,313."""
    from glr_fast.checkpoint import CARD, save_best
    from glr_fast.checkpoint import CLASSES as CLASSES_FILE
    from glr_fast.model_card import ModelCard
    from shard_tools.build import BuildOptions, build_store
    from shard_tools.demo_photos import write_kaggle_dataset
    from shard_tools.store import Store

    each = photos // 8
    write_kaggle_dataset(work / "photos", classes=8, largest=each, smallest=each, size=(96, 72))
    options = BuildOptions(source=work / "photos", out=work / "store", duplicates="keep")
    build_store(options, workers=2)
    table = Store.open(work / "store").classes()
    others = [f"other-{i}" for i in range(CLASSES - len(table))]
    ids = table["landmark_id"].to_pylist() + others
    counts = {split: np.ones(CLASSES, np.int32) for split in ("train", "val", "test")}
    classes = pa.BufferOutputStream()
    named = {"label": np.arange(CLASSES, dtype=np.int32), "landmark_id": ids, "name": ids}
    pq.write_table(pa.table(named | counts), classes)
    card = ModelCard("resnet18", CLASSES, "linear", SIDE, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), 1.0)
    export = {CARD: card.to_json().encode(), CLASSES_FILE: classes.getvalue().to_pybytes()}
    save_best(work / "run", card.build(), export, {"step": 0})


def measure(work: Path, way: str) -> dict[str, Any]:
    """One evaluation: memory before the model, with it, after each batch, and the most."""
    from accelerate import Accelerator

    from glr_fast.data import LoaderOptions, open_loader
    from glr_fast.evaluation import predict
    from glr_fast.trained_model import load_model

    found: dict[str, Any] = {"before": resident("RssAnon"), "batches": []}
    accelerator = Accelerator(cpu=True)
    model = load_model(work / "run", device="cpu")
    found["loaded"] = resident("RssAnon")
    found["weights"] = sum(p.nbytes for p in model.module.state_dict().values()) / MIB
    note = found["batches"].append
    options = LoaderOptions(batch_size=BATCH, image_size=SIDE, backend="cpu")
    run = predict if way == "arrays" else predict_by_parts
    with open_loader(work / "store", "train", options, train=False) as loader:
        model.module.register_forward_hook(lambda *_: note(resident("RssAnon")))
        run(accelerator, model.module, loader, model.card)
    found["images"] = BATCH * 3 * SIDE**2 * 5 / MIB  # as bytes and as float32
    found["logits"] = BATCH * CLASSES * 4 / MIB
    return found


def predict_by_parts(accelerator: Any, model: Any, loader: Any, card: Any) -> None:
    """What ``predict`` did once: the answers of each batch stay as they come, among the logits."""
    import torch
    from torch.nn import functional as F

    from glr_fast.data import normalise

    del accelerator
    model.eval()
    parts = []
    with torch.inference_mode():
        for batch in loader.epoch():
            logits = model(normalise(batch.images, card.mean, card.std)).float() * card.logit_scale
            losses = F.cross_entropy(logits, batch.labels, reduction="none")
            parts.append((batch.labels, *logits.softmax(1).topk(5, dim=1), losses))
    for column in zip(*parts, strict=True):
        torch.cat(column)


def run(work: Path, way: str, settings: dict[str, str]) -> dict[str, Any]:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bench_evaluate_memory", "--work", str(work)]
    plain = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    done = subprocess.run(
        [*command, "--way", way],
        check=True,
        capture_output=True,
        text=True,
        cwd=repository(),
        env=plain | settings,
    )
    return json.loads(done.stdout.splitlines()[-1])


def growth(found: dict[str, Any]) -> float:
    """MiB a batch, from a line through the second half of the batches."""
    values = found["batches"][len(found["batches"]) // 2 :]
    return float(np.polyfit(np.arange(len(values)), values, 1)[0])


def allowed(found: dict[str, Any]) -> float:
    """Most that the process may hold beyond what it held before the model, in MiB.

    One batch is its images and its logits three times: as the model gives them, and what softmax
    and cross-entropy need beside them.
    """
    return 1.2 * found["weights"] + found["images"] + 3 * found["logits"]


def report(photos: int, results: dict[tuple[str, str], dict[str, Any]]) -> str:
    """The page of results."""
    rows = []
    for (way, setting), found in results.items():
        most = max(found["batches"]) - found["before"]
        rows.append(
            f"| {WAYS[way]} | {setting} | {found['weights']:.0f} | {allowed(found):.0f} | "
            f"**{most:.0f}** | {growth(found):+.2f} |"
        )
    batches = len(next(iter(results.values()))["batches"])
    return f"""# Memory of an evaluation

resnet18 at {SIDE} pixels with a head of {CLASSES:,} classes, random weights, on the CPU;
{batches} batches of {BATCH} generated photos ({photos:,} in the store). Anonymous memory of the
process (RssAnon: without the mapped shards and libraries) beyond what it held before the model was
loaded, measured at every batch. Allowed: 1.2 times the weights, and one batch (images, and three
arrays of {BATCH} x {CLASSES:,} float32). MiB.

| the answers | malloc settings | weights | allowed | most held | growth per batch |
|---|---|---|---|---|---|
{chr(10).join(rows)}

The commands let malloc keep freed memory in the process: there the small answers of a batch that
stay split the space of its logits.

{describe()}

Written by `python -m benchmarks.bench_evaluate_memory`.
"""


def main() -> None:
    """Generate, measure each way, write, check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=int, default=4096)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--way", choices=WAYS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.work, options.way)))
        return
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        generate(work, options.photos)
        cases = [(way, setting) for way in WAYS for setting in SETTINGS]
        results = {case: run(work, case[0], SETTINGS[case[1]]) for case in cases}
    (repository() / RESULT).write_text(report(options.photos, results))
    print((repository() / RESULT).read_text())
    for (way, setting), found in results.items():
        most = max(found["batches"]) - found["before"]
        if way == "arrays" and most > allowed(found):
            sys.exit(f"{setting}: {most:.0f} MiB, allowed are {allowed(found):.0f} MiB")


if __name__ == "__main__":
    main()
