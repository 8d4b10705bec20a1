"""What packing at a short side of 256 pixels costs in accuracy, and what it saves.

    python -m benchmarks.bench_packing [--seeds 0 1 2] [--epochs 6] [--work DIR]

Builds two stores of ../shared/data/landmarks13, one of the photos' own bytes, one with
``--resize-short 256``; both have the same splits. EfficientNet-B0 is fine-tuned at 224 pixels on
each, from the same weights and with the same seeds, and evaluated on the validation and test photos
of the store that it was trained on. The pair of a seed is run one after the other, and the order
changes from seed to seed. A finished run is a row of WORK/runs.csv: started again, the benchmark
goes on where it was stopped. Writes benchmarks/results/packing.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from benchmarks.environment import describe, repository
from benchmarks.kept_rows import add_row, read_rows
from benchmarks.samples import Spread, table

SHARED = repository().parent / "shared"
RESULT = Path("benchmarks/results/packing.md")
PACKINGS = {"original": "", "short256": "--resize-short 256"}
TITLES = {"original": "the photos' own bytes", "short256": "short side 256"}
TRAINED = (
    "--recipe efficientnet_b0_ce --model.name tf_efficientnet_b0 --model.weights {weights} "
    "--model.fix-batch-norm --data.image-size 224 --data.batch-size 32 --optim.lr 0.002 "
    "--run.eval-every 0 --run.save-every 0 --tracker none"
)


@dataclass(frozen=True)
class Row:
    """A finished run. Shares in 0..1, of the validation and the test photos together."""

    packing: str
    seed: int
    accuracy: float
    macro_f1: float
    seconds: float
    """Of the whole training command."""


def call(words: list[str]) -> None:
    """Run one of the commands with this checkout's code; its output is shown if it fails."""
    paths = os.environ | {"PYTHONPATH": str(repository())}
    done = subprocess.run(words, cwd=repository(), env=paths, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")


def build(packing: str, out: Path) -> None:
    """The store of a packing; nothing if it is there."""
    if not (out / "manifest.json").is_file():
        source = str(SHARED / "data" / "landmarks13")
        command = [sys.executable, "-m", "shard_tools.cli", "build", "--source", source]
        call([*command, "--out", str(out), *PACKINGS[packing].split()])


def splits(store: Path) -> dict[str, str]:
    """The split of every photo, by its path in the source."""
    from shard_tools.store import Store

    columns = Store.open(store).samples(["path", "split"]).to_pydict()
    return dict(zip(columns["path"], columns["split"], strict=True))


def run(packing: str, seed: int, store: Path, epochs: int, work: Path) -> Row:
    """Train and evaluate once; the run folder is deleted."""
    out = work / "run"
    shutil.rmtree(out, ignore_errors=True)
    flags = TRAINED.format(weights=SHARED / "weights" / "tf_efficientnet_b0.safetensors").split()
    more = ["--data.store", str(store), "--out", str(out), "--seed", str(seed)]
    train = [sys.executable, "launch/train.py", *flags, *more, "--optim.epochs", str(epochs)]
    started = time.perf_counter()
    call(train)
    seconds = time.perf_counter() - started
    evaluate = [sys.executable, "launch/evaluate.py", "--run", str(out), "--store", str(store)]
    call([*evaluate, "--split", "val,test", "--no-report"])
    found = json.loads((out / "eval-val-test" / "metrics.json").read_text())
    shutil.rmtree(out)
    return Row(packing, seed, found["accuracy"], found["macro_f1"], round(seconds, 1))


def rows_of(file: Path) -> list[Row]:
    """The finished runs."""
    return read_rows(
        file,
        lambda raw: Row(
            raw["packing"],
            int(raw["seed"]),
            float(raw["accuracy"]),
            float(raw["macro_f1"]),
            float(raw["seconds"]),
        ),
    )


def page(rows: list[Row], sizes: dict[str, int], photos: int, epochs: int) -> str:
    """The page of the pairs that are whole."""
    by = {(row.packing, row.seed): row for row in rows}
    seeds = sorted({row.seed for row in rows if all((p, row.seed) in by for p in PACKINGS)})
    body = []
    for packing in PACKINGS:
        own = [by[packing, seed] for seed in seeds]
        body.append(
            [
                TITLES[packing],
                f"{sizes[packing] / photos / 1000:.0f} kB",
                f"{mean(row.accuracy for row in own):.2%}",
                f"{mean(row.macro_f1 for row in own):.3f}",
                f"{mean(row.seconds for row in own):.0f} s",
            ]
        )
    pairs = [(by["short256", seed], by["original", seed]) for seed in seeds]
    points = Spread.of([100 * (small.accuracy - whole.accuracy) for small, whole in pairs])
    f1 = Spread.of([small.macro_f1 - whole.macro_f1 for small, whole in pairs])
    ratio = Spread.of([small.seconds / whole.seconds for small, whole in pairs])
    header = ["packed", "a photo", "accuracy", "macro F1", "training command"]
    return f"""# What packing at a short side of 256 costs

The {photos} photos of landmarks13, packed twice with the same splits. EfficientNet-B0 (ImageNet
weights, cross-entropy, {epochs} epochs at 224 pixels) is fine-tuned on each store with the seeds
{", ".join(map(str, seeds))} and evaluated on the validation and test photos of the same store.

{table(header, body)}

Short side 256 over the photos' own bytes, in pairs of one seed (median, least to most):
accuracy {points.text(1)} percentage points, macro F1 {f1.text(3)}, time of the whole training
command {ratio.text(2)}. On two cores without a GPU nearly all of that time is the network's; how
much faster the loader alone is says loader_cpu.md. One photo more or less is 0.7 points here: a
difference of a point or two between the two packings cannot be told from chance.

{describe()}

```
python -m benchmarks.bench_packing
```
"""


def main() -> None:
    """Build the stores, run what is missing, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--work", type=Path, default=Path("runs/packing"))
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"{SHARED}: not here; it holds the photos and the weights")
    work = (repository() / options.work).resolve()
    work.mkdir(parents=True, exist_ok=True)
    stores = {packing: work / packing for packing in PACKINGS}
    for packing, store in stores.items():
        build(packing, store)
    if splits(stores["original"]) != splits(stores["short256"]):
        sys.exit("the two stores have different splits: their accuracies cannot be compared")
    file = work / "runs.csv"
    for place, seed in enumerate(options.seeds):
        for packing in list(PACKINGS)[:: -1 if place % 2 else 1]:
            if not any((row.packing, row.seed) == (packing, seed) for row in rows_of(file)):
                row = run(packing, seed, stores[packing], options.epochs, work)
                add_row(file, row)
                print(row, flush=True)
    sizes = {name: sum(f.stat().st_size for f in s.rglob("*.tar")) for name, s in stores.items()}
    photos = len(splits(stores["original"]))
    text = page(rows_of(file), sizes, photos, options.epochs)
    (repository() / options.result).write_text(text)
    print(text)


if __name__ == "__main__":
    main()
