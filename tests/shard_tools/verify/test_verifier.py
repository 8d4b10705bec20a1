"""``glr-shard verify``: a whole store passes; every kind of damage is found and named."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from shard_tools.cli import main
from shard_tools.errors import StoreError
from shard_tools.sampling.index_files import IndexOptions, write_index
from shard_tools.verify.verifier import verify_store
from tests.helpers.damage import DAMAGE, UNSEALED, column, in_photo, reseal, truncated_photo
from tests.helpers.photos import add_photo, built, kaggle


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("verify")
    kaggle(root / "source", {"1": 20, "2": 9, "3": 2})
    add_photo(root / "source", "stray", b"")
    out = built(root / "source", root / "store", shard_size=8)
    write_index(out, IndexOptions("balanced", 2, 0, "even"))
    return out


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "store"))


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_and_named(kind: str, store: Path) -> None:
    damage, check, where, words = DAMAGE[kind]
    damage(store)
    assert verify_store(store, decode=True)  # at the least, it is not what was written
    if kind not in UNSEALED:
        reseal(store)
    found = verify_store(store, decode=True)
    named = [problem for problem in found if (problem.check, problem.where) == (check, where)]
    assert any(re.search(words, problem.what) for problem in named), found


@pytest.mark.parametrize("workers", [1, 2])
def test_a_whole_store_passes(whole: Path, workers: int) -> None:
    assert verify_store(whole, decode=True, workers=workers) == []


def test_only_decoding_finds_a_photo_that_was_bad_when_packed(store: Path) -> None:
    truncated_photo(store)
    assert verify_store(store) == []
    (problem,) = verify_store(store, decode=True)
    assert problem.check == "decode"


def test_the_command(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["verify", str(store), "--workers", "1"]
    assert main([*command, "--decode"]) == 0
    printed = capsys.readouterr()
    assert "whole: 31 photos decoded and checked, " in printed.out
    assert printed.out.count("\n") == 1
    in_photo(store, -20, b"\x55")
    (store / "notes.txt").touch()
    assert main(command) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0] == "notes.txt: [files] not listed in the manifest"
    assert "3 problems in 2 files; glr-shard repair" in lines[-1]


def test_many_photos_are_one_problem(store: Path) -> None:
    column(store, "samples", "width", lambda values: values.__setitem__(slice(0, 6), [1] * 6))
    reseal(store)
    (problem,) = verify_store(store)
    assert "; " in problem.what
    assert problem.what.endswith("and 3 more")


def test_user_errors(tmp_path: Path, whole: Path) -> None:
    with pytest.raises(StoreError, match="no such store folder"):
        verify_store(tmp_path / "none")
    with pytest.raises(StoreError, match="--workers is 0"):
        verify_store(whole, workers=0)
