"""The page of a report: one self-contained HTML file that fetches nothing (Jinja2, plotly.js).

Only the ``eda`` command imports this module: Jinja2 and plotly are in the extra ``eda``.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from shard_tools.report.charts_html import charts
from shard_tools.report.statistics import SMALL_CLASS, Imbalance
from shard_tools.report.survey import Portrait, Survey

_KINDS = {
    "store": "A store built by glr-shard",
    "source": "A source of photos, not yet packed",
    "labels": "A label file; no photos were opened",
    "counts": "A table of photos per class",
}
_BOX = "Box: middle half and median. Whiskers: 1st to 99th percentile. Dots: extremes."


def render(survey: Survey, figures: Imbalance) -> str:
    """The whole page as HTML."""
    drawn = charts(survey, figures)
    environment = Environment(
        loader=PackageLoader("shard_tools.report"), autoescape=True, undefined=StrictUndefined
    )
    data = {name: json.loads(figure.to_json() or "{}") for name, figure in drawn.items()}
    return environment.get_template("report.html.j2").render(
        title=survey.counts.where.resolve().name,
        subtitle=f"{_KINDS[survey.counts.kind]}: {survey.counts.where}",
        headline=_headline(survey, figures),
        charts=data,
        # Only "</" could end the script element early.
        charts_json=Markup(json.dumps(data).replace("</", "<\\/")),
        plotly_js=Markup(get_plotlyjs()),
        texts=_texts(survey, figures),
        splits=_splits(survey),
        rejected=_bars(survey.rejected),
        duplicates=_bars(survey.duplicates),
        largest=[_card(portrait) for portrait in survey.largest],
        rarest=[_card(portrait) for portrait in survey.rarest],
        photos=survey.counts.kind in ("store", "source"),
        footer="Made by glr-shard eda. This file is self-contained and fetches nothing.",
    )


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
    return {
        "frequency": f"Classes from largest to smallest. The largest has {figures.max:,} photos; "
        f"half of all classes have {figures.median:g} or fewer.",
        "histogram": f"{figures.small:.1%} of the classes have fewer than {SMALL_CLASS} photos.",
        "concentration": f"Half of all photos are in the {figures.half:,} largest classes, "
        f"{share:.1%} of all classes.",
        "boxes": f"Classes without photos are left out. {_BOX}",
        "splits": "Photos for training, validation and testing.",
        "rejected": _left_out(survey),
        "duplicates": "Identical files and near-identical pictures; duplicates.csv lists them.",
        "properties": f"{looked_at}. {_BOX}",
        "largest": "Each with one of its photos, drawn at random."
        if survey.properties
        else "By number of photos.",
        "rarest": "Those with the fewest photos; ties go to the last by id.",
    }


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


def _card(portrait: Portrait) -> dict[str, str]:
    image = ""
    if portrait.thumbnail:
        image = f"data:image/jpeg;base64,{base64.b64encode(portrait.thumbnail).decode()}"
    number = f"{portrait.photos:,} photo{'s' if portrait.photos != 1 else ''}"
    return {
        "title": portrait.title,
        "landmark_id": portrait.landmark_id,
        "photos": number,
        "image": image,
    }
