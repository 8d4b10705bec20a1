"""Losses and sampling policies on long-tailed photos: what helps rare classes, and at what price.

    python -m benchmarks.bench_long_tail [--ratios 50 10] [--seeds 0 1 2] [--epochs 8] [--work DIR]

Thins the training photos of ../shared/data/landmarks13 to the given imbalance ratios
(benchmarks/long_tail_data.py has the rule), fine-tunes EfficientNet-B0 with every loss and policy,
and writes benchmarks/results/long_tail.md and long_tail.csv. Each finished run is a row of
WORK/runs.csv: started again, it goes on where it was stopped. The constant C of the LDAM losses is
the one with the best mean validation macro F1 over the seeds.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np

from benchmarks.environment import describe, repository
from benchmarks.kept_rows import add_row, read_rows
from benchmarks.long_tail_data import base_store, rarest, thinned_store
from benchmarks.long_tail_page import page
from glr_fast.cpu_settings import apply_cpu_settings

SHARED = repository().parent / "shared"
RESULT = Path("benchmarks/results/long_tail.md")
SIDE = 80
BATCH = 16
LR = 0.004

#: Largest margins (of the rarest class) that are tried, by loss, the published one first; they set
#: the constant C.
MARGINS: dict[str, tuple[float, ...]] = {"ldam": (0.5, 1.5), "ldam_drw": (0.5, 0.2)}
LOSSES = ("ce", "ldam_drw", "logit_adjustment", "ldam")
#: Tried at the first ratio only.
ONCE = "arcface"


@dataclass(frozen=True)
class Point:
    """One run: what is trained on what."""

    ratio: float
    loss: str
    """A recipe's name without the network."""
    policy: str
    """``natural`` or ``balanced``: from the last fifth of the epochs on."""
    margin: float | None
    seed: int


SHARES = (
    "val_accuracy",
    "val_macro_f1",
    "accuracy",
    "macro_f1",
    "few_recall",
    "many_recall",
)
"""Fields of a ``Result``, in their order there."""


@dataclass(frozen=True)
class Result:
    """A row of runs.csv: a point and what came of it. Shares in 0..1."""

    ratio: float
    loss: str
    policy: str
    margin: float | None
    seed: int
    val_accuracy: float
    val_macro_f1: float
    accuracy: float
    macro_f1: float
    few_recall: float
    """Mean recall of the four classes with the fewest training photos."""
    many_recall: float
    """Mean recall of the other classes."""
    seconds: float

    @classmethod
    def of(cls, point: Point, shares: Mapping[str, float], seconds: float) -> Result:
        """A point and what came of it."""
        return cls(
            point.ratio,
            point.loss,
            point.policy,
            point.margin,
            point.seed,
            *(round(shares[name], 5) for name in SHARES),
            seconds=round(seconds, 1),
        )

    @property
    def point(self) -> Point:
        """What was run."""
        return Point(self.ratio, self.loss, self.policy, self.margin, self.seed)


