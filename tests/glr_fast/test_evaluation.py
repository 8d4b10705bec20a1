"""Evaluation of a small model on stores of its classes, of some of them, and of others."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from glr_fast.checkpoint import save_best
from glr_fast.data import Store
from glr_fast.errors import ConfigError
from glr_fast.evaluate_options import SPLITS
from glr_fast.evaluation import EvaluateOptions, evaluate, evaluation
from glr_fast.model_card import ModelCard
from glr_fast.whole_files import write_whole
from shard_tools.store import SPLITS as STORE_SPLITS
from tests.helpers.full_disk import no_file_over

CARD = ModelCard("test_resnet", 6, "linear", 32, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), 2.0)
Evaluated = Callable[..., tuple[dict[str, Any], list[dict[str, Any]]]]


def write_run(folder: Path, classes: pa.Table, card: ModelCard = CARD) -> Path:
    """A run folder with ``best/``: an untrained model of these classes."""
    import torch

    torch.manual_seed(0)
    card = replace(card, num_classes=len(classes))
    file = pa.BufferOutputStream()
    pq.write_table(classes, file)
    export = {
        "model.json": card.to_json().encode(),
        "classes.parquet": file.getvalue().to_pybytes(),
    }
    save_best(folder, card.build(), export, {"step": 1})
    return folder


def labelled(table: pa.Table) -> pa.Table:
    """A table of classes with labels from 0 on."""
    place = table.column_names.index("label")
    return table.set_column(place, "label", pa.array(range(len(table)), pa.int32()))


@pytest.fixture
def evaluated(store: Path, tmp_path: Path) -> Evaluated:
    """Evaluates a model of the given classes on the store; figures, and rows of the table."""

    def run(classes: pa.Table, **options: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        folder = write_run(tmp_path / "run", labelled(classes))
        chosen = EvaluateOptions(
            run=folder, store=store, split="val,test", batch_size=7, report=False, resamples=50
        )
        chosen = replace(chosen, **options)
        figures = evaluate(chosen)
        return figures, pq.read_table(chosen.folder / "predictions.parquet").to_pylist()

    return run


def test_a_prediction_leads_to_its_photo(evaluated: Evaluated, store: Path, tmp_path: Path) -> None:
    opened = Store.open(store)
    figures, rows = evaluated(opened.classes())
    samples = opened.samples(["key", "path", "landmark_id", "label"]).to_pylist()
    by_key = {sample["key"]: sample for sample in samples}
    for row in rows:
        sample = by_key[row["key"]]
        assert {name: row[name] for name in sample} == sample
        assert row["name"] == row["landmark_id"]  # these classes have no names
        assert row["top_landmark_ids"] == [
            opened.classes()["landmark_id"][label].as_py() for label in row["top_labels"]
        ]
    flat = pa_csv.read_csv(tmp_path / "run" / "eval-val-test" / "predictions.csv").to_pylist()
    for row, line in zip(rows, flat, strict=True):
        assert [line[f"label{i}"] for i in range(1, 6)] == row["top_labels"]
        assert [line[f"probability{i}"] for i in range(1, 6)] == pytest.approx(
            row["top_probabilities"]
        )
        assert str(line["name1"]) == row["top_names"][0]
        assert line["path"] == row["path"]
    assert figures["unknown_photos"] == 0
    assert figures["store_digest"]
    assert set(figures["thresholds"]) == {"0.90", "0.95", "0.99"}


def test_classes_in_another_order_are_the_same_classes(evaluated: Evaluated, store: Path) -> None:
    """The model's labels are permuted: what it says is permuted with them, and as right."""
    classes = Store.open(store).classes()
    straight, rows = evaluated(classes)
    order = [3, 5, 0, 1, 4, 2]
    turned, turned_rows = evaluated(classes.take(order))
    # The same weights, so output i now stands for class order[i].
    ids = classes["landmark_id"].to_pylist()
    for row, other in zip(rows, turned_rows, strict=True):
        assert row["landmark_id"] == other["landmark_id"]
        assert other["label"] == order.index(row["label"])
        assert other["top_labels"] == row["top_labels"]
        assert other["top_landmark_ids"] == [ids[order[label]] for label in row["top_labels"]]
    right = np.mean([row["landmark_id"] == row["top_landmark_ids"][0] for row in turned_rows])
    assert turned["accuracy"] == right
    assert turned["photos"] == straight["photos"]


def test_photos_of_unknown_classes_are_distractors(evaluated: Evaluated, store: Path) -> None:
    classes = Store.open(store).classes()
    figures, rows = evaluated(classes.slice(2))
    unknown = [row for row in rows if row["label"] == -1]
    assert {row["landmark_id"] for row in unknown} == set(classes["landmark_id"].to_pylist()[:2])
    assert all(np.isnan(row["loss"]) for row in unknown)
    assert figures["unknown_photos"] == len(unknown) > 0
    assert figures["photos"] == len(rows) - len(unknown)
    known = [row for row in rows if row["label"] >= 0]
    right = [row["label"] == row["top_labels"][0] for row in known]
    assert figures["accuracy"] == np.mean(right)
    assert np.isfinite(figures["loss"])
    json.dumps(figures, allow_nan=False)


