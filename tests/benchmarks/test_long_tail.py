"""The rule that thins the photos, and what the page makes of the runs."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import bench_long_tail_heads
from benchmarks.bench_long_tail import SHARES, Point, Result, Runs, points, scores
from benchmarks.bench_long_tail_heads import draw_split, run_all
from benchmarks.long_tail_data import base_store, rarest, thinned_counts, thinned_store
from benchmarks.long_tail_features import Features
from benchmarks.long_tail_page import is_clear, page
from shard_tools.demo_photos import write_kaggle_dataset
from shard_tools.store import Store


def test_counts_fall_exponentially_and_never_rise_above_what_is_there() -> None:
    assert thinned_counts([100, 100, 100], 100) == [100, 10, 1]
    assert thinned_counts([100, 5, 4], 100) == [100, 5, 1]
    assert thinned_counts([20, 20, 20], 50)[-1] == 1


def test_thinned_photos_move_to_the_test_split(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    write_kaggle_dataset(photos, classes=3, largest=12, smallest=12, size=(128, 96))
    base = Store.open(base_store(photos, tmp_path / "base"))
    thin = Store.open(thinned_store(tmp_path / "base", photos, 4, tmp_path / "thin"))
    before = base.class_counts("train")
    assert sorted(thin.class_counts("train"), reverse=True) == thinned_counts(
        sorted(map(int, before), reverse=True), 4
    )
    assert (thin.class_counts("val") == base.class_counts("val")).all()
    with open(tmp_path / "thin.csv") as file:
        rows = list(csv.DictReader(file))
    splits = {Path(row["path"]).stem: row["split"] for row in rows}
    samples = base.samples(["key", "split"]).to_pydict()
    for key, split in zip(samples["key"], samples["split"], strict=True):
        assert splits.get(key, "copy") in ({split, "test", "copy"} if split == "train" else {split})


def test_rarest_and_scores() -> None:
    assert rarest(np.array([5, 1, 9, 1, 2]), 3).tolist() == [1, 3, 4]
    labels, predicted = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 0, 0, 0])
    found = scores(labels, predicted, np.array([2, 1]), "val_")
    assert found["val_accuracy"] == pytest.approx(0.5)
    assert found["val_few_recall"] == pytest.approx(0.25)
    assert found["val_many_recall"] == 1


def result(point: Point, value: float) -> Result:
    return Result.of(point, dict.fromkeys(SHARES, value), seconds=1.0)


def test_runs_are_read_again_and_the_margin_is_that_of_validation(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs.csv")
    done = 0
    for point in points([50.0], [0, 1], runs):
        value = 0.5 + 0.1 * (point.margin == 1.5) + 0.01 * point.seed
        runs.add(result(point, value + 0.2 * (point.loss == "ldam")))
        done += 1
    again = Runs(tmp_path / "runs.csv")
    assert again.results == runs.results
    assert len({row.point for row in again.results}) == done
    assert again.best_margin(50.0, "ldam") == 1.5
    assert again.best_margin(50.0, "ce") is None
    balanced = {row.margin for row in again.results if row.policy == "balanced"}
    assert balanced == {None, 1.5, 0.5}
    counts = {50.0: {split: [5, 1] for split in ("train", "val", "test")}}
    best = {(50.0, "ldam"): 1.5, (50.0, "ldam_drw"): 0.5}
    text = page(again.results, counts, best, 10, 96, "machine")
    assert "largest margin 1.5 (not 0.5) | natural | 80.5 ± 0.7" in text
    assert "+30.0 ± 0.0 (clear)" in text


def test_a_difference_is_clear_when_its_interval_leaves_out_0() -> None:
    assert is_clear([2.0, 2.2, 1.9])
    assert not is_clear([2.0, 0.1, 5.0])
    assert not is_clear([-1.0, 1.0, 0.5])


def test_a_draw_uses_each_photo_once_and_thins_the_training_photos_only() -> None:
    labels = np.repeat([0, 1, 2, 3], [60, 40, 40, 20])
    for seed in (0, 1):
        split = draw_split(labels, 10, seed)
        parts = np.concatenate([split.train, split.val, split.test])
        assert np.array_equal(np.sort(parts), np.arange(160))
        assert np.bincount(labels[split.train]).tolist() == thinned_counts([33, 22, 22, 11], 10)
        assert np.bincount(labels[split.val]).tolist() == [12, 8, 8, 4]
    assert not np.array_equal(split.train, draw_split(labels, 10, 0).train)


def test_heads_learn_features_that_tell_the_classes_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    labels = np.repeat(np.arange(6), [60, 40, 20, 20, 20, 20])
    centers = torch.eye(6)[torch.from_numpy(labels)].repeat(1, 4) + 0.1 * torch.randn(180, 24)
    crops = centers.unsqueeze(1).expand(-1, 2, -1)
    features = Features(labels, {"avg": crops, "gem": crops}, {"avg": centers, "gem": centers})
    monkeypatch.setattr(bench_long_tail_heads, "LRS", (0.03,))
    rows = run_all(features, 5, seeds=2)
    assert [row[1] for row in rows].count("balanced") == 5
    accuracies = [float(row[2].split()[0]) for row in rows]
    assert min(accuracies) > 95