class Runs:
    """The finished runs, in a file that grows by a row each."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.results: list[Result] = read_rows(file, _parsed)

    def result(self, point: Point) -> Result | None:
        """What came of a point, or None if it was not run yet."""
        return next((result for result in self.results if result.point == point), None)

    def add(self, result: Result) -> None:
        """Write a row down."""
        add_row(self.file, result)
        self.results.append(result)

    def best_margin(self, ratio: float, loss: str) -> float | None:
        """The margin with the best mean validation macro F1; None for losses without one."""
        scores: dict[float, list[float]] = {}
        for row in self.results:
            if (row.ratio, row.loss, row.policy) == (ratio, loss, "natural") and row.margin:
                scores.setdefault(row.margin, []).append(row.val_macro_f1)
        return max(scores, key=lambda margin: mean(scores[margin])) if scores else None


def _parsed(row: Mapping[str, str]) -> Result:
    margin = float(row["margin"]) if row["margin"] else None
    point = Point(float(row["ratio"]), row["loss"], row["policy"], margin, int(row["seed"]))
    return Result.of(point, {name: float(row[name]) for name in SHARES}, float(row["seconds"]))


def points(ratios: list[float], seeds: list[int], runs: Runs) -> Iterator[Point]:
    """All points, those first that say the most; later ones may depend on earlier results."""
    for ratio in ratios:
        cases = [(loss, "natural", MARGINS.get(loss, (None,))[0]) for loss in LOSSES]
        for loss, policy, margin in (*cases, ("ce", "balanced", None)):
            for seed in seeds:
                yield Point(ratio, loss, policy, margin, seed)
    yield from (Point(ratios[0], ONCE, "natural", None, seed) for seed in seeds)
    for ratio in ratios:
        for loss, margins in MARGINS.items():
            for margin in margins[1:]:
                yield from (Point(ratio, loss, "natural", margin, seed) for seed in seeds)
        # Not logit adjustment: it would correct a second time what the sampling has corrected.
        for loss in MARGINS:
            best = runs.best_margin(ratio, loss)
            yield from (Point(ratio, loss, "balanced", best, seed) for seed in seeds)


def run(point: Point, store: Path, epochs: int, work: Path) -> Result:
    """Train and evaluate one point; its run folder is deleted."""
    from accelerate import Accelerator

    from glr_fast.config import RunConfig
    from glr_fast.data import LoaderOptions, Store, open_loader
    from glr_fast.evaluation import predict
    from glr_fast.recipes import RECIPES
    from glr_fast.trained_model import load_model
    from glr_fast.trainer import train

    base = RECIPES[f"efficientnet_b0_{point.loss}"]()
    loss = base.loss
    if point.margin is not None:
        loss = replace(loss, max_margin=point.margin)
    switch = math.ceil(0.8 * epochs)
    policy = {"natural": "natural", "balanced": f"natural,balanced@{switch}"}[point.policy]
    data = replace(
        base.data,
        store=store,
        batch_size=BATCH,
        image_size=SIDE,
        policy=policy,
        threads=1,
        backend="cpu",
    )
    weights = SHARED / "weights" / "tf_efficientnet_b0.safetensors"
    config = replace(
        base,
        data=data,
        loss=loss,
        model=replace(base.model, name="tf_efficientnet_b0", weights=weights, fix_batch_norm=True),
        optim=replace(base.optim, epochs=epochs, lr=LR),
        run=RunConfig(log_every=10_000, eval_every=0, save_every=0, keep=1),
        out=work / "run",
        seed=point.seed,
        tracker="none",
    )
    shutil.rmtree(config.out, ignore_errors=True)
    started = time.perf_counter()
    train(config)
    model = load_model(config.out, "last", "cpu")
    counts = Store.open(store).class_counts("train")
    few = rarest(counts)
    figures: dict[str, float] = {}
    for split, prefix in (("val", "val_"), ("test", "")):
        options = LoaderOptions(batch_size=64, image_size=SIDE, backend="cpu", threads=1)
        with open_loader(store, split, options, train=False) as loader:
            found = predict(Accelerator(), model.module, loader, model.card)
        figures |= scores(found.labels, found.top[:, 0], few, prefix)
    seconds = time.perf_counter() - started
    shutil.rmtree(config.out)
    return Result.of(point, figures, seconds)


def scores(labels: np.ndarray, predicted: np.ndarray, few: np.ndarray, prefix: str) -> dict:
    """Accuracy, macro F1, mean recall of the rare and of the other classes, prefixed."""
    from glr_fast.metrics import per_class

    table = per_class(labels, predicted, np.zeros(int(labels.max()) + 1, np.int64))
    rare = table["label"].isin(few.tolist()).to_numpy()
    recall = table["recall"].to_numpy()
    values = {
        "accuracy": float((labels == predicted).mean()),
        "macro_f1": float(table["f1"].to_numpy().mean()),
        "few_recall": float(recall[rare].mean()),
        "many_recall": float(recall[~rare].mean()),
    }
    return {prefix + name: value for name, value in values.items()}


def write_page(runs: Runs, stores: dict[float, Path], options: argparse.Namespace) -> None:
    """The page of results and its CSV, of the runs that are there."""
    from glr_fast.data import Store

    counts = {}
    for ratio, path in stores.items():
        store = Store.open(path)
        counts[ratio] = {
            split: sorted(map(int, store.class_counts(split)), reverse=True)
            for split in ("train", "val", "test")
        }
    best = {(ratio, loss): runs.best_margin(ratio, loss) for ratio in stores for loss in MARGINS}
    text = page(runs.results, counts, best, options.epochs, SIDE, describe())
    result = repository() / options.result
    result.write_text(text)
    shutil.copyfile(runs.file, result.with_suffix(".csv"))
    print(f"written to {options.result}")


def main() -> None:
    """Build the stores, run what is missing, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ratios", nargs="+", type=float, default=[50.0, 10.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--work", type=Path, default=Path("runs/long_tail"))
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--most", type=int, help="stop after this many new runs")
    parser.add_argument("--page-only", action="store_true", help="of the runs that are there")
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"{SHARED}: not here; it holds the photos and the weights")
    options.work.mkdir(parents=True, exist_ok=True)
    photos = (SHARED / "data" / "landmarks13").resolve()
    base = base_store(photos, options.work / "base")
    stores = {
        ratio: thinned_store(base, photos, ratio, options.work / f"ratio-{ratio:g}")
        for ratio in options.ratios
    }
    runs, new = Runs(options.work / "runs.csv"), 0
    for point in () if options.page_only else points(options.ratios, options.seeds, runs):
        if runs.result(point) is not None:
            continue
        if new == options.most:
            break
        result = run(point, stores[point.ratio], options.epochs, options.work)
        runs.add(result)
        new += 1
        print(result, flush=True)
    write_page(runs, stores, options)


if __name__ == "__main__":
    apply_cpu_settings()
    main()
