"""GAP, calibration, thresholds and intervals, against figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glr_fast import metrics
from glr_fast.metrics import text
from glr_fast.metrics.bootstrap import Photos


def gap_by_definition(labels: np.ndarray, predicted: np.ndarray, confidence: np.ndarray) -> float:
    """GAP as the formula reads; for confidences that are all different."""
    order = np.argsort(-confidence)
    right = (labels == predicted)[order]
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    return float((precision * right).sum() / (labels >= 0).sum())


@pytest.mark.parametrize(
    ("labels", "predicted", "confidence", "expected"),
    [
        ([0, 1], [0, 1], [0.9, 0.8], 1.0),
        ([0, 1], [0, 0], [0.9, 0.8], 1 / 2),
        ([0, 1], [0, 0], [0.8, 0.9], 1 / 4),  # the mistake is the more certain one
        ([0, -1], [0, 3], [0.9, 0.8], 1.0),  # a distractor after all right answers costs nothing
        ([0, -1], [0, 3], [0.8, 0.9], 1 / 2),  # and before them, it does
        ([0, 1], [0, 3], [0.5, 0.5], 1 / 4),  # equally certain: one step
        ([0, 0], [1, 1], [0.5, 0.4], 0.0),
        ([-1, -1], [1, 1], [0.5, 0.4], None),
    ],
)
def test_gap(
    labels: list[int], predicted: list[int], confidence: list[float], expected: float | None
) -> None:
    arrays = np.array(labels), np.array(predicted), np.array(confidence)
    assert metrics.global_average_precision(*arrays) == (expected and pytest.approx(expected))


photos = st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 3)), min_size=1, max_size=40)


@given(photos, st.randoms(use_true_random=False))
def test_gap_is_the_formula(pairs: list[tuple[int, int]], random: object) -> None:
    labels, predicted = np.array(pairs).T
    confidence = np.random.default_rng(len(pairs)).permutation(len(pairs)) / len(pairs)
    found = metrics.global_average_precision(labels, predicted, confidence)
    if (labels >= 0).any():
        assert found == pytest.approx(gap_by_definition(labels, predicted, confidence))
    else:
        assert found is None


RIGHT = np.array([True, True, False, True, False])
CONFIDENCE = np.array([0.95, 0.9, 0.9, 0.3, 0.3], np.float32)


def test_calibration_by_hand() -> None:
    # 10 bins: (0.9, 1] holds one photo, (0.8, 0.9] two (0.9 in float32 is just below 0.9), ...
    confidence = np.array([0.95, 0.85, 0.85, 0.25, 0.25])
    error = metrics.expected_calibration_error(RIGHT, confidence, bins=10)
    assert error == pytest.approx((1 * 0.05 + 2 * abs(0.5 - 0.85) + 2 * abs(0.5 - 0.25)) / 5)
    bars = metrics.reliability(RIGHT, confidence, bins=10)
    assert [(bar["photos"], bar["accuracy"]) for bar in bars] == [(2, 0.5), (2, 0.5), (1, 1.0)]
    assert [bar["from"] for bar in bars] == pytest.approx([0.2, 0.8, 0.9])
    assert [bar["to"] for bar in bars] == pytest.approx([0.3, 0.9, 1.0])
    assert [bar["confidence"] for bar in bars] == pytest.approx([0.25, 0.85, 0.95])
    assert metrics.expected_calibration_error(RIGHT[:0], confidence[:0]) is None


@pytest.mark.parametrize("confidence", [0.0, 1.0, 1 / 15])
def test_the_ends_are_in_a_bin(confidence: float) -> None:
    bars = metrics.reliability(np.array([True]), np.array([confidence]))
    assert len(bars) == 1
    assert bars[0]["from"] <= confidence <= bars[0]["to"]


def test_thresholds_by_hand() -> None:
    found = metrics.thresholds(RIGHT, CONFIDENCE, (0.6, 0.65, 0.95, 1.0))
    assert found["0.60"]["accepted"] == 5
    assert found["0.65"]["accepted"] == 3  # both photos of 0.9, or none of them
    assert found["0.65"]["precision"] == pytest.approx(2 / 3)
    assert found["0.65"]["probability"] == pytest.approx(0.9)
    assert found["0.95"] == {
        "probability": pytest.approx(0.95),
        "accepted": 1,
        "coverage": 0.2,
        "precision": 1.0,
    }


def test_a_precision_that_no_threshold_reaches() -> None:
    found = metrics.thresholds(~RIGHT[:2], CONFIDENCE[:2])
    assert found["0.90"] == {
        "probability": None,
        "accepted": 0,
        "coverage": 0.0,
        "precision": None,
    }


def test_a_precision_shown_by_few_photos_is_said_to_be() -> None:
    right = np.ones(30, bool)
    lines = text._thresholds(metrics.thresholds(right, np.linspace(0.5, 1, 30), (0.9, 0.99)))
    assert lines[0].endswith("which 100.0% of the photos reach")
    assert lines[1].endswith("which 100.0% of the photos reach; 30 photos, too few to tell")
    # None accepted is no precision at all; 100 can show 99%, 99 cannot.
    few = [metrics.too_few({"accepted": number}, 0.99) for number in (0, 1, 99, 100)]
    assert few == [False, True, True, False]


def example(photos: int = 300, classes: int = 12) -> tuple[np.ndarray, ...]:
    """labels, top, probabilities, losses, train_counts; a tenth of the photos are distractors."""
    random = np.random.default_rng(3)
    labels = random.integers(0, classes, photos)
    top = np.stack([random.permutation(classes)[:5] for _ in range(photos)])
    right = random.random(photos) < 0.7
    top[right, 0] = labels[right]
    labels[::10] = -1
    probabilities = np.sort(random.random((photos, 5)).astype(np.float32), axis=1)[:, ::-1]
    return labels, top, probabilities, random.random(photos), random.integers(1, 150, classes)


def test_every_figure_is_inside_its_interval() -> None:
    labels, top, probabilities, losses, counts = example()
    known = labels >= 0
    figures = metrics.summarise(labels[known], top[known], counts)
    figures["loss"] = losses[known].mean()
    right, confidence = top[known, 0] == labels[known], probabilities[known, 0]
    figures["ece"] = metrics.expected_calibration_error(right, confidence)
    gap = metrics.global_average_precision(labels, top[:, 0], probabilities[:, 0])
    figures["gap"] = gap
    for name, band in figures["by_frequency"].items():
        figures[f"accuracy_{name}"] = band["accuracy"]
    found = metrics.intervals(labels, top, probabilities, losses, counts, resamples=400)
    assert {key for key, value in figures.items() if isinstance(value, float)} == set(found)
    for key, interval in found.items():
        assert interval is not None
        assert 0 < interval[1] - interval[0] < 0.5, key
        assert interval[0] < figures[key] < interval[1], key
    # As wide as theory says: 1.96 standard errors to each side.
    p, n = figures["accuracy"], known.sum()
    low, high = found["accuracy"] or (0, 0)
    assert high - low == pytest.approx(2 * 1.96 * (p * (1 - p) / n) ** 0.5, rel=0.15)
    again = metrics.intervals(labels, top, probabilities, losses, counts, resamples=400)
    assert again == found


def test_no_interval_where_there_is_no_figure() -> None:
    labels, top, probabilities, losses, _ = example()
    few = np.full(12, 3)
    found = metrics.intervals(labels, top, probabilities, losses, few, resamples=50)
    assert found["accuracy_many"] is None
    assert found["accuracy_few"] is not None
    assert metrics.intervals(labels, top, probabilities, losses, few, resamples=0) == {}


def test_rare_classes_do_not_push_a_figure_out_of_its_interval() -> None:
    """With a photo or two a class, the macro figures of resamples are all too high."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(600), 2)
    top = np.stack([labels, random.integers(0, 600, 1200)], axis=1)
    wrong = random.random(1200) < 0.4
    top[wrong, 0] = random.integers(0, 600, wrong.sum())
    probabilities = random.random((1200, 2)).astype(np.float32)
    counts = np.full(600, 4)
    figures = metrics.summarise(labels, top, counts)
    found = metrics.intervals(labels, top, probabilities, random.random(1200), counts, 200)
    for key in ("macro_precision", "macro_f1", "macro_recall"):
        low, high = found[key] or (1, 0)
        assert low < figures[key] < high


def test_a_resample_is_as_if_its_photos_were_there_so_often() -> None:
    labels, top, probabilities, losses, counts = example(90)
    probabilities = np.round(probabilities, 1)  # ties
    photos = Photos(labels, top, probabilities[:, 0], losses, counts)
    weights = np.random.default_rng(1).integers(0, 3, 90)
    order = np.argsort(-probabilities[:, 0], kind="stable")  # that of the weights
    drawn = np.repeat(order, weights)
    labels, top, confidence = labels[drawn], top[drawn], probabilities[drawn, 0]
    known = labels >= 0
    expected = metrics.summarise(labels[known], top[known], counts)
    right = top[known, 0] == labels[known]
    expected["gap"] = metrics.global_average_precision(labels, top[:, 0], confidence)
    expected["ece"] = metrics.expected_calibration_error(right, confidence[known])
    expected["loss"] = losses[drawn][known].mean()
    for name, band in expected["by_frequency"].items():
        expected[f"accuracy_{name}"] = band["accuracy"]
    for name, value in photos.figures(weights.astype(float)):
        wanted = float("nan") if expected[name] is None else expected[name]
        assert value == pytest.approx(wanted, nan_ok=True), name
