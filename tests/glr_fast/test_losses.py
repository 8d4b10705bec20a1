"""Losses against hand formulas in float64 and against the numbers of LDAM's authors' code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from glr_fast.config import LossConfig
from glr_fast.errors import ConfigError
from glr_fast.losses import (
    LDAM,
    CrossEntropy,
    build_loss,
    effective_number_weights,
    ldam_margins,
)


def hand_ldam(logits: np.ndarray, labels: np.ndarray, margins: np.ndarray) -> float:
    """The formula of LDAM, term by term, in float64."""
    total = 0.0
    for z, y in zip(logits.astype(np.float64), labels, strict=True):
        target = np.exp(z[y] - margins[y])
        others = sum(np.exp(z[j]) for j in range(len(z)) if j != y)
        total += -np.log(target / (target + others))
    return total / len(labels)


def official_ldam(
    logits: torch.Tensor, labels: torch.Tensor, counts: np.ndarray, max_m: float, s: float
) -> torch.Tensor:
    """What the authors' code computes (kaidic/LDAM-DRW, losses.py), written anew from its formula:
    margins n^(-1/4) scaled so that the largest is max_m, a one-hot mask, s * logits."""
    m = 1.0 / np.sqrt(np.sqrt(counts))
    m = torch.tensor(m * (max_m / np.max(m)), dtype=logits.dtype)
    mask = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, labels[:, None], 1)
    moved = torch.where(mask, logits - m[labels][:, None], logits)
    return F.cross_entropy(s * moved, labels)


problems = st.tuples(
    st.integers(1, 9), st.integers(2, 12), st.integers(0, 2**31), st.floats(0.1, 20)
)


@given(problems)
@settings(max_examples=60, deadline=None)
def test_ldam_is_the_formula(problem: tuple[int, int, int, float]) -> None:
    batch, classes, seed, spread = problem
    random = np.random.default_rng(seed)
    logits = (random.standard_normal((batch, classes)) * spread).astype(np.float32)
    labels = random.integers(0, classes, batch)
    counts = random.integers(1, 6000, classes)
    constant = 1.7
    expected = hand_ldam(logits, labels, constant / counts**0.25)
    loss = LDAM(torch.from_numpy(counts), constant=constant)
    value = loss(torch.from_numpy(logits), torch.from_numpy(labels))
    assert value.item() == pytest.approx(expected, rel=2e-5, abs=2e-6)


@given(problems)
@settings(max_examples=60, deadline=None)
def test_ldam_equals_the_authors_code(problem: tuple[int, int, int, float]) -> None:
    batch, classes, seed, _ = problem
    random = np.random.default_rng(seed)
    cosines = torch.from_numpy(random.uniform(-1, 1, (batch, classes)).astype(np.float32))
    labels = torch.from_numpy(random.integers(0, classes, batch))
    counts = random.integers(1, 6000, classes)
    expected = official_ldam(cosines, labels, counts, max_m=0.5, s=30)
    value = LDAM(torch.from_numpy(counts), max_margin=0.5, scale=30)(cosines, labels)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)


extremes = st.tuples(
    st.integers(2, 12), st.integers(0, 2**31), st.sampled_from([0.1, 1, 30, 80]), st.floats(0, 20)
)


@given(extremes)
@settings(max_examples=100, deadline=None)
def test_ldam_holds_at_extreme_logits_and_margins(
    problem: tuple[int, int, float, float],
) -> None:
    """Value and gradient against float64, where the shortcut over the plain loss fails.

    With a target 25 above the rest and a margin of 15, the plain cross-entropy rounds to the size
    of its error, which the margin multiplies by e^15.
    """
    classes, seed, spread, constant = problem
    random = np.random.default_rng(seed)
    labels = torch.from_numpy(random.integers(0, classes, 6))
    logits = torch.from_numpy((random.standard_normal((6, classes)) * spread).astype(np.float32))
    logits[:3].scatter_add_(1, labels[:3, None], torch.full((3, 1), 1.5 * constant))
    counts = torch.from_numpy(random.integers(1, 6000, classes))
    mine = logits.clone().requires_grad_()
    value = LDAM(counts, constant=constant)(mine, labels)
    value.backward()
    exact = logits.double().requires_grad_()
    # In float32 as the loss has it, so that only its arithmetic is judged.
    margins = ldam_margins(counts, constant=constant)[labels].double()
    expected = F.cross_entropy(
        exact - F.one_hot(labels, classes) * margins[:, None], labels, reduction="none"
    ).mean()
    expected.backward()
    assert exact.grad is not None
    assert value.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-5)
    torch.testing.assert_close(mine.grad, exact.grad.float(), rtol=1e-4, atol=2e-6)


def test_ldam_makes_no_copy_of_float32_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the cross-entropy gets is the logits' own memory, also for gradients through a layer."""
    seen = []
    plain = F.cross_entropy
    monkeypatch.setattr(
        F, "cross_entropy", lambda z, *a, **k: seen.append(z.data_ptr()) or plain(z, *a, **k)
    )
    layer = torch.nn.Linear(4, 3)
    logits = layer(torch.randn(5, 4))
    LDAM(torch.tensor([9, 3, 1]))(logits, torch.tensor([0, 1, 2, 0, 1])).backward()
    assert seen == [logits.data_ptr()]
    assert layer.weight.grad is not None


