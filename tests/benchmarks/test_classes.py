"""The benchmark of 81,313 classes, in small: every part runs; the page reads what they leave."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import bench_classes, classes_head
from benchmarks.bench_classes import scaled_counts
from benchmarks.classes_page import page


def test_counts_keep_their_shape() -> None:
    counts = np.array([6000, 600, 60, 6, 2, 2, 2])
    scaled = scaled_counts(counts, 670)
    assert abs(int(scaled.sum()) - 670) <= 3
    assert scaled.tolist()[:3] == pytest.approx([600, 60, 6], rel=0.05)
    assert scaled.min() == 1


def test_every_part_runs_and_the_page_is_made_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(tmp_path / "counts.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["landmark_id", "images"])
        rows.writerows((1000 + number, 400 // (1 + number)) for number in range(30))
    monkeypatch.setattr(bench_classes, "COUNTS", tmp_path / "counts.csv")
    monkeypatch.setattr(bench_classes, "PHOTOS", 300)
    monkeypatch.setattr(bench_classes, "BATCH", 8)
    monkeypatch.setattr(bench_classes, "STEPS", 2)
    monkeypatch.setattr(bench_classes, "FEW", 5)
    monkeypatch.setattr(classes_head, "FEATURES", 16)
    monkeypatch.setattr(bench_classes, "NETWORK", "test_resnet")
    work = tmp_path / "work"
    calls = (["store"], ["head", "--classes", "30"], ["train", "--classes", "30"])
    for call in (*calls, ["train", "--classes", "5"], ["resume", "--classes", "30"]):
        monkeypatch.setattr(sys, "argv", ["bench", *call, "--work", str(work)])
        bench_classes.main()
    parts: dict[str, Any] = {
        file.stem: json.loads(file.read_text()) for file in work.glob("*.json")
    }
    assert set(parts) == {"store", "head", "train-30", "train-5", "resume-30"}
    assert parts["store"]["classes"] == 30
    assert abs(parts["store"]["photos"] - 300) <= 10
    assert parts["resume-30"]["step"] >= 3 + 2
    for name in ("first_save", "save"):
        assert 0 < parts["train-30"][f"{name}_wait_s"] <= parts["train-30"][f"{name}_s"]
    text = page(parts)
    assert "| 30 |" in text
    assert "LDAM, s = 1 |" in text
    assert "A resumed run is loaded" in text
    assert "the norm of the gradient 0.00 s" in " ".join(text.split())
