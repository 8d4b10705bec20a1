"""Logit adjustment and ArcFace against hand formulas in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from glr_fast.losses import ArcFace, CrossEntropy, LogitAdjustment


def test_logit_adjustment_by_hand() -> None:
    counts, tau = torch.tensor([70, 20, 10]), 1.5
    logits, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 1, 0])
    terms = np.exp(logits.double().numpy()) * np.array([0.7, 0.2, 0.1]) ** tau
    expected = -np.log(terms[np.arange(5), labels] / terms.sum(1)).mean()
    value = LogitAdjustment(counts, tau)(logits, labels)
    assert value.item() == pytest.approx(expected, rel=1e-5)
    # tau 0 is cross-entropy; equal counts shift all logits alike.
    plain = CrossEntropy()(logits, labels)
    torch.testing.assert_close(LogitAdjustment(counts, 0.0)(logits, labels), plain)
    torch.testing.assert_close(LogitAdjustment(torch.tensor([4, 4, 4]))(logits, labels), plain)


def test_logit_adjustment_pushes_classes_without_photos_down() -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    loss = LogitAdjustment(torch.tensor([6, 2, 0]))(logits, torch.tensor([0]))
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert logits.grad[0, 2] > 0.1
    # As if there were one: shares of 6, 2 and 1 ninths.
    assert loss.item() == pytest.approx(np.log(9 / 6))


def test_balanced_softmax_learns_the_balanced_posterior() -> None:
    """Two classes with one feature that says nothing: the plain logits must not prefer either."""
    labels = torch.tensor([0] * 90 + [1] * 10)
    bias = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([bias], lr=2.0)
    for _ in range(200):
        optimizer.zero_grad()
        LogitAdjustment(torch.tensor([90, 10]))(bias.expand(100, 2), labels).backward()
        optimizer.step()
    assert abs((bias[0] - bias[1]).item()) < 1e-3


def test_arcface_by_hand_in_float64() -> None:
    margin, scale = 0.4, 30.0
    angles = torch.tensor([[0.3, 1.2, 2.0], [1.0, 0.05, 1.5], [0.7, 1.9, 2.9]])
    labels = torch.tensor([0, 1, 2])
    cosines = angles.double().cos().float().requires_grad_()
    value = ArcFace(margin, scale)(cosines, labels)
    moved = angles.double().cos()
    moved[0, 0], moved[1, 1] = np.cos(0.3 + margin), np.cos(0.05 + margin)
    moved[2, 2] = np.cos(2.9) - margin * np.sin(margin)  # 2.9 + 0.4 is beyond pi
    expected = F.cross_entropy(scale * moved, labels)
    assert value.item() == pytest.approx(expected.item(), rel=1e-4)
    value.backward()
    assert cosines.grad is not None
    assert torch.isfinite(cosines.grad).all()


@pytest.mark.parametrize("margin", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("angle", [0.05, 0.3, 1.0, 1.6, 2.5, 2.75, 2.9, 3.1])
def test_arcface_moves_the_angle_of_the_true_class(angle: float, margin: float) -> None:
    """One photo at a time, at a scale where the true class is neither certain nor hopeless."""
    angles = torch.tensor([[angle, 1.2, 2.0]], dtype=torch.float64)
    moved = angles.cos()
    beyond = angle > np.pi - margin
    moved[0, 0] = np.cos(angle) - margin * np.sin(margin) if beyond else np.cos(angle + margin)
    expected = F.cross_entropy(3 * moved, torch.tensor([0]))
    found = ArcFace(margin, 3.0)(angles.cos().float(), torch.tensor([0]))
    assert found.item() == pytest.approx(expected.item(), rel=1e-3)


def test_arcface_gradient_is_that_of_differences() -> None:
    torch.manual_seed(0)
    cosines = (torch.rand(4, 5, dtype=torch.float64) * 1.8 - 0.9).requires_grad_()
    labels = torch.tensor([0, 1, 2, 4])
    loss = ArcFace(0.3, 3.0)
    loss(cosines, labels).backward()
    assert cosines.grad is not None
    step = 1e-2
    with torch.no_grad():
        for place in [(0, 0), (0, 3), (2, 2), (3, 4)]:
            move = torch.zeros_like(cosines)
            move[place] = step
            slope = (loss(cosines + move, labels) - loss(cosines - move, labels)) / (2 * step)
            assert cosines.grad[place].item() == pytest.approx(slope.item(), rel=2e-2, abs=1e-4)


@pytest.mark.parametrize("cosine", [1.0, -1.0, 1.0000002])
def test_arcface_is_finite_where_an_angle_has_no_derivative(cosine: float) -> None:
    cosines = torch.tensor([[cosine, 0.0]], requires_grad=True)
    loss = ArcFace(0.3)(cosines, torch.tensor([0]))
    loss.backward()
    assert cosines.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(cosines.grad).all()
