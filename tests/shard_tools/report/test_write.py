"""``glr-shard eda``: what is in the page and beside it; a browser looks at it in tests/browser."""

from __future__ import annotations

import io
import json
import logging
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.figure import Figure
from PIL import Image
from plotly.offline import get_plotlyjs

from shard_tools.cli import main
from shard_tools.errors import StoreError
from shard_tools.fonts import families_for, fonts_for
from shard_tools.report.boxes_html import photo_property
from shard_tools.report.charts_html import charts
from shard_tools.report.charts_png import write_pngs
from shard_tools.report.page import _listed, class_columns, render
from shard_tools.report.statistics import imbalance
from shard_tools.report.survey import take_survey
from shard_tools.report.write import write_report
from shard_tools.store.store import Store
from tests.helpers.damage import reseal
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
    assert page.count("<img data-photo=") == 4 + 4 + 2 + 1  # up to four of each class


def test_a_survey_of_a_store(store: Path) -> None:
    survey = take_survey(store, sample=5)
    assert survey.looked_at == "all 20 photos of the store"
    assert set(survey.properties["width"]) == {48}
    assert survey.rejected == {"not in train.csv": 1}
    assert [portrait.photos for portrait in survey.largest] == [12, 5, 2, 1]
    assert survey.rarest == ()  # these are all
    assert [len(portrait.thumbnails) for portrait in survey.largest] == [4, 4, 2, 1]
    for thumbnail in (small for portrait in survey.largest for small in portrait.thumbnails):
        with Image.open(io.BytesIO(thumbnail)) as image:
            assert image.size == (168, 126)
        assert len(thumbnail) < 20_000


def test_duplicates_are_shown_conflicts_first(store: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(store, tmp_path / "store"))
    table = Store.open(copy).samples(["key", "landmark_id", "split"]).to_pylist()
    keys = {row["landmark_id"]: row["key"] for row in table}
    splits = {row["landmark_id"]: row["split"] for row in table}
    torn = int(splits["20"] != splits["3"])
    elsewhere = next(
        row["key"] for row in table if row["landmark_id"] == "1" and row["split"] != splits["1"]
    )
    lines = [
        f"0,{keys['1']},1,exact,kept,false,a.jpg",
        "0,gone,1,exact,dropped,false,b.jpg",
        f"0,{elsewhere},1,exact,kept,false,c.jpg",
        f"1,{keys['20']},20,near,kept,true,<i>.jpg",
        f"1,{keys['3']},3,near,kept,true,d.jpg",
    ]
    header = "group,key,landmark_id,kind,action,label_conflict,path"
    (copy / "duplicates.csv").write_text("\n".join([header, *lines, ""]))
    reseal(copy)
    survey = take_survey(copy, sample=1)
    found = survey.duplicates
    assert list(found.counts.values()) == [5, 3, 2, 1, 1 + torn]
    (conflict,), (other,) = found.conflicts, found.others
    assert [copy.title for copy in conflict.shown] == ["<b>Tower</b> & Bridge</script>", "3"]
    assert all(copy.thumbnail for copy in conflict.shown)
    assert [(copy.path, copy.dropped) for copy in other.shown] == [
        ("a.jpg", False),
        ("b.jpg", True),
        ("c.jpg", False),
    ]
    assert other.shown[1].thumbnail is None
    page = render(survey, imbalance(survey.counts.total))
    assert page.index("Label conflicts") < page.index("Duplicates of one class")
    assert "&lt;i&gt;.jpg" in page
    assert "b.jpg (dropped)" in page
    assert "groups are shown" not in page
    assert "duplicates.csv lists all groups." in page
    assert survey.duplicates.all_others == 1


def test_a_page_says_how_many_groups_it_does_not_show() -> None:
    assert _listed(8, 23) == "8 of 23 groups are shown; duplicates.csv lists all groups."
    assert _listed(8, 8) == "duplicates.csv lists all groups."


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
    assert survey.looked_at == "the headers of all 2 photos"
    assert survey.rejected == {"cannot be opened, of all 2 photos looked at": 1}  # once, there
    assert sorted(len(portrait.thumbnails) for portrait in survey.largest) == [0, 1]
    page = render(survey, imbalance(survey.counts.total))
    assert "no photo" in page
    assert page.count("cannot be opened") == 1


