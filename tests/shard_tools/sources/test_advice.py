"""What is said where a source may have been misunderstood, and what to type instead."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from shard_tools.sources import read_source
from shard_tools.sources.look import doubts
from tests.helpers.trees import numbered, tree


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("d/labels.csv", "path,label\na/1.jpg,x\n", "then --source {}/x/d/labels.csv$"),
        ("d/my list.csv", "img,kind\na/1.jpg,x\n", "list.csv' --columns path=img,label=kind$"),
        ("d/t.jsonl", '{"image": "1", "a": 1, "b": 2}\n', "label=COLUMN .it has image, a, b.$"),
        ("d/labels.csv", "path,label\nz/9.jpg,x\n", None),
        ("d/notes.csv", "when,who\nnow,me\n", None),
        ("d/train_label_to_category.csv", "path,label\na/1.jpg,x\n", None),
        ("__MACOSX/d/labels.csv", "path,label\na/1.jpg,x\n", None),
        ("d/broken.parquet", "PAR1", None),
    ],
)
def test_tables_in_a_zip(tmp_path: Path, table: str, text: str, message: str | None) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for path in numbered("d/a", "d/b"):
            file.writestr(path, b"x")
        file.writestr(table, text)
    found = doubts(tmp_path / "x.zip", read_source(tmp_path / "x.zip"))
    assert len(found) == (message is not None)
    if message is not None:
        assert f"unzip {tmp_path}/x.zip -d {tmp_path}/x, then" in found[0]
        assert re.search(message.replace("{}", str(tmp_path)), found[0])


@pytest.mark.parametrize(
    ("paths", "table", "message"),
    [
        (numbered("images"), None, "one class only, 'images'"),
        (numbered("images"), "image_id,species\n1,2\n", r"images\.csv --columns label=species"),
        (numbered("images"), "image,x,y\n1.jpg,2,3\n", r"label=COLUMN \(it has image, x, y\)"),
        (numbered("a", "b"), "path,label\na/1.jpg,2\n", "looks like their labels but is not used"),
        (numbered("a", "b"), "path,label\nnone/1.jpg,2\n", None),
        (numbered("a", "b"), None, None),
        (numbered("a", "b"), "colour,width\n1,2\n", None),
    ],
)
def test_doubts(tmp_path: Path, paths: list[str], table: str | None, message: str | None) -> None:
    tree(tmp_path, paths)
    if table is not None:
        (tmp_path / "images.csv").write_text(table)
    found = doubts(tmp_path, read_source(tmp_path))
    if message is None:
        assert found == []
    else:
        with pytest.raises(AssertionError, match=message):
            raise AssertionError(found[0])
