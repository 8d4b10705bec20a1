"""The table of figures in README.md, from the pages in benchmarks/results.

    python -m benchmarks.readme_table            # writes it between the marks in README.md
    python -m benchmarks.readme_table --check    # exit code 1 where README.md disagrees

Run it after a benchmark; a test fails where README.md and the pages disagree.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BLOCK = re.compile(r"(<!-- figures -->\n).*?(<!-- /figures -->)", re.DOTALL)

Row = dict[str, str]


class PageError(Exception):
    """A page of results lacks what the table takes from it."""


class Page:
    """The tables of a page of results."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._rows: list[tuple[str, Row]] = []
        heading, header = "", []
        for line in (folder / name).read_text().splitlines():
            if line.startswith("#"):
                heading = line.lstrip("# ")
            cells = [cell.strip().strip("*`") for cell in line.strip().strip("|").split("|")]
            if not line.startswith("|"):
                header = []
            elif not header:
                header = cells
            elif not set("".join(cells)) <= set(":- "):
                self._rows.append((heading, dict(zip(header, cells, strict=False))))

    def row(self, start: str, heading: str = "", column: str = "") -> Row:
        """The first row whose first cell begins so, under a heading that begins so.

        Raises:
            PageError: there is none, or it has no such column.
        """
        for under, row in self._rows:
            first = next(iter(row.values()))
            if under.startswith(heading) and first.startswith(start) and column in {"", *row}:
                return row
        raise PageError(f"benchmarks/results/{self.name}: no row {start!r} under {heading!r}")

    def rows(self, **cells: str) -> list[Row]:
        """All rows with these cells, by column; spaces in a column's name are underscores here.

        Raises:
            PageError: there is none.
        """
        wanted = {name.replace("_", " "): cell for name, cell in cells.items()}
        found = [row for _, row in self._rows if wanted.items() <= row.items()]
        if not found:
            raise PageError(f"benchmarks/results/{self.name}: no row with {wanted}")
        return found

    def link(self) -> str:
        """A link to the page, from README.md."""
        return f"[{Path(self.name).stem}](benchmarks/results/{self.name})"


def table(folder: Path = RESULTS) -> str:
    """The table in Markdown.

    Raises:
        PageError: a page lacks a row.
    """
    lines = ["| what | glr-fast | against | page |", "|---|---|---|---|"]
    for line in (
        *_loader(folder),
        *_gpu(folder),
        *_build(folder),
        *_scale(folder),
        *_fed(folder),
        *_training(folder),
        *_accuracy(folder),
    ):
        lines.append(f"| {' | '.join(line)} |")
    return "\n".join([*lines, ""])


def _loader(folder: Path) -> list[tuple[str, ...]]:
    page, bad = Page(folder, "loader_cpu.md"), Page(folder, "bad_photos.md")
    rivals = (
        ("DALI: webdataset reader, image_random_crop", "stock DALI"),
        ("FFCV", "FFCV"),
        ("torchvision ImageFolder", "ImageFolder + DataLoader"),
        ("webdataset + DataLoader", "webdataset + DataLoader"),
    )
    lines = []
    for heading, what in (
        ("Photos as they are", "photos of 98 kB"),
        ("Short side 256", "photos packed with a short side of 256"),
    ):
        ours = page.row("glr-fast, `cpu`", heading)["photos/s"].split(" ")[0]
        against = []
        for start, name in rivals:
            row = page.row(start, heading)
            rate, ratio = row["photos/s"].split(" ")[0], row["ours is faster by"].split(" ")[0]
            against.append(f"{name} {rate} ({ratio} times)")
        lines.append((f"crops loaded, {what}, 2 CPU threads", f"{ours}/s", ", ".join(against)))
    survived = bad.row("cpu")["bad over clean, median"]
    last = (
        "crops loaded, 3,000 generated photos, 0.1% of them destroyed, 2 CPU threads",
        f"{survived} of the rate without",
        "",
    )
    return [(*line, page.link()) for line in lines] + [(*last, bad.link())]


def _gpu(folder: Path) -> list[tuple[str, ...]]:
    page = Page(folder, "gpu.md")
    ours, stock, webdataset = (
        page.row(start, "Loader")["figure"].split(" ")[0]
        for start in ("ours, 8 threads", "stock DALI, image_random_crop", "webdataset + DataLoader")
    )
    lines = [
        (
            "crops loaded, photos of 98 kB, one H200 (16 cores), 8 threads, best of 14 settings",
            f"{ours}/s",
            f"stock DALI, 16 threads, {stock}; webdataset + DataLoader, 16 processes, {webdataset}",
        )
    ]
    for model, title in (("resnet50", "ResNet-50"), ("efficientnet_b0", "EfficientNet-B0")):
        row = page.row(f"{model}, 81,313 classes, ldam: fed", "Training")
        published = re.search(r"of the ([\d,]+) published", row[""])
        against = published[1] if published else "?"
        lines.append(
            (
                f"{title} trained with LDAM, 81,313 classes, bf16, one H200",
                f"{row['figure'].split(' ')[0]} images/s",
                f"NVIDIA's DeepLearningExamples, 1,000 classes, one A100: {against}",
            )
        )
    return [(*line, page.link()) for line in lines]


