"""The paired bootstrap: scikit-learn's figures, intervals that hold the truth as they say."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score

from glr_fast.comparison.paired import Difference, difference, resampled


def table(labels: np.ndarray, top: np.ndarray) -> pa.Table:
    top = top.reshape(len(labels), -1)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(top.ravel(), pa.int32()), top.shape[1])
    sure = np.linspace(0.9, 0.1, top.size).astype(np.float32)
    columns = {"label": pa.array(labels, pa.int32()), "top_labels": lists}
    columns["top_probabilities"] = pa.FixedSizeListArray.from_arrays(sure, top.shape[1])
    return pa.table(columns | {"loss": np.ones(len(labels), np.float32)})


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Over the classes that have a photo, as everywhere here."""
    present = np.unique(labels)
    return float(
        f1_score(labels, predicted, labels=present, average="macro", zero_division=0.0)  # type: ignore[arg-type]
    )


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(2, 6))
def test_each_resample_has_scikit_learns_figures(seed: int, photos: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, photos)
    top = random.integers(0, classes, (photos, 2))
    chosen = np.random.default_rng(3).integers(0, photos, (4, photos))
    samples = [np.arange(photos), *chosen]  # what seed 3 draws
    expected = {
        "accuracy": [(labels[s] == top[s, 0]).mean() for s in samples],
        "top5_accuracy": [(labels[s, None] == top[s]).any(1).mean() for s in samples],
        "macro_f1": [macro_f1(labels[s], top[s, 0]) for s in samples],
    }
    for name, values in expected.items():
        (found,) = resampled([table(labels, top)], name, 4, seed=3)
        np.testing.assert_allclose(found, values, err_msg=name)


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
def test_balanced_accuracy_leaves_unknown_photos_out() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2, -1, -1])
    top = np.array([0, 1, 0, 1, 0, 2, 0, 1])
    (found,) = resampled([table(labels, top)], "balanced_accuracy", 1)
    assert found[0] == pytest.approx(balanced_accuracy_score(labels[:6], top[:6]))


def test_pairing_sees_what_two_intervals_would_not() -> None:
    """One model is right wherever the other is, and on a few photos more."""
    labels = np.zeros(400, int)
    worse = (np.arange(400) % 2).astype(int)  # right on every other photo
    better = np.where(np.arange(400) < 20, 0, worse)
    first, second = resampled([table(labels, better), table(labels, worse)], "accuracy", 2000)
    found = difference(first, second)
    assert found.value == pytest.approx(10 / 400)
    assert found.low > 0.005
    assert not found.tied
    low, high = np.quantile(first, [0.025, 0.975])
    assert low < second[0] < high


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        labels = np.zeros(150, int)
        models = [(random.random(150) > rate).astype(int) for rate in (0.7, 0.6)]
        pair = [table(labels, model) for model in models]
        found = difference(*resampled(pair, "accuracy", 300, seed))
        held += found.low <= 0.1 <= found.high
    assert 180 <= held <= 200  # 190 on average


def test_a_model_ties_with_itself() -> None:
    same = np.linspace(0, 1, 50)
    assert difference(same, same) == Difference(0.0, 0.0, 0.0)
    assert difference(same, same).tied


@pytest.mark.parametrize("shift", [0.0, 0.1, -0.2])
def test_the_middle_95_percent_of_resamples_around_the_value(shift: float) -> None:
    resamples = np.linspace(0, 1, 1001)
    other = np.full(1002, 0.25)
    found = difference(np.append(0.5 + shift, resamples), other)
    assert found.value == pytest.approx(0.25 + shift)
    # The resamples' mean is 0.5: what it is off the value is taken off the interval.
    assert found.low == pytest.approx(0.025 - 0.25 + shift)
    assert found.high == pytest.approx(0.975 - 0.25 + shift)
