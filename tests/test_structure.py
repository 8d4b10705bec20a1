"""The shape of the code: what import-linter cannot see, and how long a file may be."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

PACKAGES = ("shard_tools", "glr_fast", "launch", "benchmarks", "tests")
LONGEST = 300
"""Lines of a file."""
SAYS_WHY = "This file is long because"


def sources(*packages: str) -> list[Path]:
    """Python files that git tracks, or would track."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", *packages]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    paths = (REPOSITORY / line for line in listed.stdout.splitlines())
    return [path for path in paths if path.suffix == ".py" and path.exists()]


def test_long_files_say_why() -> None:
    long = [
        str(path.relative_to(REPOSITORY))
        for path in sources(*PACKAGES)
        if len((text := path.read_text()).splitlines()) > LONGEST and SAYS_WHY not in text
    ]
    assert not long


#: Not imported, but searched for templates, or run as a process of its own.
NOT_IMPORTED = {
    "shard_tools.report",
    "glr_fast.gallery",
    "glr_fast.report",
    "glr_fast.tuning",
    "glr_fast.tuning.trial_process",
    "shard_tools.pages",
}
MODULE = re.compile(r"(shard_tools|glr_fast)(\.\w+)+(:\w+)?")


@pytest.mark.parametrize("package", ["shard_tools", "glr_fast"])
def test_nothing_is_imported_by_a_string(package: str) -> None:
    """No linter sees such an import, so it could point upwards or close a circle unnoticed.

    Ruff bans what could do it in ``importlib`` and ``pkgutil``; this finds the rest: ``__import__``
    and names of our modules in strings, such as a list of what workers should import at the start.
    """
    found = [
        f"{path.relative_to(REPOSITORY)}:{node.lineno}"
        for path in sources(package)
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Name) and node.id == "__import__")
        or (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value not in NOT_IMPORTED
            and MODULE.fullmatch(node.value)
        )
    ]
    assert not found


def test_the_diagrams_of_the_design_show_the_layers_that_lint_checks() -> None:
    """Each box of a diagram in docs/design.md holds a layer of the contract, in its order."""
    config = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]
    text = (REPOSITORY / "docs/design.md").read_text()
    diagrams = re.findall(r'subgraph \w+\["([\w.]+)"\]\n(.*?)\n    end', text, re.DOTALL)
    layers = {
        contract["containers"][0]: contract["layers"]
        for contract in config["contracts"]
        if contract["type"] == "layers"
    }
    assert [package for package, _ in diagrams] == ["shard_tools", "glr_fast", "glr_fast.data"]
    for package, drawn in diagrams:
        boxes: list[str] = []
        for left, right in re.findall(r"(\S+) --> (.+)", drawn):
            shown = re.search(r'\["(.+)"\]', right)
            boxes += [left] if not boxes else []
            boxes.append(shown[1] if shown else right)
        assert boxes == layers[package], package
