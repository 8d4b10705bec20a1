"""The shape of the code: what import-linter cannot see, and how long a file may be."""

from __future__ import annotations

import ast
import subprocess
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


@pytest.mark.parametrize("package", ["shard_tools", "glr_fast"])
def test_nothing_is_imported_by_a_string(package: str) -> None:
    """No linter sees such an import, so it could point upwards or close a circle unnoticed."""
    by_string = {"import_module", "__import__", "walk_packages", "iter_modules"}
    found = [
        f"{path.relative_to(REPOSITORY)}:{node.lineno}"
        for path in sources(package)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", None)) in by_string
    ]
    assert not found
