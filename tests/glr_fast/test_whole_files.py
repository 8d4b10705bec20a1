"""Files appear whole or not at all; where they cannot, the error names what was asked for."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from glr_fast.whole_files import write_weights, write_whole
from tests.helpers.full_disk import no_file_over


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_whole(file, b"before")
    with no_file_over(1000), pytest.raises(OSError, match=r"a\.json") as raised:
        write_whole(file, bytes(2000))
    assert raised.value.errno == errno.EFBIG
    assert file.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_weights_on_a_full_disk_are_an_error_of_the_system(tmp_path: Path) -> None:
    """safetensors has an error of its own, with the system's number in its text."""
    file = tmp_path / "w.safetensors"
    with no_file_over(1000), pytest.raises(OSError, match=r"w\.safetensors") as raised:
        write_weights({"w": torch.zeros(1000)}, file, {})
    assert raised.value.errno == errno.EFBIG
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".mode")]


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(IsADirectoryError) as raised:
        write_whole(tmp_path / "a.json", b"x")
    assert (raised.value.filename, raised.value.filename2) == (str(tmp_path / "a.json"), None)
