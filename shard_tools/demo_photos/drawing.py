"""Draws buildings, and takes photos of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Color = tuple[int, int, int]

STONES: tuple[Color, ...] = (
    (214, 190, 150),
    (168, 96, 74),
    (176, 176, 170),
    (236, 228, 214),
    (120, 108, 96),
)
SKIES: tuple[tuple[Color, Color], ...] = (
    ((70, 130, 210), (190, 215, 240)),
    ((150, 160, 170), (205, 210, 214)),
    ((90, 70, 120), (245, 160, 90)),
    ((20, 28, 60), (80, 80, 120)),
)
GROUNDS: tuple[Color, ...] = ((90, 120, 60), (170, 150, 110), (120, 120, 118), (60, 90, 120))
KINDS = ("temple", "cathedral", "mosque", "pyramid", "castle", "palace")


@dataclass(frozen=True)
class Shape:
    """A filled polygon of a building: metres-like units, x to the right, y upwards, ground at 0."""

    points: tuple[tuple[float, float], ...]
    shade: float
    """Brightness relative to the building's stone; negative: a colour of its own."""


def _box(x: float, y: float, w: float, h: float, shade: float = 1.0) -> Shape:
    return Shape(((x, y), (x + w, y), (x + w, y + h), (x, y + h)), shade)


