"""Losses and sampling policies on long-tailed photos, heads alone: many draws, in minutes.

    python -m benchmarks.bench_long_tail_heads [--seeds 6] [--work DIR]

benchmarks/bench_long_tail.py fine-tunes whole networks, which leaves time for three seeds. Here the
backbone keeps its ImageNet weights: the features of every photo of ../shared/data/landmarks13 (some
random crops and the centre) are computed once, and only heads are trained on them, with this
project's heads, losses, class weights and epoch orders. Every seed draws other photos into train,
validation and test, so the spread says what another collection of this kind might give. Writes
benchmarks/results/long_tail_heads.md.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from torch import nn

from benchmarks.bench_long_tail import SHARED, scores
from benchmarks.environment import describe, repository
from benchmarks.long_tail_data import rarest, thinned_counts
from benchmarks.long_tail_features import CROPS, SIDE, Features, extract
from benchmarks.long_tail_page import difference, spread
from benchmarks.samples import table
from glr_fast.config import LossConfig
from glr_fast.heads import CosineHead
from glr_fast.losses import build_loss, effective_number_weights
from glr_fast.schedule import lr_factor
from shard_tools.sampling import epoch_order

RESULT = Path("benchmarks/results/long_tail_heads.md")
EPOCHS, BATCH = 12, 16
LRS = (0.003, 0.01)
FIGURES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "few_recall": "recall, 4 rarest",
    "many_recall": "recall, others",
}


@dataclass(frozen=True)
class Kind:
    """A head and a loss, and the strengths of it that are tried."""

    title: str
    loss: str
    strength: str
    """The field of ``LossConfig`` that is tuned."""
    tried: tuple[float, ...]
    cosine: bool = False
    centers: int = 1
    pool: str = "avg"
    reweighted: bool = False
    """Deferred re-weighting, over the last fifth of the epochs."""


KINDS = {
    "ce": Kind("cross-entropy", "ce", "label_smoothing", (0.0, 0.1)),
    "cosine": Kind("cross-entropy, cosine head, s = 30", "ce", "label_smoothing", (0.0,), True),
    "ce_drw": Kind(
        "cross-entropy, deferred weights", "ce", "label_smoothing", (0.0,), reweighted=True
    ),
    "ldam": Kind("LDAM, s = 1, linear head", "ldam", "max_margin", (0.5, 1.0, 2.0)),
    "ldam_30": Kind("LDAM, s = 30, cosine head", "ldam", "max_margin", (0.1, 0.2, 0.5), True),
    "ldam_drw": Kind(
        "the same, deferred weights", "ldam", "max_margin", (0.1, 0.2, 0.5), True, reweighted=True
    ),
    "logit_adjustment": Kind("logit adjustment", "logit_adjustment", "tau", (0.5, 1.0, 1.5)),
    "arcface": Kind(
        "sub-center ArcFace, GeM", "arcface", "angular_margin", (0.1, 0.3), True, 3, "gem"
    ),
}


@dataclass(frozen=True)
class Split:
    """Photos of one draw; shape (n,), int64 each."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Fit:
    """One trained head. Shares in 0..1, on the test photos."""

    seed: int
    val_macro_f1: float
    accuracy: float
    macro_f1: float
    few_recall: float
    many_recall: float


def draw_split(labels: np.ndarray, ratio: float, seed: int) -> Split:
    """A fifth of each class to choose by, a quarter to measure with, the rest thinned to train on.

    What is thinned out measures too. Which class is how rare is the same in every draw: the order
    of the classes is that of all their photos.
    """
    random = np.random.default_rng(seed)
    sizes = np.bincount(labels)
    order = np.argsort(-sizes, kind="stable")
    pools = [round(0.55 * int(sizes[label])) for label in order]
    kept = thinned_counts(sorted(pools, reverse=True), ratio)
    parts: dict[str, list[np.ndarray]] = {"train": [], "val": [], "test": []}
    for label, pool, keep in zip(order, pools, kept, strict=True):
        photos = random.permutation(np.flatnonzero(labels == label))
        val = round(0.2 * len(photos))
        parts["train"].append(photos[: min(keep, pool)])
        parts["val"].append(photos[pool : pool + val])
        parts["test"].append(np.concatenate([photos[min(keep, pool) : pool], photos[pool + val :]]))
    return Split(**{name: np.concatenate(part) for name, part in parts.items()})