def test_logits_are_restored_also_after_an_error() -> None:
    logits = torch.randn(4, 3)
    before = logits.clone()
    with pytest.raises(TypeError):
        LDAM(torch.tensor([9, 3, 1]))(logits, torch.tensor([0, 1, 2, 0]), weights=3)  # type: ignore[arg-type]
    assert torch.equal(logits, before)


def test_ldam_gradient_is_that_of_the_formula() -> None:
    torch.manual_seed(0)
    logits = torch.randn(6, 5, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    counts = torch.tensor([100, 50, 20, 5, 1])
    mine = logits.clone().requires_grad_()
    LDAM(counts, scale=3)(mine, labels).backward()
    theirs = logits.clone().requires_grad_()
    official_ldam(theirs, labels, counts.numpy(), 0.5, 3).backward()
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-5, atol=1e-6)


def test_ldam_leaves_the_logits_alone() -> None:
    logits = torch.randn(4, 3)
    before = logits.clone()
    LDAM(torch.tensor([9, 3, 1]))(logits, torch.tensor([0, 1, 2, 0]))
    assert torch.equal(logits, before)


def test_margins_by_hand() -> None:
    margins = ldam_margins(torch.tensor([1, 16, 81]), max_margin=0.5)
    torch.testing.assert_close(margins, torch.tensor([0.5, 0.25, 0.5 / 3]))
    given_c = ldam_margins(torch.tensor([16, 81]), constant=6.0)
    torch.testing.assert_close(given_c, torch.tensor([3.0, 2.0]))


def test_a_class_without_photos_has_the_largest_margin_and_no_infinity() -> None:
    margins = ldam_margins(torch.tensor([0, 16, 81]), max_margin=0.5)
    torch.testing.assert_close(margins, torch.tensor([0.5, 0.5, 0.5 * 2 / 3]))
    loss = LDAM(torch.tensor([0, 16, 81]))(torch.zeros(1, 3), torch.tensor([0]))
    assert torch.isfinite(loss)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_losses_compute_in_float32(kind: torch.dtype) -> None:
    """In half precision the margins of frequent classes would drown."""
    logits = torch.randn(8, 10).to(kind)
    labels = torch.arange(8)
    loss = LDAM(torch.full((10,), 5000))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(logits, labels)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(logits.float(), labels), rtol=0, atol=0)


def test_cross_entropy_with_smoothing_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0]])
    logs = torch.log_softmax(logits.double(), 1)[0]
    expected = -(0.9 * logs[0] + 0.1 * logs.mean())
    value = CrossEntropy(label_smoothing=0.1)(logits, torch.tensor([0]))
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)


def test_scale_multiplies_logits() -> None:
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 1])
    expected = F.cross_entropy(30 * logits, labels)
    torch.testing.assert_close(CrossEntropy(scale=30)(logits, labels), expected)


@pytest.mark.parametrize("name", ["ce", "ldam", "logit_adjustment", "arcface"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_scale_in_the_head_is_the_scale_of_the_loss(name: str, smoothing: float) -> None:
    config = LossConfig(name=name, label_smoothing=smoothing)  # type: ignore[arg-type]
    counts, labels = torch.tensor([50, 7, 1, 3]), torch.tensor([0, 1, 2, 3, 0, 1])
    cosines = torch.rand(6, 4) * 2 - 1
    outside = cosines.clone().requires_grad_()
    inside = cosines.clone().requires_grad_()
    weights = torch.tensor([0.5, 1.0, 2.0, 1.5])
    one = build_loss(config, counts, 30.0)(outside, labels, weights)
    two = build_loss(config, counts, 30.0, scaled=30.0)(inside * 30, labels, weights)
    torch.testing.assert_close(one, two)
    one.backward()
    two.backward()
    torch.testing.assert_close(outside.grad, inside.grad, rtol=1e-4, atol=1e-5)


def test_effective_numbers_by_hand() -> None:
    counts = torch.tensor([1, 100, 0])
    weights = effective_number_weights(counts, beta=0.99)
    raw = np.array([1.0, 0.01 / (1 - 0.99**100)])
    raw *= 101 / (raw[0] + 100 * raw[1])
    np.testing.assert_allclose(weights.numpy(), [*raw, 0], rtol=1e-6)
    assert (weights * counts).sum().item() == pytest.approx(101)


def test_weights_of_one_change_nothing_and_zero_silences_a_class() -> None:
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 1])
    loss = LDAM(torch.tensor([5, 6, 7]))
    torch.testing.assert_close(loss(logits, labels, torch.ones(3)), loss(logits, labels))
    only = torch.tensor([0.0, 0.0, 1.0])
    torch.testing.assert_close(loss(logits, labels, only), loss(logits[2:3], labels[2:3]) / 4)


def test_build_loss_takes_the_named_one() -> None:
    counts = torch.tensor([4, 2])
    ce = build_loss(LossConfig(name="ce", label_smoothing=0.1), counts, 1.0)
    ldam = build_loss(LossConfig(name="ldam", max_margin=0.3), counts, 30.0)
    assert isinstance(ce, CrossEntropy)
    assert ce.label_smoothing == 0.1
    assert isinstance(ldam, LDAM)
    assert ldam.margins.max().item() == pytest.approx(0.3)
    assert ldam.scale == 30


def test_an_unknown_loss_is_one_line() -> None:
    with pytest.raises(ConfigError, match="unknown loss 'focal'; there are ce, ldam"):
        build_loss(LossConfig(name="focal"), torch.tensor([1, 2]), 1.0)  # type: ignore[arg-type]
