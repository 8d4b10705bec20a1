"""A package that is not installed is answered with the extra that brings it."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions

import pytest

from glr_fast.command_exit import run_command
from glr_fast.missing import EXTRAS, advice
from tests.conftest import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


@cache
def owners() -> Mapping[str, list[str]]:
    """Installed distributions by their top-level modules, named as in pyproject.toml."""
    return {
        module: [name.lower().replace("_", "-") for name in names]
        for module, names in packages_distributions().items()
    }


def name_of(requirement: str) -> str:
    name = requirement.partition(">")[0].partition("[")[0].strip()
    return name.lower().replace("_", "-")


def imported(package: str) -> set[str]:
    """Top-level modules that a package imports anywhere, but for its own and the standard ones."""
    modules: set[str] = set()
    for path in (REPOSITORY / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.partition(".")[0])
    return modules - set(sys.stdlib_module_names) - {"glr_fast", "shard_tools"}


@pytest.mark.parametrize("package", ["glr_fast", "shard_tools"])
def test_every_optional_import_has_its_extra(package: str) -> None:
    base = {name_of(requirement) for requirement in PROJECT["dependencies"]}
    brought = {
        *(module for modules in EXTRAS.values() for module in modules),
        *("fsspec", "huggingface_hub", "markupsafe", "PIL", "sqlalchemy"),  # come with others
    }
    for module in imported(package) - brought:
        names = set(owners().get(module, [module]))
        assert names & base, f"{module} is neither a dependency nor in glr_fast/missing.py"


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_extra_brings_the_module(extra: str) -> None:
    extras = PROJECT["optional-dependencies"]
    asked = [*extras[extra], *(extras["train-base"] if extra == "train" else [])]
    names = {name_of(requirement) for requirement in asked}
    for module in EXTRAS[extra]:
        provided = set(owners().get(module, []))
        if not provided:
            pytest.skip(f"{module} is not installed here")
        assert provided & names or module == "nvidia", (module, provided)  # nvidia: a shared folder


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("optuna", "optuna is not installed; pip install 'glr-fast[tune]' (in a checkout: "),
        ("nvidia.dali", "'glr-fast[train-cuda12]'"),
    ],
)
def test_one_line_and_2(module: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    with pytest.raises(SystemExit) as ended:
        run_command(work)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    assert advice(ModuleNotFoundError("No module named 'glr_fast.x'", name="glr_fast.x")) is None
    assert advice(ImportError("cannot import name 'x' from 'torch'", name="torch")) is None


def test_a_command_without_its_extra() -> None:
    code = "import sys; sys.modules['tyro'] = None; import glr_fast.commands.train"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr.startswith("error: tyro is not installed; pip install 'glr-fast[train]'")
    assert run.stderr.count("\n") == 1
