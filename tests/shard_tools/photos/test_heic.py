"""HEIC photos, with the extra ``heic`` and without it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shard_tools.photos.prepare import PhotoOptions, prepare
from tests.helpers.photos import pixels, scene
from tests.helpers.stores import rejected
from tests.helpers.trees import numbered, tree

ROOT = Path(__file__).parents[3]
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)


def test_heic_of_a_phone() -> None:
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed (extra heic)")
    image = scene(96, 64)
    file = io.BytesIO()
    heif.from_pillow(image).save(file, quality=90)
    photo = prepare(file.getvalue(), PhotoOptions())
    assert (photo.width, photo.height) == (96, 64)
    assert np.abs(pixels(photo.data) - np.asarray(image).astype(np.int16)).mean() < 6


def without_the_extra(folder: Path, *arguments: str) -> str:
    """What a command prints where pillow-heif cannot be imported."""
    stub = folder / "pillow_heif.py"
    stub.parent.mkdir(exist_ok=True)
    stub.write_text("raise ImportError\n")
    paths = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "shard_tools.cli", *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def test_without_the_extra_the_reason_names_it(tmp_path: Path) -> None:
    tree(tmp_path / "p", numbered("a", "b"))
    (tmp_path / "p" / "a" / "IMG_1.HEIC").write_bytes(HEIC)
    (tmp_path / "p" / "b" / "page.jpg").write_bytes(b"<html>")
    source, out = str(tmp_path / "p"), tmp_path / "s"
    printed = without_the_extra(tmp_path / "stub", "stats", source, "--json")
    assert json.loads(printed)["skipped"] == {"HEIC": 1}
    command = ["build", "--source", source, "--out", str(out), "--workers", "1"]
    printed = without_the_extra(tmp_path / "stub", *command)
    assert "skipped   1 HEIC, which the extra heic reads: pip install 'glr-fast[heic]'" in printed
    rows = {row["path"]: (row["reason"], row["detail"]) for row in rejected(out)}
    assert rows["a/IMG_1.HEIC"] == ("HEIC", "pip install 'glr-fast[heic]' to read it")
    assert rows["b/page.jpg"][0] == "not a photo"
