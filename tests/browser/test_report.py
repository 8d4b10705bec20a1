"""The report of ``glr-shard eda`` in a real browser: charts drawn, nothing fetched, no error.

Wide and light, and narrow, dark and touched by a finger: each with the others' faults in the open.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shard_tools.report.write import write_report
from shard_tools.store.store import Store
from tests.helpers.photos import built

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHARTS = {"frequency", "histogram", "concentration", "class-sizes"}
OF_PHOTOS = {"width", "height", "aspect", "bytes"}
NAMES = ["東京タワー", "برج خليفة", "<b>Eiffel</b> & $x$", "경복궁", "Площадь", "A" * 80]
#: Everything that is drawn in a chart: lines, bars, boxes and dots, by the length of their paths.
DRAWN = """() => Object.fromEntries(
[...document.querySelectorAll(".chart")].map(chart => [chart.id, {
  svg: chart.querySelectorAll("svg.main-svg").length,
  marks: [...chart.querySelectorAll(".scatterlayer path, .barlayer path, .boxlayer path")]
    .filter(path => (path.getAttribute("d") || "").length > 10).length,
  longest: Math.max(...[...chart.querySelectorAll(".scatterlayer path, .barlayer path")]
    .map(path => (path.getAttribute("d") || "").length)),
  width: chart.querySelector(".main-svg").getBoundingClientRect().width,
  ticks: [...chart.querySelectorAll(".xtick, .ytick")].map(tick => tick.textContent),
  titles: [...chart.querySelectorAll(".xtitle")].map(title => title.textContent),
}]))"""
CONTRAST = """() => {
  const light = (e, what) => getComputedStyle(document.querySelector(e))[what]
    .match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0);
  return [Math.abs(light("h1", "color") - light("body", "backgroundColor")),
    Math.abs(light("#frequency .xtick text", "fill") - light("section", "backgroundColor"))];
}"""


class Seen:
    """A page, and what it asked for and complained of."""

    def __init__(self, page: Page, report: Path) -> None:
        self.page, self.asked, self.complaints = page, [], []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(report.as_uri())
        page.wait_for_function(
            "() => [...document.querySelectorAll('.chart')]"
            ".every(chart => chart.querySelector('.main-svg'))"
        )
        self.address = report.as_uri()

    def charts(self) -> dict[str, dict[str, Any]]:
        return self.page.evaluate(DRAWN)

    def check_quiet(self) -> None:
        """No complaint, no request but for the page itself and what it carries."""
        assert self.complaints == []
        assert [url for url in self.asked if not url.startswith("data:")] == [self.address]


@pytest.fixture(scope="module")
def named(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of six classes with names in many scripts, a label conflict and a duplicate."""
    source = tmp_path_factory.mktemp("named")
    shutil.copytree(photos, source / "photos")
    with (source / "photos" / "train.csv").open("a+") as labels:
        labels.seek(0)
        rows = list(csv.DictReader(labels))
        ids = sorted({row["landmark_id"] for row in rows}, key=int)
        for number, (first, label) in enumerate([(0, ids[-1]), (1, rows[1]["landmark_id"])]):
            file = next((source / "photos").rglob(f"{rows[first]['id']}.jpg"))
            shutil.copyfile(file, file.with_name(f"{file.stem[:3]}copy{number}.jpg"))
            labels.write(f"{file.stem[:3]}copy{number},{label}\n")
    lines = [f'{id_},"{name}"' for id_, name in zip(ids, NAMES, strict=True)]
    (source / "photos" / "landmarks.csv").write_text("\n".join(["landmark_id,name", *lines]))
    return built(source / "photos", source / "store", duplicates="one-split")