def _arc(x: float, y: float, rx: float, ry: float, shade: float) -> Shape:
    angles = np.linspace(0, math.pi, 17)
    return Shape(tuple((x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles), shade)


def _tower(x: float, w: float, h: float, roof: float, shade: float) -> list[Shape]:
    """A tower with a pointed roof of height ``roof`` and two dark windows."""
    peak = Shape(((x - 0.1 * w, h), (x + 1.1 * w, h), (x + w / 2, h + roof)), 0.6)
    windows = [_box(x + 0.35 * w, f * h, 0.3 * w, 0.12 * h, 0.25) for f in (0.55, 0.8)]
    return [_box(x, 0, w, h, shade), peak, *windows]


def _openings(count: int, width: float, y: float, h: float, arched: bool) -> list[Shape]:
    """A row of dark doors or windows, spread over the building's width."""
    gap = width / count
    shapes = []
    for i in range(count):
        x = -width / 2 + gap * (i + 0.25)
        shapes.append(_box(x, y, gap / 2, h, 0.3))
        if arched:
            shapes.append(_arc(x + gap / 4, y + h, gap / 4, gap / 4, 0.3))
    return shapes


def draw_building(kind: str, rng: np.random.Generator) -> list[Shape]:
    """The shapes of one building, back to front, about 2 units wide."""
    width, height = rng.uniform(1.4, 2.2), rng.uniform(0.5, 0.9)
    count = int(rng.integers(3, 9))
    body = _box(-width / 2, 0, width, height)
    if kind == "temple":
        gable = Shape(
            ((-width / 2, height), (width / 2, height), (0, height + rng.uniform(0.2, 0.5))), 0.85
        )
        return [body, gable, *_openings(count, width, 0.08, height * 0.8, arched=False)]
    if kind == "cathedral":
        towers = [
            t
            for x in (-width / 2, width / 2 - 0.35)
            for t in _tower(x, 0.35, height * rng.uniform(1.3, 2), rng.uniform(0.2, 0.6), 0.9)
        ]
        rose = _arc(0, height * 0.6, 0.2, 0.2, 0.3)
        return [body, *towers, rose, *_openings(3, width * 0.5, 0, height * 0.3, arched=True)]
    if kind == "mosque":
        dome = _arc(0, height, width * rng.uniform(0.2, 0.4), rng.uniform(0.4, 0.8), 0.75)
        minarets = [
            s
            for x in rng.uniform(0.55, 0.75, 2) * width * np.array([-1, 1])
            for s in _tower(float(x), 0.12, height * 2, 0.25, 0.95)
        ]
        return [*minarets, dome, body, *_openings(count, width, 0.05, height * 0.4, arched=True)]
    if kind == "pyramid":
        steps = int(rng.integers(3, 9))
        top = rng.uniform(0.1, 0.5)
        tiers = [(width * 1.2 * (1 - (1 - top) * i / steps)) for i in range(steps)]
        stair = _box(-0.12, 0, 0.24, height * 1.6, 1.15)
        return [
            _box(-w / 2, height * 1.6 * i / steps, w, height * 1.6 / steps, 1 - 0.12 * (i % 2))
            for i, w in enumerate(tiers)
        ] + [stair]
    if kind == "castle":
        teeth = [
            _box(-width / 2 + width * i / (2 * count), height, width / (3 * count), 0.12, 0.95)
            for i in range(2 * count)
        ]
        towers = [
            s
            for x in np.linspace(-width / 2, width / 2 - 0.3, int(rng.integers(2, 5)))
            for s in _tower(float(x), 0.3, height * rng.uniform(1.2, 1.9), 0.3, 0.85)
        ]
        return [body, *teeth, *towers, _arc(0, 0, 0.2, 0.35, 0.2)]
    wings = [
        _box(x, 0, width * 0.25, height * rng.uniform(1.1, 1.5), 0.9)
        for x in (-width / 2, width / 4)
    ]
    rows = [
        s
        for y in (0.1, 0.45)
        for s in _openings(count, width, y * height, height * 0.2, arched=False)
    ]
    return [body, _arc(0, height, 0.35, rng.uniform(0.2, 0.6), 0.7), *wings, *rows]


@dataclass(frozen=True)
class Landmark:
    """One class: what every photo of it shows."""

    shapes: list[Shape]
    stone: Color

    @classmethod
    def of_class(cls, index: int, seed: int) -> Landmark:
        """The building of a class."""
        rng = np.random.default_rng([seed, index])
        shapes = draw_building(KINDS[index % len(KINDS)], rng)
        return cls(shapes, STONES[int(rng.integers(len(STONES)))])


def take_photo(landmark: Landmark, rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """One photo of a landmark: RGB, ``size`` is (width, height) in pixels."""
    photo = _backdrop(rng, size)
    pen = ImageDraw.Draw(photo)
    _draw_landmark(pen, landmark, rng, size)
    _draw_foreground(pen, rng, size)
    pixels = np.asarray(photo.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2))), np.float32)
    pixels = pixels * rng.uniform(0.75, 1.15) * rng.uniform(0.92, 1.08, 3) + rng.normal(
        0, 6, pixels.shape
    )
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _backdrop(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Sky with clouds above, ground below a horizon that differs from photo to photo."""
    width, height = size
    high, low = (np.array(c, float) for c in SKIES[int(rng.integers(len(SKIES)))])
    ramp = np.linspace(0, 1, height)[:, None, None]
    pixels = np.broadcast_to(high * (1 - ramp) + low * ramp, (height, width, 3)).astype(np.uint8)
    photo = Image.fromarray(pixels)
    pen = ImageDraw.Draw(photo)
    for _ in range(int(rng.integers(0, 6))):
        x, y, w = rng.uniform(0, width), rng.uniform(0, 0.4 * height), rng.uniform(20, width / 3)
        pen.ellipse(
            (x - w, y - w / 5, x + w, y + w / 5), fill=_scaled((245, 245, 245), rng.uniform(0.8, 1))
        )
    ground = GROUNDS[int(rng.integers(len(GROUNDS)))]
    pen.rectangle(
        (0, height * rng.uniform(0.66, 0.76), width, height),
        fill=_scaled(ground, rng.uniform(0.7, 1.2)),
    )
    return photo


def _draw_landmark(
    pen: ImageDraw.ImageDraw, landmark: Landmark, rng: np.random.Generator, size: tuple[int, int]
) -> None:
    """The building under a random camera: zoom, place, tilt and a sideways squeeze."""
    width, height = size
    zoom = rng.uniform(0.26, 0.42) * width
    angle, squeeze, skew = rng.uniform(-0.08, 0.08), rng.uniform(0.8, 1.1), rng.uniform(-0.12, 0.12)
    x0, y0 = width * rng.uniform(0.38, 0.62), height * rng.uniform(0.72, 0.84)
    light = rng.uniform(0.75, 1.1)
    for shape in landmark.shapes:
        points = []
        for x, y in shape.points:
            x, y = x * squeeze + skew * y, y * (1 + skew * x / 2)
            across, up = (
                x * math.cos(angle) - y * math.sin(angle),
                x * math.sin(angle) + y * math.cos(angle),
            )
            points.append((x0 + zoom * across, y0 - zoom * up))
        pen.polygon(points, fill=_scaled(landmark.stone, shape.shade * light))


def _draw_foreground(
    pen: ImageDraw.ImageDraw, rng: np.random.Generator, size: tuple[int, int]
) -> None:
    """Trees and people that hide parts of the building."""
    width, height = size
    for _ in range(int(rng.integers(0, 4))):
        x, r, y = (
            rng.uniform(0, width),
            rng.uniform(0.04, 0.1) * width,
            height * rng.uniform(0.68, 0.8),
        )
        pen.rectangle((x - r / 6, y, x + r / 6, y + 2 * r), fill=(70, 50, 35))
        pen.ellipse(
            (x - r, y - r, x + r, y + r), fill=_scaled((50, 100, 45), rng.uniform(0.6, 1.3))
        )
    for _ in range(int(rng.integers(0, 7))):
        x, y, h = (
            rng.uniform(0, width),
            height * rng.uniform(0.85, 0.97),
            height * rng.uniform(0.05, 0.12),
        )
        shirt = tuple(int(v) for v in rng.integers(30, 230, 3))
        pen.rectangle((x, y - h, x + h / 3, y), fill=shirt)
        pen.ellipse((x, y - 1.3 * h, x + h / 3, y - h), fill=(200, 160, 130))


def _scaled(color: Color, factor: float) -> Color:
    red, green, blue = (min(max(round(c * factor), 0), 255) for c in color)
    return red, green, blue
