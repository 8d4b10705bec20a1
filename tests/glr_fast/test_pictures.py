"""The confusion matrix as a picture: its title, and names in any script."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import glr_fast.report
from glr_fast.evaluation import EvaluateOptions, evaluate
from glr_fast.report import draw_confusion, pictures
from shard_tools.fonts import families_for
from tests.helpers.models import run_for

NAMES = ["東京タワー", "برج خليفة", "경복궁", "$x^2$", "<b>Tower</b>"]


def test_names_in_any_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not families_for(frozenset("".join(NAMES))):
        pytest.skip("no font with these characters: apt-get install fonts-noto-cjk fonts-noto")
    drawn: list[Figure] = []

    def saved(figure: Figure, file: Path) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Glyph")  # of a character that no font has
            figure.savefig(file)
        drawn.append(figure)

    monkeypatch.setattr(pictures, "_save", saved)
    labels = np.arange(5).repeat(3)
    draw_confusion(labels, np.roll(labels, 1), NAMES, tmp_path / "a.png", "برج on val: 66.7%")
    (figure,) = drawn
    assert figure.get_suptitle().startswith("برج on val: 66.7%\n15 photos")
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == NAMES


def test_the_title_names_run_split_and_accuracy(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: list[str] = []
    monkeypatch.setattr(
        glr_fast.report, "draw_confusion", lambda *arguments: titles.append(arguments[-1])
    )
    run = run_for(store, tmp_path / "my run")
    options = EvaluateOptions(run=run, store=store, split="val,test", resamples=20, report=False)
    figures = evaluate(options)
    (title,) = titles
    assert title.startswith(f"{run} on val+test: accuracy {figures['accuracy']:.1%} (")
