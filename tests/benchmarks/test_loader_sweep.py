"""The sweep before the loader's race: what is tried, what is chosen, what is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import bench_loader
from benchmarks.harness import PeerError
from benchmarks.loader_sweep import Sweeps, Trial, best, climb
from benchmarks.peers import Job

AXES = {"batch_size": (256, 64), "workers": (2, 3), "prefetch": (2, 4)}


def test_each_axis_goes_on_from_the_best_before() -> None:
    def rate(settings: dict[str, int]) -> float:
        return 1000 / settings["batch_size"] + settings["workers"] - settings["prefetch"]

    trials = climb(AXES, rate)
    assert [tuple(trial.settings.values()) for trial in trials] == [
        (256, 2, 2),
        (64, 2, 2),
        (64, 3, 2),
        (64, 3, 4),
    ]
    assert best(trials) == {"batch_size": 64, "workers": 3, "prefetch": 2}
    assert climb({}, rate) == []
    assert best([]) == {}


def test_a_contender_that_dies_keeps_what_was_tried() -> None:
    def rate(settings: dict[str, int]) -> float:
        if settings["batch_size"] == 64:
            raise PeerError("killed")
        return 1.0

    assert climb(AXES, rate) == [Trial({"batch_size": 256, "workers": 2, "prefetch": 2}, 1.0)]


def test_sweeps_are_kept_and_used(tmp_path: Path) -> None:
    sweeps = Sweeps.open(tmp_path / "sweep.json")
    sweeps.trials["a"] = [Trial({"batch_size": 64}, 5.0), Trial({"batch_size": 32}, 7.4)]
    sweeps.titles["a"] = "A"
    sweeps.write()
    again = Sweeps.open(tmp_path / "sweep.json")
    assert again.job("a", Job(tmp_path, tmp_path)).batch_size == 32
    assert again.job("b", Job(tmp_path, tmp_path)).batch_size == 256
    assert "| A | 64: 5; **32: 7** |" in again.section()
    # No contender is swept twice: this one would fail to start.
    again.sweep("a", Job(tmp_path / "no-store", tmp_path), Path(sys.executable), 0.1)
    assert again.missing == {}


@pytest.mark.slow
def test_a_race_with_the_settings_of_the_sweep(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "few").symlink_to(photos)  # in place of generated ones
    options = ["--quick", "--kinds", "short256", "--contenders", "bound_full"]
    # Not the environment of the contenders' libraries, which may be there half installed.
    options += ["--python", sys.executable, "--work", str(tmp_path)]
    bench_loader.main([*options, "--steps", "sweep", "race", "page"])
    text = (tmp_path / "loader_cpu.md").read_text()
    assert "bound: libjpeg-turbo, full decode, nothing else" in text
    before = json.loads((tmp_path / "race-few-short256.json").read_text())
    bench_loader.main([*options, "--steps", "sweep", "race"])
    assert json.loads((tmp_path / "race-few-short256.json").read_text()) == before


@pytest.mark.slow
def test_contenders_that_do_not_start_are_named(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "few").symlink_to(photos)
    options = ["--quick", "--kinds", "short256", "--contenders", "bound_full"]
    options += ["--python", "/bin/false", "--work", str(tmp_path)]
    bench_loader.main([*options, "--steps", "sweep", "race", "page"])
    assert "short256: bound_full left out: ended" in capsys.readouterr().out
    assert "not measured" in (tmp_path / "loader_cpu.md").read_text()
