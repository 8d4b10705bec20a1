"""The figures in README.md are those of benchmarks/results."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.readme_table import RESULTS, PageError, table, with_table
from tests.conftest import REPOSITORY


def test_the_readme_agrees_with_the_results() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    assert with_table(readme, table()) == readme, "run python -m benchmarks.readme_table"


def test_a_changed_result_is_seen(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(RESULTS, tmp_path / "results"))
    page = folder / "build.md"
    before = page.read_text()
    line = next(line for line in before.splitlines() if line.startswith("| tar cf |"))
    page.write_text(before.replace(line, "| tar cf | 1,234 | 1,233 to 1,235 | 121 |"))
    assert "`tar` 1,234," in table(folder)
    page.write_text(before.replace("ShardWriter", "Writer"))
    with pytest.raises(PageError, match=r"results/build\.md: no row 'webdataset ShardWriter'"):
        table(folder)


def test_only_what_is_between_the_marks_changes() -> None:
    readme = "a\n<!-- figures -->\nold\n<!-- /figures -->\nb\n"
    assert with_table(readme, "| new |\n") == (
        "a\n<!-- figures -->\n| new |\n<!-- /figures -->\nb\n"
    )
    with pytest.raises(PageError, match="no <!-- figures -->"):
        with_table("a", "")


def test_make_bench_runs_every_benchmark_but_those_of_a_gpu() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    modules = {path.stem for path in (REPOSITORY / "benchmarks").glob("bench_*.py")}
    for module in sorted(modules):
        run = module in makefile.partition("BENCHES ?=")[2].partition(".PHONY")[0]
        assert run != module.endswith("_gpu"), module