def fit(
    features: Features, split: Split, kind: Kind, policy: str, strength: float, lr: float, seed: int
) -> Fit:
    """Train a head on the training photos of a split and measure it."""
    torch.manual_seed(seed)
    labels = torch.from_numpy(features.labels)
    crops, centers = features.crops[kind.pool], features.centers[kind.pool]
    classes = int(labels.max()) + 1
    counts = torch.bincount(labels[split.train], minlength=classes)
    scale = 30.0 if kind.cosine else 1.0
    head: nn.Module
    if kind.cosine:
        head = CosineHead(crops.shape[2], classes, scale, kind.centers)
    else:
        head = nn.Linear(crops.shape[2], classes)
        nn.init.normal_(head.weight, std=0.01)
        nn.init.zeros_(head.bias)
    config = LossConfig(name=kind.loss, **{kind.strength: strength})  # type: ignore[arg-type]
    loss = build_loss(config, counts, scale, scale)
    weights = effective_number_weights(counts)
    optimizer = torch.optim.AdamW(head.parameters(), lr=lr, weight_decay=0.05, fused=True)
    switch = math.ceil(0.8 * EPOCHS)
    schedule = f"natural,balanced@{switch}" if policy == "balanced" else "natural"
    random = np.random.default_rng(seed)
    train = split.train
    steps = len(train) // BATCH
    for epoch in range(EPOCHS):
        order = epoch_order(features.labels[train], schedule, seed, epoch)
        for step in range(steps):
            rows = torch.from_numpy(train[order[step * BATCH : (step + 1) * BATCH]])
            crop = torch.from_numpy(random.integers(0, crops.shape[1], BATCH))
            factor = lr_factor(epoch * steps + step, EPOCHS * steps, steps, 0.01)
            optimizer.param_groups[0]["lr"] = lr * factor
            late = kind.reweighted and epoch >= switch
            value = loss(head(crops[rows, crop]), labels[rows], weights if late else None)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    few = rarest(counts.numpy())
    figures: dict[str, float] = {}
    with torch.inference_mode():
        for photos, prefix in ((split.val, "val_"), (split.test, "")):
            predicted = head(centers[torch.from_numpy(photos)]).argmax(1).numpy()
            figures |= scores(features.labels[photos], predicted, few, prefix)
    kept = {name: figures[name] for name in ("val_macro_f1", *FIGURES)}
    return Fit(seed=seed, **kept)


def run_all(features: Features, ratio: float, seeds: int) -> list[list[str]]:
    """Rows of the table of a ratio."""
    splits = [draw_split(features.labels, ratio, seed) for seed in range(seeds)]
    rows, baseline = [], []
    for name, kind in KINDS.items():
        tried = {
            choice: [
                fit(features, split, kind, "natural", *choice, seed)
                for seed, split in enumerate(splits)
            ]
            for choice in itertools.product(kind.tried, LRS)
        }
        best = max(tried, key=lambda choice: mean(run.val_macro_f1 for run in tried[choice]))
        cases = {"natural": tried[best]}
        if not kind.reweighted and name != "logit_adjustment":  # corrected already
            cases["balanced"] = [
                fit(features, split, kind, "balanced", *best, seed)
                for seed, split in enumerate(splits)
            ]
        baseline = baseline or tried[best]
        for policy, runs in cases.items():
            title = f"{kind.title}; {kind.strength.replace('_', ' ')} {best[0]:g}"
            cells = [spread(runs, figure) for figure in FIGURES]
            against = [difference(runs, baseline, key) for key in ("macro_f1", "few_recall")]
            rows.append([title, policy, *cells, *against])
            print(ratio, *rows[-1], sep=" | ", flush=True)
    return rows


def page(features: Features, results: dict[float, list[list[str]]], seeds: int) -> str:
    """The text."""
    header = ["loss", "policy", *FIGURES.values(), "macro F1 over CE", "rare recall over CE"]
    parts = []
    for ratio, rows in results.items():
        split = draw_split(features.labels, ratio, 0)
        train = sorted(np.bincount(features.labels[split.train]).tolist(), reverse=True)
        parts.append(
            f"## Ratio {ratio:g}\n\n{len(split.train)} training photos "
            f"({', '.join(map(str, train))}), {len(split.val)} to choose by, {len(split.test)} to "
            f"measure with.\n\n{table(header, rows)}\n"
        )
    tried = "; ".join(
        f"{kind.title}: {kind.strength.replace('_', ' ')} {', '.join(map(str, kind.tried))}"
        for kind in KINDS.values()
    )
    return f"""# Losses and policies on long-tailed photos, heads alone

Heads trained for {EPOCHS} epochs on the features of EfficientNet-B0 (`tf_efficientnet_b0`, ImageNet
weights, frozen; {CROPS} random crops a photo at {SIDE} x {SIDE} pixels) of landmarks13 without
copies: {len(features.labels)} photos of 13 landmarks. {seeds} draws: each has its own training,
validation and test photos by the rule of `draw_split` in `benchmarks/bench_long_tail_heads.py`, and
its own order and start. Mean and standard deviation over the draws, in %; differences in points
against cross-entropy in the natural order, draw by draw; "clear": the 95% t-interval of their mean
leaves out 0. "Balanced": classes drawn equally often from the last fifth of the epochs on.

The strength of each loss and the learning rate ({" or ".join(map(str, LRS))}) were chosen by mean
validation macro F1 in the natural order, separately for each ratio. Tried: {tried}.

{chr(10).join(parts)}
{describe()}

Written by `python -m benchmarks.bench_long_tail_heads`.
"""


def main() -> None:
    """Features, heads, page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ratios", nargs="+", type=float, default=[50.0, 10.0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--work", type=Path, default=Path("runs/long_tail_heads"))
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"{SHARED}: not here; it holds the photos and the weights")
    options.work.mkdir(parents=True, exist_ok=True)
    features = extract(SHARED, options.work)
    results = {ratio: run_all(features, ratio, options.seeds) for ratio in options.ratios}
    (repository() / options.result).write_text(page(features, results, options.seeds))
    print(f"written to {options.result}")


if __name__ == "__main__":
    main()
