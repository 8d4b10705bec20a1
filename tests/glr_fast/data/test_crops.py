"""Crop boxes: inside the photo, of the area and ratio asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glr_fast.data import crops


@given(
    width=st.integers(1, 5000),
    height=st.integers(1, 5000),
    seed=st.integers(0, 2**32 - 1),
    least=st.floats(0.01, 1),
)
def test_random_crops_lie_inside_the_photo(
    width: int, height: int, seed: int, least: float
) -> None:
    uniforms = np.random.default_rng(seed).random((8, crops.DRAWS))
    sizes = np.full(8, width), np.full(8, height)
    boxes = crops.random_resized_crop(uniforms, *sizes, (least, 1.0), (3 / 4, 4 / 3))
    top, left, h, w = boxes.T
    assert (h >= 1).all()
    assert (w >= 1).all()
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + h <= height).all()
    assert (left + w <= width).all()


def first_that_fits(
    uniforms: np.ndarray, width: int, height: int, least: float, most: float
) -> tuple[int, int, int, int] | None:
    """torchvision's RandomResizedCrop for one photo, with these random numbers; None: none fits."""
    low, high = np.log(3 / 4), np.log(4 / 3)
    for area, ratio in uniforms[: 2 * crops.TRIES].reshape(-1, 2):
        pixels = width * height * (least + (most - least) * area)
        aspect = np.exp(low + (high - low) * ratio)
        w, h = round(np.sqrt(pixels * aspect)), round(np.sqrt(pixels / aspect))
        if 0 < w <= width and 0 < h <= height:
            top, left = uniforms[-2] * (height - h + 1), uniforms[-1] * (width - w + 1)
            return int(top), int(left), h, w
    return None


@given(
    sizes=st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=8),
    seed=st.integers(0, 2**32 - 1),
    least=st.floats(0.001, 1),
    most=st.floats(0, 1),
)
def test_random_crops_are_those_of_torchvision(
    sizes: list[tuple[int, int]], seed: int, least: float, most: float
) -> None:
    assert (crops.TRIES, crops.DRAWS) == (10, 22)
    uniforms = np.random.default_rng(seed).random((len(sizes), crops.DRAWS))
    leasts = np.linspace(least, least / 2, len(sizes))
    most = max(most, least)
    widths, heights = np.array(sizes).T
    scale = (leasts, most)
    boxes = crops.random_resized_crop(uniforms, widths, heights, scale, (3 / 4, 4 / 3))
    for row, (width, height) in enumerate(sizes):
        wanted = first_that_fits(uniforms[row], width, height, leasts[row], most)
        assert wanted is None or tuple(boxes[row]) == wanted


def test_crops_are_spread_over_the_photo() -> None:
    uniforms = np.random.default_rng(0).random((20_000, crops.DRAWS))
    sizes = np.full(20_000, 300), np.full(20_000, 200)
    top, left, h, w = crops.random_resized_crop(uniforms, *sizes, (0.25, 0.5), (3 / 4, 4 / 3)).T
    for first, places in ((top, 201 - h), (left, 301 - w)):
        assert np.mean((first + 0.5) / places) == pytest.approx(0.5, abs=0.01)
        assert (first == 0).any()
        assert (first == places - 1).any()


def test_area_and_ratio_are_spread_over_their_ranges() -> None:
    uniforms = np.random.default_rng(0).random((20_000, crops.DRAWS))
    sizes = np.full(20_000, 1000), np.full(20_000, 1000)
    *_, h, w = crops.random_resized_crop(uniforms, *sizes, (0.25, 0.5), (3 / 4, 4 / 3)).T
    area = h * w / 1e6
    assert area.min() == pytest.approx(0.25, abs=0.01)
    assert area.max() == pytest.approx(0.5, abs=0.01)
    assert area.mean() == pytest.approx(0.375, abs=0.005)
    assert np.log(w / h).mean() == pytest.approx(0, abs=0.005)
    assert (w / h).max() == pytest.approx(4 / 3, abs=0.01)


@pytest.mark.parametrize(
    ("width", "height", "box"),
    [(6000, 40, (0, 2973, 40, 53)), (40, 6000, (2973, 0, 53, 40)), (1, 1, (0, 0, 1, 1))],
)
def test_a_photo_that_no_try_fits_is_cropped_at_its_centre(
    width: int, height: int, box: tuple[int, ...]
) -> None:
    uniforms = np.full((1, crops.DRAWS), 0.999)
    sizes = np.array([width]), np.array([height])
    boxes = crops.random_resized_crop(uniforms, *sizes, (1.0, 1.0), (3 / 4, 4 / 3))
    assert tuple(boxes[0]) == box


@pytest.mark.parametrize(
    ("width", "height", "box"),
    [
        (256, 256, (16, 16, 224, 224)),
        (341, 256, (16, 58, 224, 224)),
        (1, 1, (0, 0, 1, 1)),
        (6000, 40, (2, 2982, 35, 35)),
    ],
)
def test_centre_crop(width: int, height: int, box: tuple[int, ...]) -> None:
    boxes = crops.centre_crop(np.array([width]), np.array([height]), 0.875)
    assert tuple(boxes[0]) == box