def _build(folder: Path) -> list[tuple[str, ...]]:
    page = Page(folder, "build.md")
    tar, writer = (page.row(start)["photos/s"] for start in ("tar cf", "webdataset ShardWriter"))
    return [
        (
            f"photos packed, {what}, 2 CPU cores",
            f"{page.row(row)['photos/s']}/s",
            f"`tar` {tar}, webdataset ShardWriter {writer}, neither looks at a photo",
            page.link(),
        )
        for row, what in (
            ("build --check header, 2", "headers checked"),
            ("build --check full, 2", "every photo decoded"),
            ("build with the defaults", "decoded, duplicates looked for"),
        )
    ]


def _scale(folder: Path) -> list[tuple[str, ...]]:
    scale, copies = Page(folder, "scale.md"), Page(folder, "duplicates.md")
    true = "1,580,470 photos"
    memory = scale.row("peak memory (GiB)")[true]
    return [
        (
            f"planning and tables of {true}",
            f"{scale.row('planning and tables')[true].strip('*')}, {memory} GiB",
            "",
            scale.link(),
        ),
        (
            f"a balanced epoch of {true}, drawn",
            scale.row("order of a balanced epoch")[true],
            "",
            scale.link(),
        ),
        (
            f"duplicates among {true}, from their hashes",
            f"{copies.row('1,580,470')['seconds']} s",
            "",
            copies.link(),
        ),
    ]


def _fed(folder: Path) -> list[tuple[str, ...]]:
    page = Page(folder, "train_cpu.md")
    lines = []
    for model, title in (("resnet50", "ResNet-50"), ("efficientnet_b0", "EfficientNet-B0")):
        ours, theirs = (
            [row["of synthetic"].split(" ")[0] for row in page.rows(model=model, fed_by=feed)]
            for feed in ("loader", "webdataset")
        )
        lines.append(
            (
                f"{title} trained on 2 CPU cores, of its speed without loading: CE, LDAM",
                ", ".join(ours),
                f"fed by webdataset + DataLoader {', '.join(theirs)}",
                page.link(),
            )
        )
    return lines


def _training(folder: Path) -> list[tuple[str, ...]]:
    page, step = Page(folder, "classes.md"), "step in s"
    few, many = (page.row(count, "Training") for count in ("1,000", "81,313"))
    return [
        (
            "a step of 64 photos with 81,313 classes (ResNet-50 at 32 pixels), 2 CPU cores",
            f"{many[step].split(' ')[0]} s, {many['peak memory in training, GiB']} GiB",
            f"with 1,000 classes {few[step].split(' ')[0]} s",
            page.link(),
        )
    ]


def _accuracy(folder: Path) -> list[tuple[str, ...]]:
    page = Page(folder, "landmarks13.md")
    lines = []
    for recipe in ("efficientnet_b0_ce", "efficientnet_b0_ldam", "resnet50_ce", "resnet50_ldam"):
        row = page.row(recipe, column="line")
        seconds = float(page.row(f"train {recipe}", "Times")["seconds"].split(" ")[0])
        lines.append(
            (
                f"`{recipe}` on landmarks13 (13 classes, 512 photos), on the CPU",
                f"{row['val + test acc.']} of validation and test, {seconds / 60:.1f} minutes",
                f"logistic regression on the frozen network {row['line']}",
                page.link(),
            )
        )
    return lines


def with_table(readme: str, figures: str) -> str:
    """README.md with the table in place of what stands between the marks.

    Raises:
        PageError: there are no marks.
    """
    if not BLOCK.search(readme):
        raise PageError("README.md: no <!-- figures --> and <!-- /figures --> on lines alone")
    return BLOCK.sub(lambda found: found[1] + figures + found[2], readme, count=1)


def main() -> None:
    """Write or check the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; compare")
    check: bool = parser.parse_args().check
    path = ROOT / "README.md"
    readme = path.read_text()
    try:
        wanted = with_table(readme, table())
    except (PageError, OSError) as error:
        sys.exit(f"readme_table: {error}")
    if check and wanted != readme:
        sys.exit("README.md disagrees with benchmarks/results: python -m benchmarks.readme_table")
    if not check:
        path.write_text(wanted)


if __name__ == "__main__":
    main()
