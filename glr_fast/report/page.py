"""The page of an evaluation: one HTML file that fetches nothing (Jinja2, plotly.js)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glr_fast.data import Store
from glr_fast.metrics import percent, too_few
from glr_fast.report.charts import charts
from glr_fast.report.curves import learning_curves
from glr_fast.report.photos import PhotoBook
from glr_fast.report.results import Results
from glr_fast.whole_files import write_atomically
from shard_tools.pages.environment import page_template, plotly_script, script_data

REPORT = "report.html"
PAIRS = 12
"""Most confused pairs that are shown with photos."""
OF_PAIR = 2
"""Photos of each pair, and examples of the predicted class beside them."""
CERTAIN = 24
"""Most certain mistakes that are shown."""
PHOTOS = 180
"""Thumbnails in the page: some 8 kB each."""
OF_CELL = 12
"""Photos listed for a cell of the confusion matrix."""


def write_report(folder: Path, run: Path, store: Store | None) -> Path:
    """Write ``report.html`` into the folder of an evaluation.

    Args:
        folder: what ``evaluate`` wrote.
        run: the run folder, for the learning curves; one without a log has none.
        store: where the photos are; None leaves them out, and the page says so. It says so, too,
            where the photos cannot be read.

    Returns:
        The page.

    Raises:
        ConfigError: the folder holds no whole evaluation.
    """
    file = folder / REPORT
    write_atomically(file, render(Results.read(folder), run, store))
    return file


def render(results: Results, run: Path, store: Store | None) -> str:
    """The whole page as HTML; the arguments are those of ``write_report``."""
    figures = results.figures
    book = PhotoBook(store, PHOTOS, [str(key) for key in results.mistakes["key"]])
    drawn = charts(results, learning_curves(run))
    pairs = [_pair(results, book, *pair) for pair in results.pairs(PAIRS)]
    certain = [_card(row, book) for row in results.mistakes.head(CERTAIN).itertuples()]
    data = {
        "charts": drawn,
        "cells": _cells(results, book),
        "classes": _class_columns(results.classes),
        "photos": book.thumbnails,
    }
    shown = len(drawn["confusion"]["names"]) if "confusion" in drawn else 0
    template = page_template("glr_fast.report", "report.html.j2")
    return template.render(
        title=run.resolve().name,
        subtitle=_subtitle(figures),
        warnings=figures.get("warnings", []),
        headline=_headline(figures),
        rows=_rows(figures),
        bands=_bands(figures),
        thresholds=_thresholds(figures),
        charts=drawn,
        shown=shown,
        all_shown=shown == len(results.names),
        classes=len(results.classes),
        mistakes=len(results.mistakes),
        pairs=pairs,
        certain=certain,
        photos=bool(book.thumbnails),
        problem=book.problem,
        ece=percent(figures["ece"], 1),
        data=script_data(data),
        plotly_js=plotly_script(),
    )


def _subtitle(figures: Mapping[str, Any]) -> str:
    splits = " and ".join(figures["splits"])
    text = f"{figures['model']}, {figures['checkpoint']} weights, on {splits} of {figures['store']}"
    unknown = figures.get("unknown_photos")
    if unknown:
        text += (
            f". {unknown:,} of the photos are of classes that the model does not know; they count "
            "for GAP and the thresholds only"
        )
    return text


def _headline(figures: Mapping[str, Any]) -> list[dict[str, str]]:
    items = [
        ("Accuracy", "accuracy"),
        ("Top-5 accuracy", "top5_accuracy"),
        ("Macro F1", "macro_f1"),
        ("GAP", "gap"),
    ]
    tiles = [
        {"name": name, "value": percent(figures[key], 1), "note": _interval(figures, key)}
        for name, key in items
    ]
    wrong = round(figures["photos"] * (1 - figures["accuracy"]))
    known = figures["classes"], figures.get("model_classes", figures["classes"])
    return [
        *tiles,
        {"name": "Photos", "value": f"{figures['photos']:,}", "note": f"{wrong:,} wrong"},
        {"name": "Classes", "value": f"{known[0]:,}", "note": f"of {known[1]:,} that it knows"},
        {
            "name": "Calibration error",
            "value": percent(figures["ece"], 1),
            "note": _interval(figures, "ece"),
        },
        {"name": "Loss", "value": f"{figures['loss']:.3f}", "note": _loss_note(figures)},
    ]


def _loss_note(figures: Mapping[str, Any]) -> str:
    interval = figures.get("intervals", {}).get("loss")
    return "{:.3f} to {:.3f}".format(*interval) if interval else "mean cross-entropy"


def _interval(figures: Mapping[str, Any], key: str) -> str:
    interval = figures.get("intervals", {}).get(key)
    return "{} to {}".format(*(percent(end, 1) for end in interval)) if interval else ""


def _rows(figures: Mapping[str, Any]) -> list[dict[str, str]]:
    names = [("Balanced accuracy", "balanced_accuracy")]
    for average in ("macro", "weighted"):
        for name in ("precision", "recall", "F1"):
            names.append((f"{average.capitalize()} {name}", f"{average}_{name.lower()}"))
    return [
        {"name": name, "value": percent(figures[key], 1), "interval": _interval(figures, key)}
        for name, key in names
    ]


def _bands(figures: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "name": f"{name.capitalize()}: {band['training_photos']} training photos",
            "note": f"{band['classes']:,} classes, {band['photos']:,} photos",
            "value": percent(band["accuracy"], 1),
            "interval": _interval(figures, f"accuracy_{name}"),
        }
        for name, band in figures["by_frequency"].items()
        if band["photos"]
    ]


def _thresholds(figures: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "precision": f"{float(wanted):.0%}",
            "probability": f"{found['probability']:.3f}" if found["accepted"] else "none",
            "coverage": percent(found["coverage"], 1) if found["accepted"] else "-",
            "accepted": f"{found['accepted']:,}",
            "remark": "too few to tell" if too_few(found, float(wanted)) else "",
        }
        for wanted, found in figures.get("thresholds", {}).items()
    ]


def _pair(
    results: Results, book: PhotoBook, true: int, predicted: int, photos: Any
) -> dict[str, Any]:
    first = photos.iloc[0]
    of_class = int((results.photos["label"] == true).sum())
    return {
        "true": first["name"],
        "predicted": first["predicted_name"],
        "photos": len(photos),
        "of": of_class,
        "wrong": [_card(row, book, 0) for row in photos.head(OF_PAIR).itertuples()],
        "examples": book.examples(first["predicted_id"], OF_PAIR, photos["key"].tolist()),
    }


def _card(row: Any, book: PhotoBook, examples: int = 1) -> dict[str, Any]:
    return {
        "photo": book.of_key(str(row.key)),
        "example": (book.examples(row.predicted_id, examples, [row.key]) or [None])[0],
        "true": row.name,
        "predicted": row.predicted_name,
        "confidence": percent(row.confidence, 1),
        "path": row.path or row.key,
    }


def _cells(results: Results, book: PhotoBook) -> dict[str, list[list[Any]]]:
    """The mistakes behind each cell of the confusion matrix: path, probability, thumbnail."""
    labels, _, _ = results.confusion
    place = {label: i for i, label in enumerate(labels)}
    cells: dict[str, list[list[Any]]] = {}
    for row in results.mistakes.itertuples():
        if row.label in place and row.predicted in place:
            cell = cells.setdefault(f"{place[row.label]},{place[row.predicted]}", [])
            if len(cell) < OF_CELL:
                probability = percent(row.confidence, 1)
                cell.append([row.path or row.key, probability, book.of_key(str(row.key))])
    return cells


def _class_columns(classes: Any) -> dict[str, list[Any]]:
    """The per-class table by columns: shorter than row by row."""
    columns = ["name", "landmark_id", "train", "photos", "precision", "recall", "f1", "taken_for"]
    rounded = classes[columns].round({"precision": 4, "recall": 4, "f1": 4})
    return {name: rounded[name].tolist() for name in columns}
