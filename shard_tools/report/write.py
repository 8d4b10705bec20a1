"""``glr-shard eda``: a report on a store, a source or a table of counts: one HTML file, and PNGs.

Plotly, Jinja2 and matplotlib are imported here and only when the command runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from shard_tools.cli.arguments import located
from shard_tools.errors import StoreError
from shard_tools.files.atomic import write_text
from shard_tools.report.statistics import imbalance
from shard_tools.report.survey import take_survey
from shard_tools.sources.detect import LAYOUTS

DEFAULT_SAMPLE = 2_000


def write_report(
    path: Path,
    out: Path,
    sample: int = DEFAULT_SAMPLE,
    seed: int = 0,
    layout: str | None = None,
) -> list[Path]:
    """Write a report.

    Args:
        path: a store, a source as for ``build``, a label file, or a CSV of photos per class.
        out: the HTML file; PNGs are written beside it.
        sample: photos of a source whose headers are read, at most.
        seed: of the photos that are shown and sampled.
        layout: of a source, None to find out.

    Returns:
        The files that were written, the page first.

    Raises:
        StoreError: nothing to report on, ``out`` cannot be written, or the extra is not installed.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise StoreError(f"--out {out}: name an .html file")
    if not out.parent.is_dir():
        raise StoreError(f"--out {out}: no folder {out.parent}; make it first")
    try:
        from shard_tools.report.charts_png import write_pngs
        from shard_tools.report.page import render
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        raise StoreError(
            f"glr-shard eda needs {missing}, which is not installed; "
            "pip install 'glr-fast[eda]' (in a checkout: pip install -e '.[eda]')"
        ) from None
    survey = take_survey(path, sample, seed, layout)
    figures = imbalance(survey.counts.total)
    try:
        write_text(out, render(survey, figures))
        return [out, *write_pngs(survey, figures, out)]
    except OSError as error:
        raise StoreError(f"--out {out}: cannot be written ({error.strerror})") from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``glr-shard eda``."""
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("path", metavar="STORE|SOURCE|CSV", help="store, source, label file or counts")
    add("--out", type=Path, required=True, metavar="HTML", help="the page; PNGs go beside it")
    add(
        "--sample",
        type=int,
        default=DEFAULT_SAMPLE,
        metavar="N",
        help="photos of a source whose headers are read (%(default)s)",
    )
    add("--seed", type=int, default=0, help="of the photos sampled and shown (%(default)s)")
    add("--layout", choices=LAYOUTS, help="of a source; found out")


def run(parsed: argparse.Namespace) -> int:
    """Write the report and say where it is."""
    path = located(parsed.path)
    files = write_report(path, parsed.out, parsed.sample, parsed.seed, parsed.layout)
    print(f"{files[0]} ({files[0].stat().st_size / 1e6:.1f} MB) and {len(files) - 1} PNG files")
    return 0
