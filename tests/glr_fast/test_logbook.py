"""What a run says in a log file: figures with the time left, and how it ended."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glr_fast.config import Config
from glr_fast.logbook import Logbook

FIGURES = {
    "epoch": 0.5,
    "train/loss": 1.0,
    "train/accuracy": 0.5,
    "train/lr": 0.001,
    "throughput(images/s)": 50.0,
    "data_wait(%)": 3.0,
}


def logbook(run: Path, total: int, step: int = 0) -> Logbook:
    accelerator: Any = SimpleNamespace(is_main_process=True, log=lambda *a, **k: None)
    return Logbook(accelerator, run, total, step)


def test_a_line_says_how_long_it_still_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 60.0])
    monkeypatch.setattr("glr_fast.logbook.time.perf_counter", lambda: next(now))
    book = logbook(tmp_path, 300, step=100)  # resumed: 20 steps took the minute
    book.train(120, 300, FIGURES)
    book.train(300, 300, FIGURES)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("step 120/300  epoch 0.50  loss 1.0000")
    assert first.endswith("9 min left")
    assert "left" not in last


@pytest.mark.parametrize(
    ("best", "step", "said"),
    [
        (0.81234, 240, "best validation macro F1 0.8123 at step 240 of 300; took 4 min 3 s; w"),
        (0.81234, None, "best validation macro F1 0.8123; took 4 min 3 s; weights in "),
        (None, None, "nothing was evaluated; the last weights are kept as the best; took 4 min"),
    ],
)  # fmt: skip
def test_the_last_lines(
    best: float | None,
    step: int | None,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = Config(out=tmp_path)
    summary = {"monitor": "macro_f1", "best": best, "best_step": step, "step": 300, "seconds": 243}
    logbook(tmp_path, 300).closing(config, summary)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(said)
    assert lines[0].endswith(str(tmp_path / "best"))
    assert lines[1:] == [
        f"curves: tensorboard --logdir {tmp_path / 'logs'}",
        f"next: glr-evaluate --run {tmp_path} --split val",
    ]


def test_a_resumed_run_says_which_steps_took_the_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config(out=tmp_path / "with space")
    summary = {"monitor": "macro_f1", "best": None, "best_step": None, "step": 300, "seconds": 60}
    logbook(tmp_path, 300, step=100).closing(config, summary)
    said = capsys.readouterr().err
    assert "the steps from 100 on took 1 min" in said
    assert f"glr-evaluate --run '{tmp_path}/with space' --split val" in said
