"""What the Containerfile names is there, and reaches the builder past .dockerignore."""

from __future__ import annotations

import re
import tomllib

from tests.conftest import REPOSITORY

CONTAINERFILE = (REPOSITORY / "Containerfile").read_text()
COPIED = [
    source
    for line in re.findall(r"^COPY (.+)$", CONTAINERFILE, re.MULTILINE)
    for source in line.split()[:-1]
]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    kept = {
        line[1:]
        for line in (REPOSITORY / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert set(COPIED) == kept
    assert all((REPOSITORY / source).exists() for source in COPIED)


def test_packages_and_what_pip_reads_are_copied() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    found = project["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = {pattern.removesuffix("*") for pattern in found}
    assert packages | {"pyproject.toml", project["project"]["readme"]} <= set(COPIED)


def test_extras_exist() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    named = re.findall(r"EXTRAS=([\w,]+)", CONTAINERFILE)
    assert len(named) == 2
    extras = {extra for names in named for extra in names.split(",")}
    assert extras <= set(project["project"]["optional-dependencies"])
