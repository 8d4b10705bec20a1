from __future__ import annotations

import numpy as np
import pytest

from glr_fast import metrics

# Six photos of classes 0, 1, 3; class 2 has no photo here but is predicted once.
LABELS = np.array([0, 0, 0, 1, 1, 3])
TOP = np.array([[0, 1], [0, 2], [2, 0], [1, 0], [0, 1], [0, 1]])
TRAIN = np.array([150, 50, 30, 5])


def test_figures_by_hand() -> None:
    figures = metrics.summarise(LABELS, TOP, TRAIN)
    assert figures["photos"] == 6
    assert figures["classes"] == 3
    assert figures["accuracy"] == pytest.approx(3 / 6)
    assert figures["top5_accuracy"] == pytest.approx(5 / 6)
    # class 0: 2 of 4 predicted right, 2 of 3 found; class 1: 1 of 1, 1 of 2; class 3: nothing
    assert figures["macro_precision"] == pytest.approx((2 / 4 + 1 + 0) / 3)
    assert figures["macro_recall"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    f1 = [2 * 2 / (4 + 3), 2 * 1 / (1 + 2), 0]
    assert figures["macro_f1"] == pytest.approx(sum(f1) / 3)
    assert figures["weighted_f1"] == pytest.approx((3 * f1[0] + 2 * f1[1]) / 6)
    assert figures["weighted_recall"] == pytest.approx(figures["accuracy"])


def test_bands_by_hand() -> None:
    bands = metrics.by_frequency(LABELS, TOP[:, 0] == LABELS, TRAIN)
    assert bands["many"] | {"training_photos": ""} == {
        "training_photos": "",
        "classes": 1,
        "photos": 3,
        "accuracy": pytest.approx(2 / 3),
    }
    assert bands["medium"]["accuracy"] == pytest.approx(1 / 2)
    assert bands["few"]["accuracy"] == 0
    none = metrics.by_frequency(LABELS[:3], TOP[:3, 0] == 0, TRAIN)
    assert none["few"]["accuracy"] is None
    assert none["few"]["photos"] == 0


@pytest.mark.parametrize(
    ("count", "band"), [(0, "few"), (19, "few"), (20, "medium"), (100, "medium"), (101, "many")]
)
def test_band_edges(count: int, band: str) -> None:
    bands = metrics.by_frequency(np.array([0]), np.array([True]), np.array([count]))
    assert [name for name, row in bands.items() if row["photos"]] == [band]


def test_per_class_and_mistakes() -> None:
    table = metrics.per_class(LABELS, TOP[:, 0], TRAIN)
    assert table["label"].tolist() == [0, 1, 3]
    assert table["photos"].tolist() == [3, 2, 1]
    assert table["train"].tolist() == [150, 50, 5]
    # Of class 3 nothing was predicted: no precision, which counts as 0.
    assert table["precision"].tolist() == pytest.approx([2 / 4, 1, 0])
    assert table["recall"].tolist() == pytest.approx([2 / 3, 1 / 2, 0])
    assert table["f1"].tolist() == pytest.approx([4 / 7, 2 / 3, 0])
    pairs = metrics.confused_pairs(LABELS, TOP[:, 0], ["a", "b", "c", "d"])
    assert pairs[["label", "predicted", "photos"]].to_numpy().tolist() == [
        [0, 2, 1],
        [1, 0, 1],
        [3, 0, 1],
    ]
    assert pairs["share_of_class"].tolist() == pytest.approx([1 / 3, 1 / 2, 1])
    assert pairs["predicted_name"].tolist() == ["c", "a", "a"]


def test_no_mistake_at_all() -> None:
    assert metrics.confused_pairs(LABELS, LABELS, ["a", "b", "c", "d"]).empty


def test_the_true_scale_needs_no_square_table() -> None:
    random = np.random.default_rng(0)
    classes, photos = 81_313, 20_000
    labels = random.integers(0, classes, photos)
    top = random.integers(0, classes, (photos, 5))
    top[: photos // 2, 0] = labels[: photos // 2]
    counts = random.integers(1, 200, classes)
    figures = metrics.summarise(labels, top, counts)
    assert figures["accuracy"] == pytest.approx(0.5, abs=0.01)
    pairs = metrics.confused_pairs(labels, top[:, 0], [str(i) for i in range(classes)])
    assert len(pairs) == 1000


def test_table() -> None:
    figures = metrics.summarise(LABELS, TOP, TRAIN)
    text = metrics.as_table(figures | {"intervals": {"accuracy": [0.25, 0.875]}})
    assert "accuracy" in text
    assert "50.00%  (25.0% to 87.5%)" in text
    assert text.startswith("6 photos of ")
    assert metrics.as_table(figures | {"photos": 1, "classes": 1}).startswith("1 photo of 1 class")