@pytest.fixture(scope="module")
def of_store(named: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(named, tmp_path_factory.mktemp("report") / "store.html")[0]


@pytest.fixture(scope="module")
def of_counts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a table of 300 classes of 1 to 300 photos."""
    folder = tmp_path_factory.mktemp("counts")
    lines = [f"{100 + number},{number}" for number in range(1, 301)]
    (folder / "counts.csv").write_text("\n".join(["landmark_id,images", *lines]))
    return write_report(folder / "counts.csv", folder / "counts.html")[0]


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=str)
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    width, scheme = request.param
    phone = width < 500
    page = browser.new_page(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        has_touch=phone,
        is_mobile=phone,
    )
    yield page
    page.close()


def width_of(page: Page) -> int:
    return page.viewport_size["width"] if page.viewport_size else 0


def test_a_store(page: Page, of_store: Path, named: Path) -> None:
    seen = Seen(page, of_store)
    charts = seen.charts()
    assert set(charts) == {"frequency", "class-sizes"} | OF_PHOTOS
    width = width_of(page)
    for name, chart in charts.items():
        assert chart["svg"] >= 1, name
        assert chart["marks"] >= 1, name
        assert len(chart["ticks"]) >= 3, name
        assert chart["titles"], name
        assert 150 < chart["width"] <= width, name
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = page.evaluate("() => [...document.images].map(i => i.complete && i.naturalWidth > 0)")
    assert shown == [True] * (6 * 4 + 2 + 2)  # of the classes, a conflict, a duplicate
    photos = Store.open(named).manifest.counts["photos"]
    assert page.locator("dl.headline dd").first.inner_text().startswith(f"{photos}\n")
    assert page.locator(".modebar").count() == 0
    assert min(page.evaluate(CONTRAST)) > 380
    seen.check_quiet()


def test_names_and_whole_numbers_on_the_axes(page: Page, of_store: Path) -> None:
    seen = Seen(page, of_store)
    charts = seen.charts()
    names = page.locator("#frequency .ytick").all_text_contents()
    most = 14 if width_of(page) < 500 else 34
    assert names == [name if len(name) <= most else f"{name[: most - 1]}…" for name in NAMES]
    for name in ("frequency", "class-sizes"):
        numbers = [text for text in charts[name]["ticks"] if text not in names]
        assert numbers
        assert all(number.replace(",", "").isdigit() for number in numbers), numbers
        assert (
            len(set(page.locator(f"#{name} .xtick").all_text_contents()))
            == page.locator(f"#{name} .xtick").count()
        )
    seen.check_quiet()


def test_the_table_sorts_finds_and_turns_pages(page: Page, of_counts: Path) -> None:
    seen = Seen(page, of_counts)
    first = page.locator("#classes tbody td:first-child")
    assert page.locator("#classes tbody tr").count() == 50
    assert first.first.inner_text() == "400"
    page.locator("#classes th button", has_text="photos").click()
    assert first.first.inner_text() == "101"
    page.locator("#classes th button", has_text="class").click()
    page.locator("#next").click()
    assert first.first.inner_text() == "151"
    assert page.locator("#where").inner_text() == "51 to 100 of 300"
    page.locator("#find").fill("39")
    assert set(first.all_inner_texts()) == {"139", "239", "339"} | {f"39{n}" for n in range(10)}
    page.locator("#find").fill("none")
    assert page.locator("#where").inner_text() == "no such class"
    seen.check_quiet()


def test_colours_follow_a_change_of_theme(page: Page, of_store: Path) -> None:
    seen = Seen(page, of_store)
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"() => Math.min(...({CONTRAST})()) > 380")
    seen.check_quiet()


def test_log_ranks(page: Page, of_counts: Path) -> None:
    seen = Seen(page, of_counts)
    page.get_by_text("Log ranks").click()
    kind = "() => document.getElementById('frequency')._fullLayout.xaxis.type"
    page.wait_for_function(f"{kind[6:]} === 'log'")
    seen.check_quiet()


def test_the_true_scale(page: Page, shared: Path, tmp_path: Path) -> None:
    counts = shared / "data" / "glr2020" / "class_counts.csv"
    seen = Seen(page, write_report(counts, tmp_path / "glr.html")[0])
    charts = seen.charts()
    assert set(charts) == CHARTS
    assert charts["frequency"]["longest"] > 2_000  # hundreds of steps
    assert page.locator("#classes tbody tr").count() == 50
    axis = page.evaluate("() => document.getElementById('frequency')._fullLayout.yaxis.range")
    assert 0 <= axis[0] < 0.5  # powers of ten: from 2 photos to 6,272, and little beyond
    assert 3.7 < axis[1] < 4.5
    assert charts["histogram"]["marks"] >= 20
    text = page.locator("dl.headline").inner_text()
    for figure in ("1,580,470", "81,313", "6,272", "97.5%", "3,136 : 1"):
        assert figure in text
    seen.check_quiet()
