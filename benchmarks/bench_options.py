"""What the training options do to accuracy and time: moving average, mixup, CutMix, growing crops.

    python -m benchmarks.bench_options [--seeds 0 1 2] [--epochs 12] [--work DIR]

Fine-tunes EfficientNet-B0 on the photos of ../shared/data/landmarks13 with one option at a time and
the same seeds, and evaluates on the validation and test photos. The cases of a seed run one after
the other, in an order that changes from seed to seed. A finished run is a row of WORK/runs.csv:
started again, the benchmark goes on where it was stopped. Writes benchmarks/results/options.md.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from benchmarks.environment import describe, repository
from benchmarks.kept_rows import add_row, read_rows
from benchmarks.long_tail_data import base_store
from benchmarks.samples import Spread, table
from glr_fast.cpu_settings import apply_cpu_settings

if TYPE_CHECKING:
    from glr_fast.config import Config

SHARED = repository().parent / "shared"
RESULT = Path("benchmarks/results/options.md")
SIDE, START = 112, 48
BATCH = 16
LR = 0.004
TITLES = {
    "plain": "none",
    "ema": "`--optim.ema 0.98`",
    "mixup": "`--mix.mixup 0.2`",
    "cutmix": "`--mix.cutmix 1.0`",
    "growing": f"`--data.start-image-size {START}`",
}


@dataclass(frozen=True)
class Row:
    """A finished run. Shares in 0..1, of the validation and the test photos together."""

    case: str
    seed: int
    accuracy: float
    macro_f1: float
    seconds: float
    """Of the training, from the start of the run to its last checkpoint."""


def changed(config: Config, case: str) -> Config:
    """A run with the option of a case."""
    from glr_fast.config import MixConfig

    changes: Mapping[str, Callable[[], Config]] = {
        "plain": lambda: config,
        "ema": lambda: replace(config, optim=replace(config.optim, ema=0.98)),
        "mixup": lambda: replace(config, mix=MixConfig(mixup=0.2)),
        "cutmix": lambda: replace(config, mix=MixConfig(cutmix=1.0)),
        "growing": lambda: replace(config, data=replace(config.data, start_image_size=START)),
    }
    return changes[case]()


def run(case: str, seed: int, store: Path, epochs: int, work: Path) -> Row:
    """Train and evaluate once; the run folder is deleted."""
    import numpy as np
    from accelerate import Accelerator

    from glr_fast.config import RunConfig
    from glr_fast.data import LoaderOptions, open_loader
    from glr_fast.evaluation import predict
    from glr_fast.metrics import per_class
    from glr_fast.recipes import RECIPES
    from glr_fast.trained_model import load_model
    from glr_fast.trainer import train

    base = RECIPES["efficientnet_b0_ce"]()
    data = replace(
        base.data, store=store, batch_size=BATCH, image_size=SIDE, threads=1, backend="cpu"
    )
    weights = SHARED / "weights" / "tf_efficientnet_b0.safetensors"
    config = replace(
        base,
        data=data,
        model=replace(base.model, name="tf_efficientnet_b0", weights=weights, fix_batch_norm=True),
        optim=replace(base.optim, epochs=epochs, lr=LR),
        run=RunConfig(log_every=10_000, eval_every=0, save_every=0, keep=1),
        out=work / "run",
        seed=seed,
        tracker="none",
    )
    shutil.rmtree(config.out, ignore_errors=True)
    started = time.perf_counter()
    train(changed(config, case))
    seconds = time.perf_counter() - started
    model = load_model(config.out, "last", "cpu")
    labels, answers = [], []
    for split in ("val", "test"):
        options = LoaderOptions(batch_size=64, image_size=SIDE, backend="cpu", threads=2)
        with open_loader(store, split, options, train=False) as loader:
            found = predict(Accelerator(), model.module, loader, model.card)
        labels.append(found.labels)
        answers.append(found.top[:, 0])
    shutil.rmtree(config.out)
    true, said = np.concatenate(labels), np.concatenate(answers)
    f1 = per_class(true, said, np.zeros(int(true.max()) + 1, np.int64))["f1"].to_numpy().mean()
    accuracy = float((true == said).mean())
    return Row(case, seed, round(accuracy, 5), round(float(f1), 5), round(seconds, 1))


def rows_of(file: Path) -> list[Row]:
    """The finished runs."""
    return read_rows(
        file,
        lambda raw: Row(
            raw["case"],
            int(raw["seed"]),
            float(raw["accuracy"]),
            float(raw["macro_f1"]),
            float(raw["seconds"]),
        ),
    )


def page(rows: Sequence[Row], epochs: int, photos: int, where: str) -> str:
    """The page of the seeds that all cases have.

    Args:
        rows: the finished runs.
        epochs: of each run.
        photos: that each run trains on, all epochs together.
        where: machine and commit.
    """
    by = {(row.case, row.seed): row for row in rows}
    seeds = sorted({row.seed for row in rows if all((c, row.seed) in by for c in TITLES)})
    body = []
    for case, title in TITLES.items():
        pairs = [(by[case, seed], by["plain", seed]) for seed in seeds]
        points = Spread.of([100 * (own.accuracy - plain.accuracy) for own, plain in pairs])
        ratio = Spread.of([plain.seconds / own.seconds for own, plain in pairs])
        body.append(
            [
                title,
                f"{mean(own.accuracy for own, _ in pairs):.2%}",
                f"{mean(own.macro_f1 for own, _ in pairs):.3f}",
                "" if case == "plain" else points.text(1),
                f"{mean(own.seconds for own, _ in pairs):.0f} s",
                f"{mean(photos / own.seconds for own, _ in pairs):.0f}",
                "" if case == "plain" else ratio.text(2),
            ]
        )
    gains = ["points over none", "training", "images/s", "of none"]
    return f"""# Options of the training

EfficientNet-B0 (ImageNet weights, cross-entropy with label smoothing, batches of {BATCH}, {epochs}
epochs) fine-tuned on the 512 photos of landmarks13 at {SIDE} pixels, packed at a short side of
128; one option at a time, seeds {", ".join(map(str, seeds))}. Accuracy and macro F1 of the
validation and test photos together, means over the seeds; points and ratios of images/s in pairs
of one seed (median, least to most). The time is that of a whole run, its start included.

{table(["option", "accuracy", "macro F1", *gains], body)}

A photo more or less is 0.7 points: differences of a point or two cannot be told from chance.
The table says what an option costs, and what it does to a short fine-tuning of few photos; it says
nothing of long trainings.

{where}

```
python -m benchmarks.bench_options
```
"""


def main() -> None:
    """Build the store, run what is missing, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--work", type=Path, default=Path("runs/options"))
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    from glr_fast.data import Store

    if not SHARED.is_dir():
        sys.exit(f"{SHARED}: not here; it holds the photos and the weights")
    options.work.mkdir(parents=True, exist_ok=True)
    store = base_store((SHARED / "data" / "landmarks13").resolve(), options.work / "store")
    file = options.work / "runs.csv"
    done = {(row.case, row.seed) for row in rows_of(file)}
    for place, seed in enumerate(options.seeds):
        for case in list(TITLES)[:: -1 if place % 2 else 1]:
            if (case, seed) not in done:
                row = run(case, seed, store, options.epochs, options.work)
                add_row(file, row)
                print(row, flush=True)
    steps = len(Store.open(store).split_rows("train")) // BATCH
    text = page(rows_of(file), options.epochs, options.epochs * steps * BATCH, describe())
    (repository() / options.result).write_text(text)
    print(text)


if __name__ == "__main__":
    apply_cpu_settings()
    main()
