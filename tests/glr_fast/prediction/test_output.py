"""Answers in files: the same in every kind, whole or not at all, nothing overwritten."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glr_fast.errors import ConfigError
from glr_fast.prediction import Answers, PredictOptions, Rejected, output, predict
from glr_fast.prediction.output import _Parquet, check_output, open_writer, write_rejected
from glr_fast.prediction.table import AnswerTable
from glr_fast.trained_model import TrainedModel

PATHS = ["a.jpg", 'ü "quoted", with comma.jpg', "line\nbreak.jpg"]


def some(model: TrainedModel, paths: list[str], every: bool, seed: int = 0) -> Answers:
    """Made-up answers."""
    values = np.random.default_rng(seed).dirichlet(np.ones(6), len(paths)).astype(np.float32)
    top = np.argsort(-values, axis=1)[:, :3]
    best = np.take_along_axis(values, top, axis=1)
    rows = np.arange(len(paths))
    return Answers(rows, paths, top, best, best[:, 0] < 0.4, values if every else None, [])


def written(model: TrainedModel, out: Path, every: bool) -> tuple[list[dict[str, object]], Answers]:
    """Rows of a file of three photos, written in two goes; and the answers in it."""
    table, answers = AnswerTable(model, 3, every), some(model, PATHS, every)
    whole = table.of(answers)
    with open_writer(out, table) as writer:
        writer.write(whole.slice(0, 2))
        writer.write(whole.slice(2))
        assert not out.exists()
    return whole.to_pylist(), answers


def test_parquet(model: TrainedModel, tmp_path: Path) -> None:
    rows, answers = written(model, tmp_path / "a.parquet", every=True)
    read = pq.read_table(tmp_path / "a.parquet")
    assert read.to_pylist() == rows
    assert read.schema.field("top_labels").type == pa.list_(pa.int32(), 3)
    assert json.loads(read.schema.metadata[b"landmark_ids"]) == model.landmark_ids
    assert answers.every is not None
    every = np.stack(read["probabilities"].to_numpy())
    np.testing.assert_array_equal(every, answers.every)
    first = read.to_pylist()[0]
    assert first["path"] == PATHS[0]
    assert first["label"] == answers.top[0, 0]
    assert first["landmark_id"] == model.landmark_ids[first["label"]]
    assert first["name"] == first["top_names"][0] == model.names[first["label"]]


class Measured:
    """Stands for a small table of answers and counts how often its size is asked for."""

    asked = 0

    @property
    def nbytes(self) -> int:
        self.asked += 1
        return 1

    def __len__(self) -> int:
        return 1


def test_tables_that_parquet_holds_are_measured_once(model: TrainedModel) -> None:
    """Measuring all of them again at each write takes the square of their number."""
    writer = _Parquet(io.BytesIO(), AnswerTable(model, 3, False))
    tables = [Measured() for _ in range(20)]
    for table in tables:
        writer.write(cast(pa.Table, table))
    assert [table.asked for table in tables] == [1] * 20


def test_parquet_has_a_row_group_for_so_many_rows(
    model: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_GROUP_ROWS", 6)
    table = AnswerTable(model, 3, False)
    with open_writer(tmp_path / "a.parquet", table) as writer:
        for _ in range(5):
            writer.write(table.of(some(model, PATHS, False)))
    metadata = pq.ParquetFile(tmp_path / "a.parquet").metadata
    assert [metadata.row_group(i).num_rows for i in range(3)] == [6, 6, 3]


@pytest.mark.parametrize("every", [False, True])
def test_csv(model: TrainedModel, tmp_path: Path, every: bool) -> None:
    rows, answers = written(model, tmp_path / "a.csv", every)
    with open(tmp_path / "a.csv", newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [row["path"] for row in read] == PATHS
    for place, (row, wanted) in enumerate(zip(read, rows, strict=True)):
        assert row["label"] == row["label1"] == str(wanted["label"])
        assert row["unsure"] == str(wanted["unsure"]).lower()
        for k in range(3):
            assert int(row[f"label{k + 1}"]) == answers.top[place, k]
            assert row[f"landmark_id{k + 1}"] == wanted["top_landmark_ids"][k]  # type: ignore[index]
            assert np.float32(row[f"probability{k + 1}"]) == answers.probabilities[place, k]
        names = [name for name in row if name.startswith("p:")]
        assert names == ([f"p:{landmark}" for landmark in model.landmark_ids] if every else [])
        if answers.every is not None:
            got = np.array([row[name] for name in names], np.float32)
            np.testing.assert_array_equal(got, answers.every[place])


def test_json_lines(model: TrainedModel, tmp_path: Path) -> None:
    rows, answers = written(model, tmp_path / "a.jsonl", every=True)
    read = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [row["path"] for row in read] == PATHS
    assert "ü" in (tmp_path / "a.jsonl").read_text()
    assert answers.every is not None
    for place, row in enumerate(read):
        assert row["top_labels"] == answers.top[place].tolist()
        assert list(row["probabilities"]) == model.landmark_ids
        got = np.array(list(row["probabilities"].values()), np.float32)
        np.testing.assert_allclose(got, answers.every[place], rtol=1e-6)
        assert row["top_landmark_ids"] == rows[place]["top_landmark_ids"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_nothing_is_left_of_a_file_that_was_not_finished(
    model: TrainedModel, tmp_path: Path, suffix: str
) -> None:
    table = AnswerTable(model, 3, False)
    out = tmp_path / f"a.{suffix}"
    out.write_text("as it was")

    def interrupted() -> None:
        with open_writer(out, table) as writer:
            writer.write(table.of(some(model, PATHS, False)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert out.read_text() == "as it was"


def test_many_small_batches_become_few_row_groups(model: TrainedModel, tmp_path: Path) -> None:
    table = AnswerTable(model, 3, False)
    batch = table.of(some(model, [f"{i}.jpg" for i in range(64)], False))
    with open_writer(tmp_path / "a.parquet", table) as writer:
        for _ in range(1200):
            writer.write(batch)
    read = pq.ParquetFile(tmp_path / "a.parquet")
    assert read.metadata.num_rows == 1200 * 64
    assert read.metadata.num_row_groups == 2


@pytest.mark.parametrize(
    ("name", "made", "classes", "words"),
    [
        ("a.csv", "a.csv", 6, "a.csv exists; give another name, or --overwrite"),
        ("a.csv", "a.csv.rejected.csv", 6, "a.csv.rejected.csv exists"),
        ("none/a.csv", None, 6, "there is no folder"),
        ("a.csv", None, 1001, "1,001 probabilities for each photo are too many for .csv"),
        ("a.jsonl", None, 81_313, "give --out FILE.parquet"),
        ("a.parquet", None, 81_313, None),
        ("a.csv", None, 1000, None),
    ],
)
def test_what_is_refused_beforehand(
    tmp_path: Path, name: str, made: str | None, classes: int, words: str | None
) -> None:
    if made:
        (tmp_path / made).write_text("there")
    options = PredictOptions(out=tmp_path / name, all=True)
    if words is None:
        check_output(options, classes)
        return
    with pytest.raises(ConfigError, match=words):
        check_output(options, classes)
    if made:
        check_output(PredictOptions(out=tmp_path / name, all=True, overwrite=True), classes)


def test_the_list_of_what_was_left_out(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    write_rejected(file, [Rejected("a,b.jpg", "truncated", "ends early"), Rejected("c", "empty")])
    with open(file, newline="") as opened:
        assert list(csv.reader(opened)) == [
            ["path", "reason", "detail"],
            ["a,b.jpg", "truncated", "ends early"],
            ["c", "empty", ""],
        ]


def test_both_files_of_a_prediction(model: TrainedModel, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"")
    out = tmp_path / "a.parquet"
    named = [photos, tmp_path / "bad.jpg"]
    outcome = predict(model, named, PredictOptions(out=out, threads=2))
    assert outcome.answers is None
    assert len(pq.read_table(out)) == outcome.photos == len(list(photos.rglob("*.jpg")))
    assert "empty file" in (tmp_path / "a.parquet.rejected.csv").read_text()
    again = PredictOptions(out=out, threads=2, overwrite=True)
    predict(model, photos, again)
    assert not (tmp_path / "a.parquet.rejected.csv").exists()  # it was of the earlier call


@pytest.mark.parametrize("content", [None, b"", b"<html>"])
def test_no_photo_at_all(model: TrainedModel, tmp_path: Path, content: bytes | None) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    if content is not None:
        (folder / "a.jpg").write_bytes(content)
    options = PredictOptions(
        out=tmp_path / "a.csv", gallery=tmp_path / "page", sort_into=tmp_path / "sorted", threads=2
    )
    with pytest.raises(ConfigError, match=r"no photo there|none of 1 files can be read"):
        predict(model, folder, options)
    assert not (tmp_path / "a.csv").exists()
    assert not (tmp_path / "page").exists()
