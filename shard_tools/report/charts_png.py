"""The charts of a report as PNG files (matplotlib), for slides and for use without a browser.

Only the ``eda`` command imports this module: matplotlib is in the extra ``eda``.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from shard_tools.files.atomic import atomic_open
from shard_tools.report.statistics import Box, Imbalance, concentration, frequency_curve, size_bands
from shard_tools.report.style import (
    BLUE,
    GRID,
    INK,
    MUTED,
    ORANGE,
    PROPERTY_AXES,
    SPLIT_COLOURS,
    scaled,
)
from shard_tools.report.survey import Survey

_STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.edgecolor": "#c5ccd6",
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "axes.axisbelow": True,
}
_COMMAS = FuncFormatter(lambda value, _: f"{value:,.6g}")


def write_pngs(survey: Survey, figures: Imbalance, report: Path) -> list[Path]:
    """Write every chart beside a report: ``report-frequency.png`` and so on.

    Raises:
        OSError: a file cannot be written.
    """
    total = survey.counts.total
    drawn: dict[str, Callable[[Axes], None]] = {
        "frequency": lambda axes: _frequency(axes, total),
        "histogram": lambda axes: _histogram(axes, total),
        "concentration": lambda axes: _concentration(axes, total, figures),
    }
    files = []
    with mpl.rc_context(_STYLE):
        for name, draw in drawn.items():
            figure = Figure(figsize=(8, 4.5), layout="constrained")
            draw(figure.subplots())
            files.append(_save(figure, report, name))
        files.append(_save(_boxes(survey), report, "boxes"))
    return files


def _save(figure: Figure, report: Path, name: str) -> Path:
    path = report.with_name(f"{report.stem}-{name}.png")
    data = io.BytesIO()
    figure.savefig(data, dpi=150, metadata={"Software": None})
    with atomic_open(path) as file:
        file.write(data.getvalue())
    return path


def _frequency(axes: Axes, counts: np.ndarray) -> None:
    ranks, photos = frequency_curve(counts)
    axes.step([*ranks, ranks[-1] + 1], [*photos, photos[-1]], where="post", color=BLUE, linewidth=2)
    axes.set_xlim(left=0)
    axes.set(title="Photos per class", xlabel="classes, largest first", ylabel="photos")
    axes.set_yscale("log")
    axes.grid(axis="y")
    axes.xaxis.set_major_formatter(_COMMAS)
    axes.yaxis.set_major_formatter(_COMMAS)


def _histogram(axes: Axes, counts: np.ndarray) -> None:
    bands = size_bands(counts)
    classes, photos = sum(band.classes for band in bands), sum(band.photos for band in bands)
    place = np.arange(len(bands))
    axes.bar(
        place - 0.2,
        [100 * band.classes / classes for band in bands],
        width=0.38,
        color=BLUE,
        label="of the classes",
    )
    axes.bar(
        place + 0.2,
        [100 * band.photos / photos for band in bands],
        width=0.38,
        color=ORANGE,
        hatch="///",
        edgecolor="white",
        linewidth=0,
        label="of the photos",
    )
    axes.set_xticks(place, [band.label for band in bands], rotation=40, ha="right")
    axes.set(title="Classes by size", xlabel="photos per class", ylabel="share, %")
    axes.grid(axis="y")
    axes.legend(frameon=False)


def _concentration(axes: Axes, counts: np.ndarray, figures: Imbalance) -> None:
    classes, photos = concentration(counts)
    axes.plot(100 * classes, 100 * photos, color=BLUE, linewidth=2, label="photos held")
    axes.plot([0, 100], [0, 100], color=MUTED, linestyle="--", label="if all classes were equal")
    half = 100 * figures.half / figures.classes
    axes.annotate(
        f"half: {figures.half:,} classes",
        (half, 50),
        (half + 8, 40),
        arrowprops={"arrowstyle": "-", "color": MUTED},
    )
    axes.set(title="Share held by the largest classes", xlim=(0, 100), ylim=(0, 102))
    axes.set(xlabel="largest classes, % of all", ylabel="photos held, %")
    axes.grid(axis="y")
    axes.legend(frameon=False, loc="lower right")


def _boxes(survey: Survey) -> Figure:
    """Photos per class and, if photos were looked at, their properties."""
    splits = {
        name: (Box.of(values[values > 0]), SPLIT_COLOURS.get(name, BLUE))
        for name, values in survey.counts.splits.items()
        if values.any()
    }
    panels = [("Photos per class", "photos", True, splits)]
    for name, values in survey.properties.items():
        title, unit, factor, log = PROPERTY_AXES[name]
        panels.append((title, unit, log, {"": (scaled(Box.of(values), factor), BLUE)}))
    heights = [0.9 + 0.55 * len(boxes) for *_, boxes in panels]
    figure = Figure(figsize=(8, sum(heights) + 0.3), layout="constrained")
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    for axes, (title, unit, log, boxes) in zip(grid[:, 0], panels, strict=True):
        _box_panel(axes, boxes)
        axes.set(title=title, xlabel=unit)
        if log:
            axes.set_xscale("log")
        axes.xaxis.set_major_formatter(_COMMAS)
        axes.grid(axis="x")
    return figure


def _box_panel(axes: Axes, boxes: dict[str, tuple[Box, str]]) -> None:
    for place, (name, (box, colour)) in enumerate(reversed(boxes.items())):
        numbers = {
            "label": name,
            "whislo": box.low,
            "q1": box.q1,
            "med": box.median,
            "q3": box.q3,
            "whishi": box.high,
            "fliers": [box.min, box.max],
        }
        line = {"color": colour, "linewidth": 1.8}
        axes.bxp(
            [numbers],
            positions=[place],
            orientation="horizontal",
            widths=0.5,
            patch_artist=True,
            boxprops={"facecolor": f"{colour}2e", "edgecolor": colour, "linewidth": 1.8},
            medianprops=line,
            whiskerprops=line,
            capprops=line,
            flierprops={"markeredgecolor": colour, "marker": "o", "markersize": 5},
            manage_ticks=False,
        )
    axes.set_yticks(range(len(boxes)), list(reversed(boxes)))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, len(boxes) - 0.4)
