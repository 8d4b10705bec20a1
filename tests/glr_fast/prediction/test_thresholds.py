"""Which probability is sure enough: as given, as the validation photos say, or not known."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from glr_fast.errors import ConfigError
from glr_fast.prediction import PredictOptions, choose_threshold
from glr_fast.prediction.thresholds import THRESHOLDS
from glr_fast.trained_model import TrainedModel, load_model

KNOWN = {"0.90": {"probability": 0.4}, "0.95": {"probability": 0.6}, "0.99": {"probability": None}}


@pytest.fixture
def own(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


def evaluated(run: Path, checkpoint: str = "best", known: object = KNOWN) -> TrainedModel:
    (run / "eval-val").mkdir()
    figures = {"checkpoint": checkpoint, "thresholds": known}
    (run / "eval-val/metrics.json").write_text(json.dumps(figures))
    return load_model(run, device="cpu")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (PredictOptions(), 0.6),
        (PredictOptions(threshold=0.123), 0.123),
        (PredictOptions(threshold=0.0), 0.0),
        (PredictOptions(precision_target=0.9), 0.4),
        (PredictOptions(precision_target=0.95), 0.6),
    ],
)
def test_a_run_that_was_evaluated(own: Path, options: PredictOptions, expected: float) -> None:
    assert choose_threshold(evaluated(own), options).probability == expected
    beside = dataclasses.replace(evaluated_in(own), folder=own / "best")
    assert choose_threshold(beside, options).probability == expected


def evaluated_in(run: Path) -> TrainedModel:
    return load_model(run / "best", device="cpu")


def test_nothing_is_known(own: Path) -> None:
    model = load_model(own, device="cpu")
    found = choose_threshold(model, PredictOptions())
    assert found.probability is None
    assert found.reason.endswith(f"glr-evaluate --run {own} --split val finds it")
    export = load_model(Path(shutil.copytree(own / "best", own.with_name("export"))), device="cpu")
    found = choose_threshold(export, PredictOptions())
    assert found.reason.endswith(f"glr-evaluate --run {export.folder} --split val finds it")
    assert choose_threshold(model, PredictOptions(threshold=0.5)).probability == 0.5
    with pytest.raises(ConfigError, match="no threshold is known"):
        choose_threshold(model, PredictOptions(precision_target=0.9))


def test_a_checkpoint_that_was_evaluated(own: Path) -> None:
    shutil.copytree(own / "best", own / "checkpoints/step-00000044")
    evaluated(own, checkpoint="step-00000044")
    model = load_model(own, "step-00000044", device="cpu")
    assert choose_threshold(model, PredictOptions()).probability == 0.6


def test_without_a_wish_a_precision_that_nothing_reaches_marks_nothing(own: Path) -> None:
    known = KNOWN | {"0.95": {"probability": None}}
    found = choose_threshold(evaluated(own, known=known), PredictOptions())
    assert found.probability is None
    assert found.reason.startswith("none reaches 95% right answers on the validation photos")


def test_the_evaluation_of_other_weights_says_nothing(own: Path) -> None:
    model = evaluated(own, checkpoint="step-00000044")
    assert choose_threshold(model, PredictOptions()).probability is None


def test_an_export_carries_its_thresholds(own: Path) -> None:
    export = own / "best"
    (export / THRESHOLDS).write_text(json.dumps(KNOWN))
    model = load_model(export, device="cpu")
    assert choose_threshold(model, PredictOptions(precision_target=0.9)).probability == 0.4


@pytest.mark.parametrize(
    ("wanted", "words"),
    [(0.99, "none reaches 99% right answers"), (0.8, "knows 0.90, 0.95, 0.99")],
)
def test_a_precision_that_cannot_be_had(own: Path, wanted: float, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        choose_threshold(evaluated(own), PredictOptions(precision_target=wanted))


@pytest.mark.parametrize("known", [{"0.95": 3}, {"x": {}}, {"0.95": {}}])
def test_a_file_of_another_version(own: Path, known: object) -> None:
    with pytest.raises(ConfigError, match="no thresholds of this version; evaluate again"):
        choose_threshold(evaluated(own, known=known), PredictOptions())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"threshold": 2.0}, "--threshold must be from 0 to 1; it is 2.0"),
        ({"threshold": float("nan")}, "--threshold must be from 0 to 1"),
        ({"precision_target": -1.0}, "--precision-target must be from 0 to 1"),
        ({"threshold": 0.5, "precision_target": 0.9}, "give one of them"),
        ({"out": Path("a.txt")}, "--out must be a file that ends in .csv, .jsonl, .parquet"),
        ({"top": 0}, "--top must be 1 or more"),
        ({"all": True}, "--all writes to a file"),
        ({"link": "hard"}, "--link says how --sort-into"),
        ({"batch_size": 0}, "--batch-size must be 1 or more"),
        ({"backend": "pil"}, "--backend must be one of auto, dali, cpu"),
        ({"check": "none"}, "--check must be one of full, header"),
        ({"image_size": 8}, "--image-size must be 16 or more"),
    ],
)
def test_options_that_make_no_sense(flags: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        PredictOptions(**flags)  # type: ignore[arg-type]


def test_thresholds_of_weights_that_were_replaced_do_not_count(own: Path) -> None:
    (own / "eval-val").mkdir()
    for trained, size, expected in (
        ({"step": "12"}, None, 0.6),
        ({"step": "10"}, None, None),  # best/ was another then
        ({"step": "12"}, 640, None),
    ):
        figures = {"checkpoint": "best", "trained": trained, "thresholds": KNOWN}
        figures |= {} if size is None else {"image_size": size}
        (own / "eval-val/metrics.json").write_text(json.dumps(figures))
        model = dataclasses.replace(load_model(own, device="cpu"), note={"step": "12"})
        assert choose_threshold(model, PredictOptions()).probability == expected


def test_thresholds_of_an_export_that_was_evaluated_itself(own: Path) -> None:
    (own / "best/eval-val").mkdir()
    figures = {"checkpoint": "best", "thresholds": KNOWN}
    (own / "best/eval-val/metrics.json").write_text(json.dumps(figures))
    assert choose_threshold(evaluated_in(own), PredictOptions()).probability == 0.6
