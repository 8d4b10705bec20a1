"""Pictures that lie beside a run and its evaluations: PNG files, drawn by matplotlib."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from glr_fast.whole_files import write_whole
from shard_tools.fonts import fonts_for

LARGEST_PICTURE = 50
"""Classes of a confusion matrix that can be read as a picture."""

BLUE, ORANGE, MUTED, GRID = "#1d5fa6", "#d97a1e", "#566171", "#e4e8ee"


def draw_confusion(
    labels: np.ndarray, predicted: np.ndarray, names: Sequence[str], file: Path, title: str
) -> None:
    """Draw the confusion matrix as a PNG, rows normalised.

    Only the classes that are true or predicted somewhere; nothing at all where these are more than
    50, which nobody can read.

    Args:
        labels: true labels, shape (photos,).
        predicted: predicted labels, shape (photos,).
        names: of all classes, by label.
        file: where the picture goes.
        title: names run and split.
    """
    present: list[int] = np.union1d(labels, predicted).tolist()
    if not 0 < len(present) <= LARGEST_PICTURE:
        return
    counts = confusion_matrix(labels, predicted, labels=present)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 3.4 + 0.42 * len(present)
    shown = [shorten(names[label]) for label in present]
    with fonts_for([*shown, title]):  # a text takes its fonts when it is made
        figure = Figure(figsize=(side, side), layout="constrained")  # no pyplot: no display
        axes = figure.add_subplot()
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        ticks = np.arange(len(present))
        axes.set_xticks(ticks, shown, rotation=60, ha="right", rotation_mode="anchor")
        axes.set_yticks(ticks, shown)
        axes.set(xlabel="predicted", ylabel="true")
        for row, column in np.argwhere(counts):
            colour = "white" if share[row, column] > 0.5 else "black"
            text = str(counts[row, column])
            axes.text(column, row, text, ha="center", va="center", color=colour)
        note = f"{len(labels):,} photos; colour: share of the true class"
        figure.suptitle(f"{title}\n{note}", fontsize=10)
        _save(figure, file)


def draw_learning_curves(
    steps: Mapping[str, Sequence[tuple[float, float]]], file: Path, title: str
) -> None:
    """Draw loss, accuracy and learning rate against the step, as a PNG.

    Args:
        steps: (step, value) by figure, as ``learning_curves`` reads them from ``metrics.jsonl``.
        file: where the picture goes.
        title: names the run.
    """
    right = {"train/accuracy": "training", "val/accuracy": "validation"}
    with fonts_for([title]):
        figure = Figure(figsize=(12, 3.8), layout="constrained")
        panels = figure.subplots(1, 3)
        _panel(panels[0], steps, "loss", {"train/loss": "training", "val/loss": "validation"})
        _panel(panels[1], steps, "accuracy", right | {"val/macro_f1": "validation, macro F1"})
        _panel(panels[2], steps, "learning rate", {"train/lr": ""})
        panels[1].set_ylim(0, 1)
        figure.suptitle(title, fontsize=11)
        _save(figure, file)


def _panel(
    axes: Axes,
    steps: Mapping[str, Sequence[tuple[float, float]]],
    title: str,
    lines: Mapping[str, str],
) -> None:
    styles: list[dict[str, Any]] = [
        {"color": BLUE},
        {"color": ORANGE, "marker": "o", "markersize": 4},
        {"color": MUTED, "marker": "s", "markersize": 4, "linestyle": "--"},
    ]
    for (key, name), style in zip(lines.items(), styles, strict=False):
        if steps.get(key):
            x, y = zip(*steps[key], strict=True)
            axes.plot(x, y, label=name, linewidth=1.8, **style)
    axes.set(title=title, xlabel="step")
    axes.grid(axis="y", color=GRID)
    axes.spines[["top", "right"]].set_visible(False)
    if any(steps.get(key) and name for key, name in lines.items()):
        axes.legend(frameon=False)


def shorten(name: str, most: int = 24) -> str:
    """A name that fits beside a picture."""
    return name if len(name) <= most else name[: most - 1] + "…"


def _save(figure: Figure, file: Path) -> None:
    content = io.BytesIO()
    figure.savefig(content, dpi=100)
    write_whole(file, content.getvalue())
