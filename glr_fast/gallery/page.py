"""The files of a gallery: a page, and where the photos are many, their data in scripts beside it.

A page that is opened from disk may not fetch, but may load scripts: so the data are scripts, one
for every ``PART`` photos, in the order in which the page shows them.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean as mean
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from shard_tools.pages.environment import page_template, script_data

MARK = '<meta name="generator" content="glr-predict">'
"""By this line a page is known to be one of these."""
PART = 500
"""Photos of one script."""
INDEX, DATA, THUMBS = "index.html", "data", "thumbs"
"""All that a gallery's folder holds."""
EMBEDDED = 300
"""Photos of a page that carries its thumbnails itself, at most."""
_EMBEDDED_BYTES = 3_300_000
"""Of those thumbnails; a third more as text."""
_NAMED = 500
"""Unreadable files that the page names."""


@dataclass(frozen=True)
class Entry:
    """A photo of the page."""

    path: str
    """What to call it."""
    link: str | None
    """Path of the photo itself, relative to the page."""
    labels: list[int]
    """Most probable labels, best first."""
    probabilities: list[float]
    """Of those labels."""
    unsure: bool
    """Whether it is shown among the unsure ones."""
    thumb: str
    """File of the thumbnail, relative to the page."""
    size: tuple[int, int]
    """Width and height of the thumbnail, in pixels."""
    bytes: int
    """Of the thumbnail."""


@dataclass(frozen=True)
class Facts:
    """What the page says beside the photos."""

    title: str
    """Of the page."""
    model: str
    """Which model it was, in words."""
    threshold: str
    """What makes a photo unsure, in words; empty where nothing does."""
    rejected: Sequence[tuple[str, str]]
    """Path of each unreadable file, and the reason."""


def write_page(
    folder: Path,
    entries: Sequence[Entry],
    names: Sequence[str],
    landmark_ids: Sequence[str],
    facts: Facts,
) -> None:
    """Write ``index.html`` and what it needs into a folder that holds the thumbnails.

    Args:
        folder: of the page.
        entries: the photos.
        names: of the classes, by label.
        landmark_ids: of the classes, by label.
        facts: the rest.
    """
    ordered, groups = _ordered(entries)
    embedded = len(entries) <= EMBEDDED and sum(e.bytes for e in entries) <= _EMBEDDED_BYTES
    parts = [ordered[first : first + PART] for first in range(0, len(ordered), PART)]
    own = []
    for number, part in enumerate(parts):
        data = _part(folder, part, names, landmark_ids, embedded)
        if embedded:
            own.append(data)
        else:
            (folder / DATA).mkdir(exist_ok=True)
            script = f"gallery.part({number}, {script_data(data)});\n"
            (folder / DATA / f"{number:04d}.js").write_text(script, encoding="utf-8")
    data = {
        "part": PART,
        "photos": len(entries),
        "groups": [[names[g[0]], landmark_ids[g[0]], *g[1:]] for g in groups],
        "unsure": sum(e.unsure for e in entries),
        "rejected": [list(line) for line in facts.rejected[:_NAMED]],
        "rejected_count": len(facts.rejected),
        "own": own,
    }
    template = page_template("glr_fast.gallery", "gallery.html.j2")
    page = template.render(mark=Markup(MARK), facts=facts, data=script_data(data))
    (folder / INDEX).write_text(page, encoding="utf-8")
    if embedded:
        for entry in entries:
            (folder / entry.thumb).unlink()
        for place in sorted((folder / THUMBS).glob("*")):
            place.rmdir()
        if entries:
            (folder / THUMBS).rmdir()


def _ordered(entries: Sequence[Entry]) -> tuple[list[Entry], list[list[Any]]]:
    """Photos by landmark, the largest first, most probable first, the unsure ones at the end.

    Returns:
        The photos, and for each landmark: label, row of its first photo, photos, mean probability.
    """

    def label(entry: Entry) -> int:
        return entry.labels[0]

    def best(entry: Entry) -> float:
        return -entry.probabilities[0]

    sure = sorted((e for e in entries if not e.unsure), key=lambda e: (label(e), best(e)))
    found = [(name, list(photos)) for name, photos in groupby(sure, label)]
    found.sort(key=lambda pair: -len(pair[1]))
    ordered: list[Entry] = []
    groups: list[list[Any]] = []
    for name, photos in found:
        sure_of = mean(e.probabilities[0] for e in photos)
        groups.append([name, len(ordered), len(photos), round(sure_of, 4)])
        ordered += photos
    return ordered + sorted((e for e in entries if e.unsure), key=best), groups


def _part(
    folder: Path,
    entries: Sequence[Entry],
    names: Sequence[str],
    landmark_ids: Sequence[str],
    embedded: bool,
) -> dict[str, Any]:
    """Photos as the script of the page takes them, and the names that they need."""
    labels = sorted({label for entry in entries for label in entry.labels})
    place = {label: number for number, label in enumerate(labels)}
    rows = []
    for entry in entries:
        source = entry.thumb
        if embedded:
            data = base64.b64encode((folder / entry.thumb).read_bytes()).decode()
            source = f"data:image/jpeg;base64,{data}"
        answers = [
            [place[label], float(f"{p:.4g}")]
            for label, p in zip(entry.labels, entry.probabilities, strict=True)
        ]
        link = "" if entry.link is None else quote(entry.link)
        rows.append([entry.path, source, *entry.size, answers, link])
    return {"names": [[names[label], landmark_ids[label]] for label in labels], "rows": rows}
