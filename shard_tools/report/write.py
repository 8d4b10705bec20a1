"""Writes a report on a store, a source or a table of counts: one HTML file, and charts as PNGs.

Plotly, Jinja2 and matplotlib are in an extra, so they are imported only when a report is written.
"""

from __future__ import annotations

from pathlib import Path

from shard_tools.errors import StoreError
from shard_tools.files.atomic import write_text
from shard_tools.report.statistics import imbalance
from shard_tools.report.survey import take_survey
from shard_tools.sources.layout import SourceOptions

DEFAULT_SAMPLE = 2_000
"""Photos of a source whose headers are read."""


def write_report(
    path: Path,
    out: Path,
    sample: int = DEFAULT_SAMPLE,
    seed: int = 0,
    options: SourceOptions | None = None,
) -> list[Path]:
    """Write a report.

    Args:
        path: a store, any source that ``build`` takes, a label file, or a CSV of photos per class.
        out: the HTML file; PNGs are written beside it.
        sample: most photos of a source whose headers are read.
        seed: chooses the photos that are sampled and shown.
        options: how a source is read; None detects everything.

    Returns:
        The files that were written, the page first.

    Raises:
        StoreError: there is nothing to report on, ``out`` cannot be written, or the extra is not
            installed.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise StoreError(f"--out {out}: name an .html file")
    if not out.parent.is_dir():
        raise StoreError(f"--out {out}: there is no folder {out.parent}; create it first")
    try:
        from shard_tools.report.charts_png import write_pngs
        from shard_tools.report.page import render
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        raise StoreError(
            f"glr-shard eda needs {missing}, which is not installed; "
            "pip install 'glr-fast[eda]' (in a checkout: pip install -e '.[eda]')"
        ) from None
    survey = take_survey(path, sample, seed, options)
    figures = imbalance(survey.counts.total)
    try:
        write_text(out, render(survey, figures))
        return [out, *write_pngs(survey, figures, out)]
    except OSError as error:
        raise StoreError(f"--out {out}: cannot be written ({error.strerror})") from None
