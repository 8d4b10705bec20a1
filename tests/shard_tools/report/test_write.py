"""``glr-shard eda``: what is in the page and beside it; a browser looks at it in tests/browser."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shard_tools.cli import main
from shard_tools.errors import StoreError
from shard_tools.report.charts_html import charts
from shard_tools.report.page import render
from shard_tools.report.statistics import imbalance
from shard_tools.report.survey import take_survey
from shard_tools.report.write import write_report
from tests.helpers.photos import add_photo, built, encoded, kaggle, picture, write_labels

PNGS = ("frequency", "histogram", "concentration", "boxes")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("report") / "source"
    kaggle(root, {"1": 12, "20": 5, "3": 2, "4": 1})
    add_photo(root, "stray", b"")
    (root / "landmarks.csv").write_text("landmark_id,name\n20,<b>Tower</b> & Bridge</script>\n")
    return root


@pytest.fixture(scope="module")
def store(source: Path) -> Path:
    return built(source, source.parent / "store", shard_size=8)


def test_a_page_and_pngs(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eda", str(store), "--out", str(tmp_path / "r.html")]) == 0
    assert "r.html (" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {
        "r.html",
        *(f"r-{name}.png" for name in PNGS),
    }
    for name in PNGS:
        with Image.open(tmp_path / f"r-{name}.png") as image:
            assert image.width == 1200
            assert len(set(np.asarray(image.convert("L")).ravel().tolist())) > 20
    page = (tmp_path / "r.html").read_text()
    assert "<b>Tower</b>" not in page
    assert "&lt;b&gt;Tower&lt;/b&gt; &amp; Bridge" in page
    assert "not in train.csv" in page
    assert page.count("data:image/jpeg;base64,") == 4


def test_a_survey_of_a_store(store: Path) -> None:
    survey = take_survey(store, sample=5)
    assert survey.looked_at == "all 20 photos of the store"
    assert set(survey.properties["width"]) == {48}
    assert survey.rejected == {"not in train.csv": 1}
    assert [portrait.photos for portrait in survey.largest] == [12, 5]
    assert [portrait.photos for portrait in survey.rarest] == [1, 2]
    for portrait in (*survey.largest, *survey.rarest):
        assert portrait.thumbnail is not None
        with Image.open(io.BytesIO(portrait.thumbnail)) as image:
            assert image.size == (168, 126)
        assert len(portrait.thumbnail) < 20_000


def test_duplicates(store: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(store, tmp_path / "store"))
    lines = ["0,a,1,exact,,false,p", "0,b,1,exact,,false,p", "1,c,1,near,,true,p"]
    header = "group,key,landmark_id,kind,action,label_conflict,path"
    (copy / "duplicates.csv").write_text("\n".join([header, *lines, "1,d,2,near,,true,p", ""]))
    survey = take_survey(copy, sample=1)
    assert list(survey.duplicates.values()) == [4, 2, 2, 1]
    assert "of them with several labels" in render(survey, imbalance(survey.counts.total))


def test_a_survey_of_a_source(source: Path) -> None:
    survey = take_survey(source, sample=5)
    assert survey.looked_at == "the headers of 5 photos, drawn at random from 20"
    assert len(survey.properties["bytes"]) == 5
    assert survey.rejected == {"not in train.csv": 1}
    assert "all 20 photos" in take_survey(source, sample=99).looked_at


def test_bad_and_turned_photos_of_a_source(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    add_photo(tmp_path, "turned", encoded(picture(48, 32), exif=exif))
    add_photo(tmp_path, "broken", b"no photo")
    write_labels(tmp_path, {"turned": "1", "broken": "2"})
    survey = take_survey(tmp_path, sample=9)
    assert survey.properties["height"].tolist() == [48]
    assert survey.looked_at.endswith("1 of them could not be opened")
    assert {portrait.thumbnail is None for portrait in (*survey.largest, *survey.rarest)} == {
        True,
        False,
    }
    assert "no photo" in render(survey, imbalance(survey.counts.total))


def test_what_is_drawn_does_not_grow_with_the_data(shared: Path) -> None:
    survey = take_survey(shared / "data" / "glr2020" / "class_counts.csv", sample=1)
    drawn = charts(survey, imbalance(survey.counts.total))
    assert set(drawn) == {"frequency", "histogram", "concentration", "class-sizes"}
    assert sum(len(figure.to_json() or "") for figure in drawn.values()) < 100_000


def test_user_errors(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match=r"name an \.html file"):
        write_report(store, tmp_path / "report.pdf")
    with pytest.raises(StoreError, match="no folder"):
        write_report(store, tmp_path / "none" / "r.html")
    with pytest.raises(StoreError, match="--sample is 0"):
        write_report(store, tmp_path / "r.html", sample=0)
    with pytest.raises(StoreError, match="no such"):
        write_report(tmp_path / "none", tmp_path / "r.html")
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.delitem(sys.modules, "shard_tools.report.page")
    monkeypatch.delitem(sys.modules, "shard_tools.report.charts_html")
    for name in [name for name in sys.modules if name.startswith("plotly.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(StoreError, match=r"needs plotly, which is not installed; pip install"):
        write_report(store, tmp_path / "r.html")
    assert not list(tmp_path.iterdir())


def test_other_commands_do_not_import_what_only_reports_need() -> None:
    code = "import shard_tools.cli.main, shard_tools.build.builder, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"plotly", "matplotlib", "jinja2"} & set(run.stdout.split())
