"""Random erasing: rectangles as in the paper, and the same pixels on every backend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glr_fast.data.augment import DRAWS, Augmentation, erased_rectangles
from glr_fast.data.image_edits import erase
from glr_fast.data.plan import DRAWS_PER_PLACE
from tests.helpers.loaders import opened

numbers = st.floats(0, 1, exclude_max=True)
GREY = [124, 116, 104]
"""ImageNet's mean colour."""


@given(uniforms=st.lists(st.lists(numbers, min_size=5, max_size=5), min_size=1, max_size=8))
def test_rectangles_are_inside_and_of_the_papers_size(uniforms: list[list[float]]) -> None:
    boxes = erased_rectangles(np.array(uniforms), 1.0)
    top, left, height, width = boxes.astype(float).T
    assert (boxes >= 0).all()
    assert (top + height <= 1 + 1e-6).all()
    assert (left + width <= 1 + 1e-6).all()
    area, aspect = height * width, height / width
    assert (area <= 0.33 + 1e-6).all()
    assert (area >= 0.02 - 1e-6).all()
    assert (aspect >= 0.3 - 1e-4).all()
    assert (aspect <= 3.3 + 1e-4).all()


def test_as_many_as_the_probability_says() -> None:
    uniforms = np.random.default_rng(0).random((20_000, 5))
    chosen = (erased_rectangles(uniforms, 0.25)[:, 2] > 0).mean()
    assert chosen == pytest.approx(0.25, abs=0.01)
    assert not erased_rectangles(uniforms, 0.0).any()
    # Switching it on changes nothing else.
    sizes = np.full(50, 300), np.full(50, 200), np.zeros(50)
    draws = np.random.default_rng(1).random((50, DRAWS_PER_PLACE))
    assert DRAWS <= DRAWS_PER_PLACE
    plain, erasing = (Augmentation(color=0.3, erase=p).draw(draws, *sizes) for p in (0.0, 0.5))
    assert plain.erased is None
    for name in ("boxes", "flips", "colors"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(erasing, name))


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((0, 0, 1, 1), slice(0, 8), slice(0, 8)),
        ((0.25, 0.5, 0.25, 0.5), slice(2, 4), slice(4, 8)),
        ((0.3, 0, 0.3, 0.125), slice(2, 5), slice(0, 1)),  # centres 0.3125 to 0.5625
        ((0.5, 0.5, 0, 0), slice(0, 0), slice(0, 0)),
    ],
)
def test_pixels(box: tuple[float, ...], rows: slice, columns: slice) -> None:
    images = torch.full((2, 8, 8, 3), 7, dtype=torch.uint8)
    wanted = images.clone()
    wanted[1, rows, columns] = torch.tensor(GREY, dtype=torch.uint8)
    found = erase(images, np.array([(0, 0, 0, 0), box], np.float32))
    assert torch.equal(found, wanted)
    assert (images == 7).all()


def test_every_backend_erases_the_same_pixels(store: Path) -> None:
    masks = {}
    for backend in ("cpu", "dali", "reference"):
        how = {"batch_size": 16, "image_size": 64, "backend": backend}
        with (
            opened(store, "train", **how) as whole,
            opened(store, "train", erase=0.6, **how) as cut,
        ):
            pairs = list(zip(whole.epoch(1), cut.epoch(1), strict=True))
        fill = torch.tensor(GREY, dtype=torch.uint8).view(1, 3, 1, 1)
        masks[backend] = torch.cat([(b.images != a.images).any(1) for a, b in pairs])
        for a, b in pairs:
            assert a.rows.tolist() == b.rows.tolist()
            assert torch.equal(torch.where(b.images == a.images, a.images, fill), b.images)
    share = masks["cpu"].flatten(1).float().mean(1)
    assert 0.3 < (share > 0.01).float().mean() < 0.9
    for backend in ("dali", "reference"):
        # A pixel that was of that very colour does not show.
        assert (masks[backend] != masks["cpu"]).float().mean() < 1e-3


def test_evaluation_erases_nothing(store: Path) -> None:
    how = {"batch_size": 8, "image_size": 64}
    with opened(store, "test", **how) as plain, opened(store, "test", erase=1.0, **how) as erasing:
        for one, two in zip(plain.epoch(), erasing.epoch(), strict=True):
            assert torch.equal(one.images, two.images)
