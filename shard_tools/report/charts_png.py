"""The charts of a report as PNG files (matplotlib), for slides and for use without a browser.

Only the ``eda`` command imports this module: matplotlib is in the extra ``eda``.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shard_tools.files.atomic import atomic_open
from shard_tools.fonts import fonts_for
from shard_tools.pages import NARROWEST
from shard_tools.report.axes_png import round_ticks, whole
from shard_tools.report.boxes_png import spread
from shard_tools.report.statistics import (
    Imbalance,
    concentration,
    frequency_curve,
    largest,
    size_bands,
)
from shard_tools.report.style import (
    COLOURS,
    FEW_CLASSES,
    GRID,
    INK,
    MUTED,
    shorten,
    split_style,
)
from shard_tools.report.survey import Survey

BLUE, ORANGE = COLOURS["blue"], COLOURS["orange"]
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


def write_pngs(survey: Survey, figures: Imbalance, report: Path) -> list[Path]:
    """Write every chart beside a report: ``report-frequency.png`` and so on.

    Raises:
        OSError: a file cannot be written.
    """
    total = survey.counts.total
    few = largest(total, FEW_CLASSES) if figures.classes <= FEW_CLASSES else None
    names = [] if few is None else [shorten(survey.counts.title(n), 34) for n in few.tolist()]
    drawn: dict[str, Callable[[Axes], None]] = {
        "frequency": (lambda axes: _frequency(axes, total, figures))
        if few is None
        else lambda axes: _named(axes, survey.counts.splits, few, names),
        "histogram": lambda axes: _histogram(axes, total),
        "concentration": lambda axes: _concentration(axes, total, figures),
    }
    files = []
    with mpl.rc_context(_STYLE), fonts_for(names):
        for name, draw in drawn.items():
            height = max(4.5, 1.3 + 0.26 * len(names)) if name == "frequency" else 4.5
            figure = Figure(figsize=(8, height), layout="constrained")
            draw(figure.subplots())
            files.append(_save(figure, report, name))
        files.append(_save(spread(survey), report, "boxes"))
    return files


def _save(figure: Figure, report: Path, name: str) -> Path:
    path = report.with_name(f"{report.stem}-{name}.png")
    data = io.BytesIO()
    figure.savefig(data, dpi=150, metadata={"Software": None})
    with atomic_open(path) as file:
        file.write(data.getvalue())
    return path


def _named(
    axes: Axes, splits: Mapping[str, np.ndarray], labels: np.ndarray, names: Sequence[str]
) -> None:
    """A bar for each class with its name, split by split."""
    place, start = np.arange(len(labels)), np.zeros(len(labels))
    for split, photos in splits.items():
        colour, pattern = split_style(split)
        look: dict[str, Any] = {
            "color": COLOURS[colour],
            "hatch": 2 * pattern,
            "edgecolor": "white",
        }
        axes.barh(place, photos[labels], 0.7, start, label=split, linewidth=0, **look)
        start = start + photos[labels]
    for row, number in enumerate(start):
        note = {"ha": "left", "va": "center", "color": MUTED, "fontsize": 9}
        axes.annotate(f"{number:,.0f}", (number, row), (4, 0), textcoords="offset points", **note)
    axes.set_yticks(place, names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set(title="Photos per class", xlabel="photos", xlim=(0, 1.1 * start.max()))
    whole(axes.xaxis)
    axes.grid(axis="x")
    if len(splits) > 1:
        axes.legend(frameon=False, loc="lower right")


def _frequency(axes: Axes, counts: np.ndarray, figures: Imbalance) -> None:
    ranks, photos = frequency_curve(counts)
    line = {"where": "post", "color": BLUE, "linewidth": 2}
    axes.step([*ranks, ranks[-1] + 1], [*photos, photos[-1]], **line)
    axes.set_xlim(left=0)
    axes.set(title="Photos per class", xlabel="classes, largest first", ylabel="photos")
    if figures.max >= NARROWEST * figures.min:
        axes.set_yscale("log")
        round_ticks(axes.yaxis, figures.min, figures.max)
    else:
        axes.set_ylim(bottom=0)
        whole(axes.yaxis)
    axes.grid(axis="y")
    whole(axes.xaxis)


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
