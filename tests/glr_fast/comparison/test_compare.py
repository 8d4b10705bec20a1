"""Electing a run: by validation only, a tie goes to the cheaper model, and what cannot be compared
is refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glr_fast.compare_options import CompareOptions
from glr_fast.comparison import as_text, compare, cost, read_evaluations
from glr_fast.comparison.compare import Rival, elect
from glr_fast.comparison.cost import Cost
from glr_fast.comparison.evaluations import on_validation
from glr_fast.comparison.paired import Difference
from glr_fast.errors import ConfigError
from glr_fast.trained_model import load_model
from tests.conftest import REPOSITORY
from tests.helpers.evaluations import write_evaluation
from tests.helpers.untrained import CARD, write_run

LABELS = np.repeat([0, 1, 2], [60, 30, 10])
ALL = np.arange(100)


def answers(wrong: np.ndarray) -> np.ndarray:
    """Predictions that are right but for the photos ``wrong``."""
    return np.where(np.isin(ALL, wrong), (LABELS + 1) % 3, LABELS)


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """A small and a large model, which is right on one photo more; and far worse on test."""
    small, large = tmp_path / "small", tmp_path / "large"
    write_run(small)
    write_run(large, replace(CARD, name="resnet18"))
    write_evaluation(small, LABELS, answers(ALL[:20]))
    write_evaluation(large, LABELS, answers(ALL[1:20]))
    write_evaluation(small, LABELS, answers(ALL[:5]), "test")
    write_evaluation(large, LABELS, answers(ALL[:50]), "test")
    return small, large


def test_a_tie_goes_to_the_cheaper_model(runs: tuple[Path, Path], tmp_path: Path) -> None:
    small, large = runs
    out = tmp_path / "best"
    found = compare(CompareOptions((large, small, large), measure=False, out=out))
    assert found.best.run == large
    assert found.elected.run == small
    assert [rival.run for rival in found.tied] == [small]
    text = as_text(found)
    assert f"elected by macro_f1 on val: {small}" in text
    assert f"ties with {large}" in text
    assert "and is cheaper (0.4 million parameters against 11.2 million parameters)" in text
    assert "8.0" not in text.splitlines()[-1]
    assert load_model(out).card.name == "test_resnet"
    with pytest.raises(ConfigError, match="already exists; --overwrite replaces it"):
        compare(CompareOptions(runs, measure=False, out=out))
    compare(CompareOptions((large,), measure=False, out=out, overwrite=True))
    assert load_model(out).card.name == "resnet18"


def test_validation_elects_even_where_the_test_split_says_otherwise(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    third = write_run(tmp_path / "third", replace(CARD, name="resnet18"))
    write_evaluation(third, LABELS, answers(ALL[:1]))
    write_evaluation(third, LABELS, answers(ALL), "test")
    found = compare(CompareOptions((*runs, third), by="accuracy", measure=False))
    assert found.elected is found.best
    assert found.elected.run == third
    assert not found.tied
    text = as_text(found)
    assert "interval of the difference" in text
    assert "worse" in text
    table = text.splitlines()[:8]
    assert len({len(line) for line in table}) == 1
    assert "2.8 x" in table[2]  # small on test: 0.95 over a chance of 1 in 3


def test_figures_of_another_store_are_named(runs: tuple[Path, Path]) -> None:
    small, large = runs
    assert "photos of" not in as_text(compare(CompareOptions(runs, measure=False)))
    file = large / "eval-test" / "metrics.json"
    figures = json.loads(file.read_text()) | {"store": "elsewhere", "store_digest": "other"}
    file.write_text(json.dumps(figures))
    text = as_text(compare(CompareOptions((small, large), measure=False)))
    assert f"\n{large} on test: photos of elsewhere, not of store\n" in text
    assert text.count("photos of") == 1


def test_speed_is_measured_once_for_each_architecture(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    twin = write_run(tmp_path / "twin")
    write_evaluation(twin, LABELS, answers(ALL[:20]))
    found = compare(CompareOptions((*runs, twin)))
    rates = [rival.cost.images_per_second for rival in found.rivals]
    assert rates[0] == rates[2]
    assert all(rate and rate > 0 for rate in rates)
    assert found.measured_on is not None
    assert "images/s: the model alone" in as_text(found)


def test_the_fastest_turn_after_the_first_counts(
    runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else the machine does only slows a turn."""
    turns = iter([0.1, 0.2, 9.0, 5.0, 1.0, 4.0, 0.5, 4.0, 9.0, 2.0, 0.8, 9.0])
    monkeypatch.setattr(cost, "_seconds_per_photo", lambda model: next(turns))
    models = {run: load_model(run) for run in runs}
    found = cost.costs(models, measure=True)
    assert [found[run].images_per_second for run in runs] == [1 / 0.5, 1 / 2.0]


