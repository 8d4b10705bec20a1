"""The chain on landmarks13: what it holds bare files to, and which steps it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("optuna")

from benchmarks.bench_landmarks13 import RECIPES, steps_of
from benchmarks.landmarks13_page import Done, compare_answers, write_page

STORED = [
    {
        "path": "train/a.jpg",
        "landmark_id": "7",
        "top_labels": [2, 0],
        "top_probabilities": [0.6, 0.3],
    },
    {
        "path": "train/b.jpg",
        "landmark_id": "8",
        "top_labels": [1, 0],
        "top_probabilities": [0.9, 0.1],
    },
]
BARE = [
    {"path": "files/b.jpg", "landmark_id": "8", "probabilities": [0.1, 0.9, 0.0]},
    {"path": "files/a.jpg", "landmark_id": "9", "probabilities": [0.3, 0.1, 0.6]},
]


def compared(folder: Path, bare: list[dict[str, Any]]) -> tuple[int, int, float]:
    pq.write_table(pa.Table.from_pylist(bare), folder / "answers.parquet")
    pq.write_table(pa.Table.from_pylist(STORED), folder / "predictions.parquet")
    found = compare_answers(folder / "answers.parquet", folder)
    return found.photos, found.right, found.worst


def test_photos_are_compared_by_name_and_labels_by_number(tmp_path: Path) -> None:
    assert compared(tmp_path, BARE) == (2, 1, pytest.approx(0))
    other = [BARE[0], BARE[1] | {"probabilities": [0.31, 0.09, 0.6]}]
    assert compared(tmp_path, other)[2] == pytest.approx(0.01)
    with pytest.raises(ValueError, match="not of the same photos"):
        compared(tmp_path, BARE[:1])


def test_every_tool_has_its_step() -> None:
    steps = steps_of(Path("work"))
    assert len({step.name for step in steps}) == len(steps)
    commands = " ".join(line for step in steps for line in step.commands)
    for tool in ("glr-shard build", "launch/train.py", "launch/tune.py", "launch/evaluate.py"):
        assert tool in commands
    for tool in ("launch/compare.py", "launch/predict.py", "--gallery", "launch/export.py"):
        assert tool in commands
    assert all(f"train {recipe}" in {step.name for step in steps} for recipe in RECIPES)


def test_the_commands_know_their_flags() -> None:
    """Before an hour of training: no step fails on what it was told."""
    from glr_fast.command_line import parse, parse_train, parse_tune
    from glr_fast.commands.predict import parse_predict
    from glr_fast.compare_options import CompareOptions
    from glr_fast.evaluate_options import EvaluateOptions
    from glr_fast.export_options import ExportOptions

    parsers = {
        "train.py": parse_train,
        "tune.py": parse_tune,
        "predict.py": parse_predict,
        "evaluate.py": lambda words: parse(EvaluateOptions, words, EvaluateOptions()),
        "compare.py": lambda words: parse(CompareOptions, words, CompareOptions()),
        "export.py": lambda words: parse(ExportOptions, words, ExportOptions()),
    }
    parsed = {}
    for step in steps_of(Path("work"))[1:]:
        for line in step.commands:
            program, *words = line.partition(" > ")[0].removeprefix("python launch/").split()
            parsed[step.name] = parsers[program](words)
    options, config = parsed["tune"]
    assert options.trials == 8
    assert (config.optim.epochs, config.data.image_size) == (3, 112)
    assert parsed["train resnet50_ldam"].loss.name == "ldam"
    assert parsed["compare"].runs == tuple(Path("work", recipe) for recipe in RECIPES)
    assert parsed["predict"].all


def test_the_page_is_made_of_what_the_steps_wrote(tmp_path: Path) -> None:
    import optuna

    steps = steps_of(tmp_path)
    done = [Done(s.name, list(s.commands), 60.0, "abc", s.name != "tune") for s in steps]
    figures = {"photos": 2, "accuracy": 0.5, "macro_f1": 0.4, "gap": 0.3, "ece": 0.2}
    for recipe in RECIPES:
        for splits in ("test", "val-test"):
            folder = tmp_path / recipe / f"eval-{splits}"
            folder.mkdir(parents=True)
            more = {"intervals": {"accuracy": [0.1, 0.9]}}
            (folder / "metrics.json").write_text(json.dumps(figures | more))
    elected = tmp_path / RECIPES[1]
    pq.write_table(pa.Table.from_pylist(STORED), elected / "eval-test" / "predictions.parquet")
    pq.write_table(pa.Table.from_pylist(BARE), tmp_path / "answers.parquet")
    checked = {"model.onnx": {"worst_difference": 3e-7, "source": f"16 photos of {tmp_path}/store"}}
    for name, facts in (
        ("best", {"exported_from": str(elected / "best")}),
        ("exported", {"programs": checked}),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "export.json").write_text(json.dumps(facts))
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "index.html").write_bytes(bytes(1_500_000))
    (tmp_path / "compare.txt").write_text(f"elected: {elected}\n")
    (tmp_path / "study").mkdir()
    study = optuna.create_study(
        study_name="study", storage=f"sqlite:///{tmp_path}/study/study.db", direction="maximize"
    )
    trial = study.ask()
    trial.suggest_float("optim.lr", 1e-4, 1e-2)
    study.tell(trial, 0.25)
    write_page(tmp_path / "page.md", tmp_path, RECIPES, done, "Machine: a box; commit xyz.")
    page = (tmp_path / "page.md").read_text()
    for said in (
        "| `resnet50_ce` | 50.00% | 0.400 | 50.00% (10.0% to 90.0%) |",
        f"(`{RECIPES[1]}`):\n1 right.",
        "1 file, 1.5 MB",
        "| 0.250 |",
        "3.0e-07 (16 photos of store)",
        "| tune | 60 (shared) |",
        "Machine: a box; commit abc.",
        "--trials 8",
    ):
        assert said in page, page
    wrong = [BARE[0] | {"probabilities": [0.2, 0.8, 0.0]}, BARE[1]]
    pq.write_table(pa.Table.from_pylist(wrong), tmp_path / "answers.parquet")
    with pytest.raises(SystemExit, match="answered otherwise than the store: 1"):
        write_page(tmp_path / "page.md", tmp_path, RECIPES, done, "")
