"""Files appear whole or not at all, and an error names the file that was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from shard_tools.files.atomic import atomic_open


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("before")

    def fail() -> None:
        with atomic_open(file) as out:
            out.write(b"half")
            out.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert file.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_an_error_names_what_was_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "absent" / "table.csv"
    with pytest.raises(FileNotFoundError) as raised, atomic_open(file):
        pass
    assert raised.value.filename == str(file)

    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(IsADirectoryError) as raised, atomic_open(folder):
        pass
    assert (raised.value.filename, raised.value.filename2) == (str(folder), None)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