def test_the_table_has_every_class_and_stays_small(shared: Path) -> None:
    survey = take_survey(shared / "data" / "glr2020" / "class_counts.csv", sample=1)
    columns = class_columns(survey.counts)
    assert len(columns["id"]) == 81_313
    assert sum(columns["splits"]["all"]) == 1_580_470
    assert columns["name"] is None  # the ids alone
    page = render(survey, imbalance(survey.counts.total))
    assert len(page) - len(get_plotlyjs()) < 1_500_000


def test_names_on_bars_where_classes_are_few(store: Path) -> None:
    survey = take_survey(store, sample=1)
    drawn = charts(survey, imbalance(survey.counts.total))
    named = drawn["frequency"]
    assert named["names"] == ["1", "<b>Tower</b> & Bridge</script>", "3", "4"]
    bars = {trace["name"]: trace for trace in named["data"] if trace["type"] == "bar"}
    assert list(bars) == ["train", "val", "test"]
    assert np.sum([trace["x"] for trace in bars.values()], axis=0).tolist() == [12, 5, 2, 1]
    assert bars["train"]["text"][1] == "&lt;b>Tower&lt;/b> &amp; Bridge&lt;/script>"
    assert "histogram" not in drawn


def test_bars_where_a_box_would_be_a_line(store: Path) -> None:
    survey = take_survey(store, sample=1)
    drawn = charts(survey, imbalance(survey.counts.total))
    (width,) = drawn["width"]["data"]  # every photo is 48 pixels wide
    assert (width["type"], width["x"], width["y"]) == ("bar", ["48"], [20])
    assert {trace["type"] for trace in drawn["class-sizes"]["data"]} == {"bar"}
    assert drawn["class-sizes"]["layout"]["yaxis"]["dtick"] == 1
    varied = photo_property("bytes", np.geomspace(1e3, 1e6, 500))
    assert [trace["type"] for trace in varied["data"]] == ["box", "scatter"]
    assert varied["layout"]["xaxis"]["ticktext"][:2] == ["1", "10"]


@pytest.mark.filterwarnings("error")
def test_pictures_with_names_in_any_script(store: Path, tmp_path: Path) -> None:
    """Such names are drawn with other glyphs than the box of a font that lacks them."""
    names = ["東京タワー", "برج خليفة", "경복궁"]
    characters = frozenset("".join(names))
    if not families_for(characters):
        pytest.skip("no font with these characters: apt-get install fonts-noto-cjk fonts-noto")
    survey = take_survey(store, sample=1)
    counts = replace(survey.counts, names=pa.array([*names, "plain"]))
    files = write_pngs(replace(survey, counts=counts), imbalance(counts.total), tmp_path / "r.html")
    assert len(files) == len(PNGS)
    with fonts_for(names), warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph")  # of a character that no font has
        figure = Figure()
        figure.suptitle(" ".join(names))
        figure.canvas.draw()  # type: ignore[attr-defined]


def test_remarks_on_fonts_without_a_bold_face_are_quiet(caplog: pytest.LogCaptureFixture) -> None:
    remarks = logging.getLogger("matplotlib.font_manager")
    before = remarks.level
    with fonts_for(["plain"]):
        remarks.warning("findfont: no such face")
    assert not caplog.records
    assert remarks.level == before


def test_what_is_drawn_does_not_grow_with_the_data(shared: Path) -> None:
    survey = take_survey(shared / "data" / "glr2020" / "class_counts.csv", sample=1)
    drawn = charts(survey, imbalance(survey.counts.total))
    assert set(drawn) == {"frequency", "histogram", "concentration", "class-sizes"}
    assert len(json.dumps(drawn)) < 100_000


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
    for name in ("shard_tools.report.page", "shard_tools.pages.environment"):
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith("plotly.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(StoreError, match=r"needs plotly, which is not installed; pip install"):
        write_report(store, tmp_path / "r.html")
    assert not list(tmp_path.iterdir())


def test_other_commands_do_not_import_what_only_reports_need() -> None:
    code = "import shard_tools.cli.main, shard_tools.build.builder, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"plotly", "matplotlib", "jinja2"} & set(run.stdout.split())