def rival(name: str, figure: float, low: float, cost: float) -> Rival:
    speed = Cost(parameters=1, images_per_second=1 / cost)
    return Rival(Path(name), (), figure, Difference(0.9 - figure, low, 1.0), speed)


@pytest.mark.parametrize(
    ("others", "elected"),
    [
        ([("b", 0.8, -0.1, 5.0)], "b"),  # a tie, and cheaper
        ([("b", 0.8, 0.01, 5.0)], "a"),  # cheaper, but worse
        ([("b", 0.8, -0.1, 9.5)], "a"),  # a tie at the same cost
        ([("b", 0.8, -0.1, 15.0)], "a"),  # a tie, and dearer
        ([("b", 0.8, -0.1, 5.0), ("c", 0.85, -0.1, 5.2)], "c"),  # the better of two cheap ones
        ([("b", 0.8, -0.1, 5.0), ("c", 0.85, 0.1, 1.0)], "b"),
    ],
)
def test_who_is_elected(others: list[tuple[str, float, float, float]], elected: str) -> None:
    rivals = (rival("a", 0.9, 0.0, 10.0), *(rival(*other) for other in others))
    assert elect(rivals).run == Path(elected)


def change(run: Path, **changes: object) -> None:
    file = run / "eval-val" / "metrics.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_what_cannot_be_compared(runs: tuple[Path, Path], tmp_path: Path) -> None:
    _, large = runs

    def refused() -> str:
        with pytest.raises(ConfigError) as caught:
            compare(CompareOptions(runs, measure=False))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    change(large, store_digest="other", store="elsewhere")
    assert "evaluated on different stores (store and elsewhere)" in refused()
    change(large, store_digest=None)
    assert f"of an earlier version; run glr-evaluate --run {large}" in refused()
    change(large, store_digest="abc", trained={"step": "9"})
    assert "evaluated at step 9, but the weights are now of step 12" in refused()
    change(large, trained={"step": "12"}, splits=["val", "test"])
    assert f"{large}: not evaluated on the validation split" in refused()
    change(large, splits=["val"])
    for file in (large / "eval-val").iterdir():
        file.unlink()
    (large / "eval-val").rmdir()
    write_evaluation(large, LABELS[:90], LABELS[:90])
    assert "are not of the same photos" in refused()
    (large / "eval-val" / "predictions.parquet").write_bytes(b"PAR1")
    assert "not a predictions table of this version" in refused()
    (large / "eval-val" / "metrics.json").write_text("[]")
    assert "not the figures of an evaluation" in refused()


def test_runs_that_know_different_classes(runs: tuple[Path, Path]) -> None:
    for file in (runs[1] / "eval-val").iterdir():
        file.unlink()
    (runs[1] / "eval-val").rmdir()
    folder = write_evaluation(runs[1], LABELS, LABELS)
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "predictions.parquet")
    labels = np.where(LABELS == 2, -1, LABELS)
    place = table.schema.get_field_index("label")
    table = table.set_column(place, "label", pa.array(labels, pa.int32()))
    pq.write_table(table, folder / "predictions.parquet")
    with pytest.raises(ConfigError, match="know different classes of the evaluated photos"):
        compare(CompareOptions(runs, measure=False))


def test_no_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no evaluation"):
        read_evaluations(tmp_path)
    with pytest.raises(ConfigError, match="no such run folder"):
        read_evaluations(tmp_path / "none")
    with pytest.raises(ConfigError, match="give the folders"):
        compare(CompareOptions())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: no such run folder"),
        (["a", "--by", "f1"], "invalid choice 'f1'"),
        (["a", "--bye", "f1"], "did you mean --by"),
    ],
)
def test_the_command(arguments: list[str], said: str) -> None:
    command = [sys.executable, "-m", "glr_fast.commands.compare", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_evaluation_that_is_called_so_elects(tmp_path: Path) -> None:
    for name in ("eval-val", "eval-val-384"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text('{"splits": ["val"], "checkpoint": "best"}')
    chosen = on_validation(read_evaluations(tmp_path))[tmp_path]
    assert chosen.folder.name == "eval-val"