def test_bands_are_those_of_the_run(evaluated: Evaluated, store: Path) -> None:
    """A class of which this model saw six photos is rare, whatever the store holds of it."""
    classes = Store.open(store).classes()
    place = classes.column_names.index("train")
    for count, band in ((6, "few"), (50, "medium"), (500, "many")):
        counts = pa.array([count] * len(classes), pa.int32())
        figures, _ = evaluated(classes.set_column(place, "train", counts))
        assert figures["by_frequency"][band]["photos"] == figures["photos"]


def test_nothing_in_common(evaluated: Evaluated, store: Path) -> None:
    classes = Store.open(store).classes()
    place = classes.column_names.index("landmark_id")
    others = pa.array([f"x{i}" for i in range(len(classes))])
    with pytest.raises(ConfigError, match=r"no photo of val or test is of a class that"):
        evaluated(classes.set_column(place, "landmark_id", others))


@pytest.mark.parametrize("split", ["", "Val", "val,", "test,tset"])
def test_no_such_split(split: str) -> None:
    with pytest.raises(ConfigError, match=r"--split must be train, val or test"):
        EvaluateOptions(split=split)


def test_paths_may_be_strings() -> None:
    text: Any = "runs/a"
    options = EvaluateOptions(run=text, out=text)
    assert (options.folder, options.home) == (Path(text), Path(text))


def test_the_splits_are_the_stores() -> None:
    assert tuple(SPLITS) == tuple(STORE_SPLITS)


def test_a_folder_that_cannot_be_written_to(
    evaluated: Evaluated, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said before the photos are looked at."""
    monkeypatch.setattr(evaluation, "predict", None)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match=r"file: cannot be written to .* --out"):
        evaluated(Store.open(store).classes(), out=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_disk_that_is_full_in_the_end_is_one_line(
    evaluated: Evaluated, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(*_: object) -> None:
        with no_file_over(100):
            write_whole(tmp_path / "out" / "confusion.png", bytes(1000))

    monkeypatch.setattr(evaluation, "_draw", draw)
    with pytest.raises(ConfigError, match=r"out: cannot be written to \(File too large\); give"):
        evaluated(Store.open(store).classes(), out=tmp_path / "out")

    def lose(*_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(store / "x.tar"))

    monkeypatch.setattr(evaluation, "_draw", lose)
    with pytest.raises(FileNotFoundError, match=r"x\.tar"):  # not the folder's fault
        evaluated(Store.open(store).classes(), out=tmp_path / "out")


def test_an_interrupted_evaluation_leaves_the_one_before_it(
    evaluated: Evaluated, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = Store.open(store).classes()
    evaluated(classes, out=tmp_path / "out", report=True)
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert {"metrics.json", "report.html", "confusion.png", "predictions.csv"} <= set(before)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "_draw", interrupted)  # tables and figures are written by then
        with pytest.raises(KeyboardInterrupt):
            evaluated(classes, out=tmp_path / "out", split="val")
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before
    evaluated(classes, out=tmp_path / "out", split="val")  # without a page
    assert not (tmp_path / "out" / "report.html").exists()
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["splits"] == ["val"]


def test_photos_that_went_bad_are_told(
    evaluated: Evaluated, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(store, tmp_path / "bad"))
    row = Store.open(copy).split_rows("val")[0]
    photo = Store.open(copy).samples(["shard", "offset", "size"]).slice(row, 1).to_pylist()[0]
    with open(copy / photo["shard"], "r+b") as file:
        file.seek(photo["offset"])
        file.write(bytes(photo["size"]))
    figures, _ = evaluated(Store.open(copy).classes(), store=copy)
    said = (
        "1 photo could not be decoded and counts with the answer to a grey image; bad_samples.csv"
    )
    assert any(line.startswith(said) for line in figures["warnings"])
    assert f"warning: {said}" in capsys.readouterr().err


def test_modes_are_the_umasks(evaluated: Evaluated, store: Path, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        evaluated(Store.open(store).classes(), out=tmp_path / "out", report=True)
    finally:
        os.umask(before)
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "out").iterdir()}
    assert {"report.html", "metrics.json", "predictions.csv", "confusion.png"} < modes.keys()
    assert set(modes.values()) == {0o640}
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o750


def test_best_is_its_run(store: Path, tmp_path: Path) -> None:
    """``--run RUN/best`` writes beside the run, not among its weights."""
    run = write_run(tmp_path / "run", Store.open(store).classes())
    (run / "config.json").write_text("{}")
    options = EvaluateOptions(run=run / "best", store=store, resamples=0, report=False)
    figures = evaluate(options)
    assert (run / "eval-test" / "metrics.json").is_file()
    assert figures["intervals"] == {}


def test_learning_curves_and_confusion_are_drawn(store: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", Store.open(store).classes())
    lines = [{"step": step, "train/loss": 1 / step, "train/lr": 0.1} for step in (1, 2, 3)]
    text = "\n".join([*map(json.dumps, lines), '{"step": 4, "train/lo'])
    (run / "metrics.jsonl").write_text(text)
    evaluate(EvaluateOptions(run=run, store=store, resamples=0, report=False))
    for file in (run / "learning_curves.png", run / "eval-test" / "confusion.png"):
        assert file.read_bytes().startswith(b"\x89PNG")
    assert not list(run.rglob(".*.tmp"))
