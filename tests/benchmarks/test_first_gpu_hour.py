"""The first hour on a GPU, end to end on the CPU: every step, an early end, a second run."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from benchmarks import first_gpu_hour as hour
from benchmarks.gpu_steps import STEPS, TINY


def test_it_takes_at_most_20_minutes() -> None:
    assert sum(limit for _, limit in STEPS.values()) <= 20 * 60


def test_without_a_gpu_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    hour.main(["--out", str(tmp_path)])
    assert "no GPU" in capsys.readouterr().out


def test_a_step_that_is_cut_off_leaves_its_figures(tmp_path: Path) -> None:
    # A shell, which is there at once also on a busy machine.
    write = f"""echo '["a", "1", ""]' > {tmp_path / "train.rows"}; sleep 60"""
    command = ["/bin/sh", "-c", write]
    hour.run_step(tmp_path, "train", 2, command)
    found = json.loads((tmp_path / "train.json").read_text())
    assert found["state"] == "cut off after 2 s"
    assert found["rows"] == [["a", "1", ""]]
    assert "| a | 1 |  |" in hour.page(tmp_path, ["train", "profile"])


@pytest.fixture
def given(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store that the steps read, in place of one that is made."""
    monkeypatch.setenv("GLR_STORE", str(store))
    return store


FIGURES = {
    "machine": "store",
    "tests": "pytest -m gpu",
    "loader": "our defaults / best stock DALI",
    "train": "test_efficientnet, 50 classes, ldam: fed / synthetic",
    "feeds": "test_resnet, backend cpu",
    "engines": "DALI, full decode, crop on the device, hw_load 0.0",
    "profile": "test_resnet, defaults: waiting",
    "options": "test_efficientnet, compiled",
}


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_every_step_runs_tiny(step: str, given: Path, tmp_path: Path) -> None:
    found: dict[str, str] = {}

    def note(what: str, figure: str, remark: str) -> None:
        assert figure != "failed", (what, remark)
        found[what] = f"{figure} {remark}"

    STEPS[step][0](tmp_path, TINY, note)
    assert found[FIGURES[step]]
    if step == "tests":
        assert "skipped" in found["pytest -m gpu"]
    if step == "profile":
        with gzip.open(tmp_path / "profile-test_resnet-defaults.json.gz", "rt") as file:
            assert "aten::" in file.read()


@pytest.mark.slow
def test_what_is_done_is_not_done_again(given: Path, tmp_path: Path) -> None:
    command = ["--tiny", "--out", str(tmp_path), "--store", str(given), "--steps", "engines"]
    hour.main(command)
    before = json.loads((tmp_path / "engines.json").read_text())
    assert before["state"] == "done"
    assert len(before["rows"]) == 2
    text = (tmp_path / "first_gpu_hour.md").read_text()
    assert "| DALI, region decode, hw_load 0.0 |" in text
    assert "## profile\n\nNot yet measured." in text
    hour.main(command)
    assert json.loads((tmp_path / "engines.json").read_text()) == before


def test_an_unknown_step_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        hour.main(["--tiny", "--out", str(tmp_path), "--steps", "dekode"])
    assert ended.value.code == 2
    assert "--steps dekode: there are machine, feeds" in capsys.readouterr().err
