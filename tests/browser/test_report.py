"""The report of ``glr-shard eda`` in a real browser: charts drawn, nothing fetched, no error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shard_tools.report.write import write_report
from shard_tools.store.store import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHARTS = {"frequency", "histogram", "concentration", "class-sizes"}
OF_PHOTOS = {"sides", "aspect", "bytes"}
#: Everything that is drawn in a chart: lines, bars, boxes and dots, by the length of their paths.
DRAWN = """() => Object.fromEntries(
[...document.querySelectorAll(".chart")].map(chart => [chart.id, {
  svg: chart.querySelectorAll("svg.main-svg").length,
  marks: [...chart.querySelectorAll(".scatterlayer path, .barlayer path, .boxlayer path")]
    .filter(path => (path.getAttribute("d") || "").length > 10).length,
  longest: Math.max(...[...chart.querySelectorAll(".scatterlayer path, .barlayer path")]
    .map(path => (path.getAttribute("d") || "").length)),
  width: chart.querySelector(".main-svg").getBoundingClientRect().width,
  ticks: chart.querySelectorAll(".xtick, .ytick").length,
  titles: [...chart.querySelectorAll(".xtitle")].map(title => title.textContent),
}]))"""


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
def of_store(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(store, tmp_path_factory.mktemp("report") / "store.html")[0]


@pytest.fixture(params=[1280, 400])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": request.param, "height": 900})
    yield page
    page.close()


def test_a_store(page: Page, of_store: Path, store: Path) -> None:
    seen = Seen(page, of_store)
    charts = seen.charts()
    assert set(charts) == CHARTS | OF_PHOTOS
    width = page.viewport_size["width"] if page.viewport_size else 0
    for name, chart in charts.items():
        assert chart["svg"] >= 1, name
        assert chart["marks"] >= 1, name
        assert chart["ticks"] >= 3, name
        assert chart["titles"], name
        assert 150 < chart["width"] <= width, name
    assert charts["class-sizes"]["marks"] >= 3  # a box for each split
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = page.evaluate("() => [...document.images].map(i => i.complete && i.naturalWidth > 0)")
    assert shown == [True] * 6  # 6 classes: 3 at each end
    photos = Store.open(store).manifest.counts["photos"]
    assert page.locator("dl.headline dd").first.inner_text().startswith(f"{photos}\n")
    seen.check_quiet()


def test_log_ranks(page: Page, of_store: Path) -> None:
    seen = Seen(page, of_store)
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
    axis = page.evaluate("() => document.getElementById('frequency')._fullLayout.yaxis.range")
    assert 0 <= axis[0] < 0.5  # powers of ten: from 2 photos to 6,272, and little beyond
    assert 3.7 < axis[1] < 4.5
    assert charts["histogram"]["marks"] >= 20
    text = page.locator("dl.headline").inner_text()
    for figure in ("1,580,470", "81,313", "6,272", "97.5%", "3,136 : 1"):
        assert figure in text
    seen.check_quiet()
