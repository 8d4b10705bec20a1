"""What a prediction says on the terminal: a table for few photos, sums for many."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence

from glr_fast.predict_options import MOST_ROWS, PredictOptions
from glr_fast.prediction.listing import Rejected
from glr_fast.prediction.run import Outcome
from shard_tools.errors import escaped

_MOST_REJECTED = 10


def say(outcome: Outcome, options: PredictOptions) -> None:
    """Print answers, sums and where things are; what could not be read goes to stderr."""
    if outcome.answers is not None and outcome.photos <= MOST_ROWS:
        _say_table(outcome)
    _say_rejected(outcome.rejected, options)
    print(_sums(outcome))
    for line in _places(outcome, options):
        print(escaped(line))


def _say_table(outcome: Outcome) -> None:
    assert outcome.answers is not None
    rows = [("photo", "landmark", "probability", "else")]
    for row in outcome.answers.to_pylist():
        pairs = zip(row["top_names"][1:3], row["top_probabilities"][1:3], strict=True)
        others = ", ".join(f"{name} {p:.0%}" for name, p in pairs)
        mark = " unsure" if row["unsure"] else ""
        rows.append((row["path"], row["name"], f"{row['probability']:.1%}{mark}", others))
    width = shutil.get_terminal_size((160, 24)).columns if sys.stdout.isatty() else 10_000
    for line in aligned([[escaped(cell) for cell in row] for row in rows]):
        print(shortened(line, width))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with cells in columns; characters of double width count as two."""
    widths = [max(map(columns_of, cells)) for cells in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - columns_of(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def columns_of(text: str) -> int:
    """How many columns of a terminal a text takes."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


def shortened(line: str, width: int) -> str:
    """A line cut to a terminal's width."""
    if columns_of(line) <= width:
        return line
    while columns_of(line) > width - 1:
        line = line[:-1]
    return f"{line}…"


def _say_rejected(rejected: Sequence[Rejected], options: PredictOptions) -> None:
    if not rejected:
        return
    counts = Counter(found.reason for found in rejected).most_common()
    sums = ", ".join(f"{number:,} {reason}" for reason, number in counts)
    print(f"left out: {sums}", file=sys.stderr)
    for found in rejected[:_MOST_REJECTED]:
        detail = f" ({found.detail})" if found.detail else ""
        print(escaped(f"  {found.path}: {found.reason}{detail}"), file=sys.stderr)
    if len(rejected) > _MOST_REJECTED:
        file = options.rejected_file
        more = f"; {file} lists all" if file else "; --out FILE lists all in a file beside it"
        print(f"  and {len(rejected) - _MOST_REJECTED:,} more{more}", file=sys.stderr)


def _sums(outcome: Outcome) -> str:
    parts = [f"{outcome.photos:,} photo{'s' if outcome.photos != 1 else ''} recognised"]
    at = outcome.threshold.probability
    if at is not None:
        parts.append(f"{outcome.unsure:,} unsure (below {at:.3g}: {outcome.threshold.reason})")
    if outcome.rejected:
        parts.append(f"{len(outcome.rejected):,} left out")
    if outcome.others:
        files = "file" if outcome.others == 1 else "files"
        parts.append(f"{outcome.others:,} other {files} passed over")
    line = ", ".join(parts)
    return line if at is not None else f"{line}; none marked unsure: {outcome.threshold.reason}"


def _places(outcome: Outcome, options: PredictOptions) -> list[str]:
    lines = []
    if options.out is not None:
        lines.append(f"answers: {options.out}")
        if outcome.rejected:
            lines.append(f"left out: {options.rejected_file}")
    if options.sort_into is not None:
        before = f", {outcome.sorted_before:,} were there" if outcome.sorted_before else ""
        lines.append(f"sorted: {outcome.sorted_now:,} photos into {options.sort_into}{before}")
    if options.gallery is not None:
        lines.append(f"gallery: open {options.gallery / 'index.html'}")
    return lines
