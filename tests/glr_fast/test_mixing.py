"""Mixup and CutMix: pixels, shares and losses by hand, and the same numbers from the same seed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glr_fast.config import MixConfig
from glr_fast.losses import LDAM, CrossEntropy, build_loss
from glr_fast.mixing import Mixed, box, mix
from glr_fast.model_config import LossConfig, LossName

LABELS = torch.tensor([0, 1, 2, 3])


def images() -> torch.Tensor:
    """Four images; all pixels of an image have the same value, 1 to 4."""
    return torch.arange(1.0, 5).view(4, 1, 1, 1).expand(4, 3, 10, 20).clone()


def test_nothing_is_drawn_or_changed_without_either() -> None:
    batch = images()
    mixed = mix(MixConfig(), batch, LABELS, seed=1)
    assert mixed.images is batch
    assert mixed.others is None
    assert mixed.main_labels is LABELS
    assert mixed.share == 1
    assert float(mixed.loss(lambda labels: labels.sum().float())) == 6.0


def test_mixup_adds_a_photo_and_its_mirror_in_the_batch() -> None:
    mixed = mix(MixConfig(mixup=1.0), images(), LABELS, seed=3)
    share = mixed.share
    assert 0 < share < 1
    wanted = share * images() + (1 - share) * images().flip(0)
    torch.testing.assert_close(mixed.images, wanted)
    assert mixed.others is not None
    assert mixed.others.tolist() == [3, 2, 1, 0]


@given(st.integers(0, 2**62))
def test_cutmix_pastes_a_box_and_its_share_is_what_is_left(seed: int) -> None:
    mixed = mix(MixConfig(cutmix=1.0), images(), LABELS, seed=seed)
    own = mixed.images == images()
    pasted = mixed.images == images().flip(0)
    assert bool((own ^ pasted).all())
    assert float(own[0].float().mean()) == pytest.approx(mixed.share)
    rows, columns = (~own[0, 0]).nonzero(as_tuple=True)
    if len(rows):  # a full rectangle
        height = int(rows.max() - rows.min()) + 1
        width = int(columns.max() - columns.min()) + 1
        assert len(rows) == height * width


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.floats(0, 1),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
)
def test_a_box_lies_in_the_image(height: int, width: int, share: float, y: float, x: float) -> None:
    top, bottom, left, right = box(height, width, share, y, x)
    assert 0 <= top <= bottom <= height
    assert 0 <= left <= right <= width
    assert (bottom - top) * (right - left) <= (1 - share) * height * width + height + width


@pytest.mark.parametrize(
    ("share", "y", "x", "wanted"),
    [
        (0.75, 0.5, 0.5, (25, 75, 50, 150)),  # a quarter of the area: half of each side
        (0.75, 0.0, 0.0, (0, 25, 0, 50)),  # cut off at the corner
        (1.0, 0.3, 0.3, (30, 30, 60, 60)),  # nothing
        (0.0, 0.5, 0.5, (0, 100, 0, 200)),  # everything
    ],
)
def test_boxes_by_hand(share: float, y: float, x: float, wanted: tuple[int, ...]) -> None:
    assert box(100, 200, share, y, x) == wanted


def test_a_seed_gives_the_same_and_another_one_something_else() -> None:
    both = MixConfig(mixup=0.4, cutmix=1.0)
    first, again, other = (mix(both, images(), LABELS, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first.images, again.images)
    assert first.share == again.share != other.share
    # The same from release to release, so that a run resumed after an update goes on as it was.
    assert [first.share, other.share] == pytest.approx([0.72, 0.615])


def test_both_come_about_equally_often() -> None:
    both = MixConfig(mixup=1.0, cutmix=1.0)
    cuts = 0
    for seed in range(200):
        found = mix(both, images(), LABELS, seed=seed).images[0]
        cuts += bool(torch.isin(found, torch.tensor([1.0, 4.0])).all())
    assert 75 <= cuts <= 125


def test_the_loss_is_that_of_soft_labels() -> None:
    """For cross-entropy; the formula in the module's docstring."""
    torch.manual_seed(0)
    logits = torch.randn(4, 5)
    mixed = Mixed(images(), LABELS, LABELS.flip(0), 0.3)
    loss = CrossEntropy()
    soft = torch.zeros(4, 5)
    soft[range(4), LABELS] += 0.3
    soft[range(4), LABELS.flip(0)] += 0.7
    wanted = torch.nn.functional.cross_entropy(logits, soft)
    torch.testing.assert_close(mixed.loss(lambda labels: loss(logits, labels)), wanted)
    assert torch.equal(mixed.main_labels, LABELS.flip(0))


@pytest.mark.parametrize(("share", "own"), [(0.49, False), (0.5, True), (0.8, True)])
def test_accuracy_counts_the_photo_with_the_larger_share(share: float, own: bool) -> None:
    mixed = Mixed(images(), LABELS, LABELS.flip(0), share)
    assert torch.equal(mixed.main_labels, LABELS if own else LABELS.flip(0))


def test_margins_and_weights_go_to_each_label() -> None:
    torch.manual_seed(0)
    logits = torch.randn(4, 5)
    loss, weights = LDAM(torch.tensor([90, 9, 5, 2, 1])), torch.rand(5)
    mixed = Mixed(images(), LABELS, LABELS.flip(0), 0.8)
    parts = [loss(logits, labels, weights) for labels in (LABELS, LABELS.flip(0))]
    found = mixed.loss(lambda labels: loss(logits, labels, weights))
    torch.testing.assert_close(found, 0.8 * parts[0] + 0.2 * parts[1])


@pytest.mark.parametrize("name", ["ce", "ldam", "logit_adjustment", "arcface"])
def test_gradients_are_those_of_both_losses(name: LossName) -> None:
    """LDAM shifts the logits for a moment and puts them back: twice here, on the same tensor."""
    torch.manual_seed(0)
    counts, weights = torch.tensor([90, 9, 5, 2, 1]), torch.rand(5)
    loss = build_loss(LossConfig(name=name, label_smoothing=0.1), counts, 30.0, 30.0)
    logits = (torch.rand(4, 5) * 60 - 30).requires_grad_()
    mixed = Mixed(images(), LABELS, LABELS.flip(0), 0.3)
    (found,) = torch.autograd.grad(mixed.loss(lambda y: loss(logits, y, weights)), logits)
    wanted = torch.zeros_like(found)
    for share, labels in ((0.3, LABELS), (0.7, LABELS.flip(0))):
        apart = logits.detach().clone().requires_grad_()
        wanted += share * torch.autograd.grad(loss(apart, labels, weights), apart)[0]
    assert float(wanted.abs().sum()) > 0
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("alpha", [1e-6, 0.2, 1.0, 1e6])
def test_shares_lie_between_0_and_1_for_any_strength(alpha: float) -> None:
    for config in (MixConfig(mixup=alpha), MixConfig(cutmix=alpha)):
        mixed = [mix(config, images(), LABELS, seed=seed) for seed in range(50)]
        assert all(0 <= one.share <= 1 for one in mixed)
        assert all(bool(one.images.isfinite().all()) for one in mixed)
