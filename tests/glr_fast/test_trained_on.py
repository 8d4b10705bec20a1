"""Photos that a run was trained on are known by its store, as long as that is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glr_fast.checkpoint import TrainState
from glr_fast.compare_options import CompareOptions
from glr_fast.comparison import compare
from glr_fast.config import Config, DataConfig
from glr_fast.data import Store
from glr_fast.errors import ConfigError
from glr_fast.evaluation import EvaluateOptions, evaluate
from glr_fast.metrics import too_few
from glr_fast.run_start import fingerprint
from tests.helpers.models import run_for
from tests.helpers.photos import built


@pytest.mark.parametrize("what", ["gone", "replaced", "moved"])
def test_a_run_whose_store_is_no_longer_there_cannot_say_what_it_learnt(
    what: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = built(photos, tmp_path / "own")
    anew = built(photos, tmp_path / "anew", seed=5)
    run = run_for(own, tmp_path / "run")
    (run / "config.json").write_text(Config(data=DataConfig(store=own), out=run).to_json())
    digest = fingerprint(Store.open(own))
    checkpoint = run / "checkpoints" / "step-00000004"
    checkpoint.mkdir(parents=True)
    TrainState(4, 6, digest, None, ()).write(checkpoint, {})
    moved = own.rename(tmp_path / "moved")
    if what == "replaced":
        built(photos, own, seed=7)
    tested = moved if what == "moved" else anew
    options = EvaluateOptions(run=run, store=tested, split="test", report=False, resamples=0)
    figures = evaluate(options)
    said = f"{own} is gone, or no longer the store that {run} was trained on: nobody can tell"
    if what == "moved":  # the very store, wherever it lies
        assert figures["trained_on"] == 0
        assert not figures["warnings"]
    else:
        assert figures["trained_on"] is None
        assert any(line.startswith(said) for line in figures["warnings"])
        assert f"warning: {said}" in capsys.readouterr().err


def test_photos_that_were_trained_on_are_told(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store that is split anew holds photos in test that an older run has learnt."""
    own = built(photos, tmp_path / "own")
    anew = built(photos, tmp_path / "anew", seed=5)
    small = built(photos, tmp_path / "small", seed=5, resize_short=64)
    run = run_for(own, tmp_path / "run")
    config = Config(data=DataConfig(store=own), out=run)
    (run / "config.json").write_text(config.to_json())
    learnt = {row["path"] for row in rows_of(own) if row["split"] == "train"}
    options = EvaluateOptions(run=run, split="test", report=False, resamples=0)
    for store in (own, anew, small):
        figures = evaluate(replace(options, store=store))
        tested = {row["path"] for row in rows_of(store) if row["split"] == "test"}
        assert figures["trained_on"] == len(learnt & tested)
        said = f"warning: at least {figures['trained_on']} of these photos were trained on"
        assert (said in capsys.readouterr().err) == (store != own)
    assert figures["trained_on"] > 0
    # The page that is passed on says it too, and that few photos show no precision.
    figures = evaluate(replace(options, store=anew, report=True))
    page = (run / "eval-test" / "report.html").read_text()
    assert figures["warnings"] == [text for text in figures["warnings"] if text in page] != []
    assert page.count("too few to tell") == sum(
        too_few(found, float(wanted)) for wanted, found in figures["thresholds"].items()
    )
    evaluate(replace(options, split="val", store=anew))
    with pytest.raises(ConfigError, match="of its photos were trained on"):
        compare(CompareOptions((run,)))
    evaluate(replace(options, split="val", store=own))
    assert f"note: replaces the evaluation on {anew}" in capsys.readouterr().err


def rows_of(store: Path) -> list[dict[str, Any]]:
    return Store.open(store).samples(["path", "split"]).to_pylist()
