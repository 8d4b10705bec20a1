"""The page of a report: one self-contained HTML file that fetches nothing (Jinja2, plotly.js).

Only the ``eda`` command imports this module: Jinja2 and plotly are in the extra ``eda``.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from shard_tools.pages.environment import page_template, plotly_script, script_data
from shard_tools.report.charts_html import charts
from shard_tools.report.class_counts import ClassCounts
from shard_tools.report.duplicates_shown import DuplicateGroup
from shard_tools.report.statistics import SMALL_CLASS, Box, Imbalance
from shard_tools.report.survey import Portrait, Survey

_KINDS = {
    "store": "A store built by glr-shard",
    "source": "A source of photos, not yet packed",
    "labels": "A label file; no photos were opened",
    "counts": "A table of photos per class",
}
_BOX = "Box: middle half and median. Whiskers: 1st to 99th percentile. Dots: extremes."
_BARS = "Bars: how many there are of each."


def render(survey: Survey, figures: Imbalance) -> str:
    """The whole page as HTML."""
    drawn = charts(survey, figures)
    pictures: list[str] = []
    data = {"charts": drawn, "classes": class_columns(survey.counts), "photos": pictures}
    largest, rarest = (
        [_card(portrait, pictures) for portrait in portraits]
        for portraits in (survey.largest, survey.rarest)
    )
    groups = {
        "Label conflicts": _groups(survey.duplicates.conflicts, pictures),
        "Duplicates of one class": _groups(survey.duplicates.others, pictures),
    }
    template = page_template("shard_tools.report", "report.html.j2")
    return template.render(
        title=survey.counts.where.resolve().name,
        subtitle=f"{_KINDS[survey.counts.kind]}: {survey.counts.where}",
        headline=_headline(survey, figures),
        charts=drawn,
        texts=_texts(survey, figures),
        named="names" in drawn["frequency"],
        classes=figures.classes,
        splits=_splits(survey),
        rejected=_bars(survey.rejected),
        duplicates=_bars(survey.duplicates.counts),
        groups=groups,
        largest=largest,
        rarest=rarest,
        photos=survey.counts.kind in ("store", "source"),
        data=script_data(data),
        plotly_js=plotly_script(),
        footer="Made by glr-shard eda. This file is self-contained and fetches nothing.",
    )


def class_columns(counts: ClassCounts) -> dict[str, Any]:
    """The table of all classes by columns, which is shorter than row by row.

    Only what cannot be found from the rest: no names where the ids are the names, no sums.
    """
    some = np.flatnonzero(counts.total)
    ids = counts.landmark_ids.take(pa.array(some)).to_pylist()
    names = counts.names.take(pa.array(some)).to_pylist()
    named = any(name and name != id_ for name, id_ in zip(names, ids, strict=True))
    splits = {split: values[some].tolist() for split, values in counts.splits.items()}
    return {"id": ids, "name": names if named else None, "splits": splits}


def _headline(survey: Survey, figures: Imbalance) -> list[dict[str, str]]:
    items = [
        ("Photos", f"{figures.photos:,}", _size(survey)),
        ("Classes", f"{figures.classes:,}", f"{figures.singletons:,} with a single photo"),
        ("Largest class", f"{figures.max:,}", f"{figures.max / figures.photos:.2%} of all photos"),
        ("Median class", f"{figures.median:g}", f"mean {figures.mean:.1f}, smallest {figures.min}"),
        ("Gini", f"{figures.gini:.3f}", "0: all classes equal, 1: one has all"),
        (f"Under {SMALL_CLASS} photos", f"{figures.small:.1%}", "of the classes"),
        ("Largest : smallest", f"{figures.ratio:,.0f} : 1", f"of {figures.classes:,} classes"),
        ("Half of the photos", f"{figures.half:,}", "are in that many classes"),
    ]
    return [{"name": name, "value": value, "note": note} for name, value, note in items]


def _size(survey: Survey) -> str:
    size = survey.properties.get("bytes")
    if size is None:
        return "no photos were opened"
    if survey.counts.kind == "store":
        return f"{_gigabytes(float(size.sum()))} of JPEG"
    return f"about {_gigabytes(float(size.mean() * survey.counts.total.sum()))}"


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def _texts(survey: Survey, figures: Imbalance) -> dict[str, str]:
    share = figures.half / figures.classes
    looked_at = survey.looked_at[0].upper() + survey.looked_at[1:]
    boxes = [Box.of(values).degenerate for values in survey.properties.values()]
    sizes = [values[values > 0] for values in survey.counts.splits.values() if values.any()]
    # A chart of properties says by its bars that it has no boxes; the texts explain what is there.
    looks = [text for text, used in ((_BOX, not all(boxes)), (_BARS, any(boxes))) if used]
    twins = survey.duplicates
    return {
        "frequency": f"Classes from largest to smallest. The largest has {figures.max:,} photos; "
        f"half of all classes have {figures.median:g} or fewer.",
        "histogram": f"{figures.small:.1%} of the classes have fewer than {SMALL_CLASS} photos.",
        "concentration": f"Half of all photos are in the {figures.half:,} largest classes, "
        f"{share:.1%} of all classes.",
        "boxes": "Classes without photos are left out. "
        + (_BARS if any(Box.of(values).degenerate for values in sizes) else _BOX),
        "splits": "Photos for training, validation and testing.",
        "rejected": _left_out(survey),
        "duplicates": "Identical files and near-identical pictures; duplicates.csv lists them.",
        "properties": f"{looked_at}. {' '.join(looks)}",
        "largest": "Each with some of its photos, drawn at random."
        if survey.properties
        else "By number of photos.",
        "rarest": "Those with the fewest photos; ties go to the last by id.",
        "Label conflicts": "The same picture has more than one label; at least one of them is "
        "wrong, or the picture shows both. " + _listed(len(twins.conflicts), twins.all_conflicts),
        "Duplicates of one class": "Near-identical pictures first, then identical files. "
        + _listed(len(twins.others), twins.all_others),
    }


def _listed(shown: int, total: int) -> str:
    some = f"{shown} of {total:,} groups are shown; " if shown < total else ""
    return f"{some}duplicates.csv lists all groups."


def _left_out(survey: Survey) -> str:
    if survey.counts.kind == "store":
        return "rejected.csv lists each of them." if survey.rejected else "No photo was rejected."
    found = "Found from files and labels alone" if survey.rejected else "None so far"
    return f"{found}; photos are decoded only when a store is built."


def _splits(survey: Survey) -> list[dict[str, Any]]:
    if len(survey.counts.splits) == 1:
        return []
    photos = {name: int(values.sum()) for name, values in survey.counts.splits.items()}
    total = sum(photos.values())
    rows = _bars(photos)
    for row in rows:
        classes = int((survey.counts.splits[row["name"]] > 0).sum())
        row["name"] = f"{row['name']}: {photos[row['name']] / total:.1%}, {classes:,} classes"
    return rows


def _bars(numbers: dict[str, int]) -> list[dict[str, Any]]:
    most = max(numbers.values(), default=1) or 1
    return [
        {"name": name, "value": f"{number:,}", "width": round(100 * number / most, 1)}
        for name, number in numbers.items()
    ]


def _card(portrait: Portrait, pictures: list[str]) -> dict[str, Any]:
    """A class with the numbers of its pictures, which are added to ``pictures``."""
    return {
        "title": portrait.title,
        "landmark_id": portrait.landmark_id,
        "photos": _photos(portrait.photos),
        "pictures": [_add(pictures, thumbnail) for thumbnail in portrait.thumbnails],
    }


def _groups(groups: Sequence[DuplicateGroup], pictures: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "number": group.number,
            "photos": _photos(group.photos),
            "more": group.photos - len(group.shown),
            "copies": [
                {
                    "path": copy.path,
                    "title": copy.title,
                    "dropped": copy.dropped,
                    "picture": _add(pictures, copy.thumbnail) if copy.thumbnail else None,
                }
                for copy in group.shown
            ],
        }
        for group in groups
    ]


def _photos(number: int) -> str:
    return f"{number:,} photo{'s' if number != 1 else ''}"


def _add(pictures: list[str], thumbnail: bytes) -> int:
    """The number of a picture in the page, which holds each picture once."""
    text = base64.b64encode(thumbnail).decode()
    if text not in pictures:
        pictures.append(text)
    return pictures.index(text)
