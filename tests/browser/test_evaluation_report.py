"""The report of an evaluation in a real browser: light and dark, wide and narrow, mouse and finger.

The classes have names in several scripts, and one that would be HTML.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glr_fast.evaluation import EvaluateOptions, evaluate
from tests.helpers.models import run_for
from tests.helpers.photos import built, jpeg

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = [
    "Taj Mahal",
    "<b>Bold<img src=x onerror=alert(1)> & Co",
    "泰姬陵",
    "قلعة حلب",
    "Ångström",
    "$5$ & $6$",
    "6",
]
CHARTS = {"loss", "accuracy", "rate", "confusion", "frequency", "calibration"}
OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll(".chart")].map(e => e.getBoundingClientRect());
  const controls = [...document.querySelectorAll(".modebar, button, input, select")];
  return controls.map(e => e.getBoundingClientRect()).filter(c => c.width && c.height)
    .filter(c => boxes.some(b => c.left < b.right && b.left < c.right
      && c.top < b.bottom && b.top < c.bottom)).length;
}"""
CONTRAST = """() => {
  const light = (e, what) => getComputedStyle(document.querySelector(e))[what]
    .match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0);
  return Math.abs(light("h1", "color") - light("body", "backgroundColor"));
}"""


def report_of(folder: Path, names: Sequence[str], photos: int) -> Path:
    """The report of a model that is often wrong, on photos of classes with these names."""
    for number, name in enumerate(names):
        (folder / "photos" / name).mkdir(parents=True)
        for photo in range(photos):
            data = jpeg(photos * number + photo, 96, 64 + 8 * (photo % 3))
            (folder / "photos" / name / f"photo {photo} of {number}.jpg").write_bytes(data)
    store = built(folder / "photos", folder / "store", duplicates="keep")
    run = run_for(store, folder / "run")
    lines = [
        {"step": step, "train/loss": 3 / step, "train/lr": 1e-3 / step, "val/accuracy": step / 40}
        for step in range(1, 21)
    ]
    (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    options = EvaluateOptions(run=run, store=store, split="val,test", resamples=50)
    evaluate(options)
    return options.folder / "report.html"


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report_of(tmp_path_factory.mktemp("few"), NAMES, 12)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = [f"Landmark {number}" for number in range(64)]
    return report_of(tmp_path_factory.mktemp("many"), names, 4)


@pytest.fixture(params=[(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")], ids=str)
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    width, scheme = request.param
    phone = width < 500
    page = browser.new_page(
        viewport={"width": width, "height": 844},
        color_scheme=scheme,
        has_touch=phone,
        is_mobile=phone,
    )
    yield page
    page.close()


class Seen:
    """A page, and what it asked for and complained of."""

    def __init__(self, page: Page, report: Path) -> None:
        self.page, self.asked, self.complaints = page, [], []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(report.as_uri())
        page.wait_for_function(
            "() => [...document.querySelectorAll('.chart')]"
            ".every(chart => chart.querySelector('.main-svg'))"
        )
        self.address = report.as_uri()

    def check_quiet(self) -> None:
        """No complaint, no request but for the page itself and what it carries."""
        assert self.complaints == []
        assert [url for url in self.asked if not url.startswith("data:")] == [self.address]

    def classes(self) -> list[str]:
        """Names in the table of classes, as shown."""
        return self.page.locator("#classes tbody td:first-child").all_inner_texts()


def test_what_is_shown(page: Page, few: Path) -> None:
    seen = Seen(page, few)
    figures = json.loads((few.parent / "metrics.json").read_text())
    assert page.evaluate("Object.keys(data.charts).sort()") == sorted(CHARTS)
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    headline = page.locator("dl.headline").inner_text()
    assert f"{100 * figures['accuracy']:.1f}%" in headline
    assert "{:.1f}% to".format(100 * figures["intervals"]["gap"][0]) in headline
    assert sorted(seen.classes()) == sorted(NAMES)
    shown = page.evaluate("() => [...document.images].map(i => i.complete && i.naturalWidth > 0)")
    assert len(shown) > 6
    assert all(shown)
    assert page.evaluate(OVERLAPS) == 0
    assert page.locator(".modebar").count() == 0
    assert page.evaluate(CONTRAST) > 380
    letters = 14 if width < 600 else 26
    shown = [n if len(n) <= letters else f"{n[: letters - 1]}…" for n in NAMES]
    assert sorted(page.locator("#confusion .ytick").all_text_contents()) == sorted(shown)
    for ticks in ("#rate .ytick", "#frequency .xtick"):
        values = page.locator(ticks).all_text_contents()
        assert 0 < len(set(values)) == len(values)
    seen.check_quiet()


def test_a_cell_shows_its_photos(page: Page, few: Path) -> None:
    """A click, or a touch, on the confusion matrix; names stay text."""
    seen = Seen(page, few)
    i, j = max(
        ([int(n) for n in cell.split(",")] for cell in page.evaluate("Object.keys(data.cells)")),
        key=lambda cell: cell[0] == 1,
    )
    place = page.evaluate(
        """([i, j]) => {
          const chart = document.getElementById("confusion"), layout = chart._fullLayout;
          chart.scrollIntoView({ block: "center" });
          const box = chart.getBoundingClientRect();
          return [box.left + layout.xaxis._offset + layout.xaxis.d2p(j),
                  box.top + layout.yaxis._offset + layout.yaxis.d2p(i)];
        }""",
        [i, j],
    )
    if (page.viewport_size or {})["width"] < 500:
        page.touchscreen.tap(*place)
    else:
        page.mouse.click(*place)
    page.wait_for_selector("#cell figure")
    names = page.evaluate("data.charts.confusion.names")
    heading = page.locator("#cell h3").inner_text()
    assert heading.startswith(f"{names[i]} taken for {names[j]}: ")
    photos = page.evaluate("([i, j]) => data.cells[i + ',' + j].length", [i, j])
    assert page.locator("#cell img").count() == photos
    assert ".jpg" in page.locator("#cell .path").first.inner_text()
    seen.check_quiet()


def test_the_table_sorts_and_filters(page: Page, few: Path) -> None:
    seen = Seen(page, few)
    for typed, found in [("angstrom", ["Ångström"]), ("姬", ["泰姬陵"]), ("حلب", ["قلعة حلب"])]:
        page.locator("#find").fill(typed)
        assert seen.classes() == found
    page.locator("#find").fill("nowhere")
    assert page.locator("#where").inner_text() == "no such class"
    page.locator("#find").fill("")
    page.locator("#band").select_option("101-")
    assert seen.classes() == []
    page.locator("#band").select_option("")
    head = page.locator("#classes th[data-key=name] button")
    head.click()
    upwards = seen.classes()
    head.click()
    assert seen.classes() == upwards[::-1]
    assert page.locator("#classes th[data-key=name]").get_attribute("aria-sort") == "descending"
    page.locator("#wrong").check()
    assert 0 < len(seen.classes()) <= len(NAMES)
    assert all(
        share != "100.0%" for share in page.locator("#classes td:nth-child(2)").all_inner_texts()
    )
    seen.check_quiet()


def test_many_classes(page: Page, many: Path) -> None:
    """A block of the confusion matrix, and the table page by page."""
    seen = Seen(page, many)
    assert 2 <= page.evaluate("data.charts.confusion.names.length") <= 30
    assert "classes with the most frequent mistakes" in page.locator("main").inner_text()
    assert len(seen.classes()) == 50
    page.locator("#next").click()
    assert len(seen.classes()) == 14
    assert page.locator("#where").inner_text() == "51 to 64 of 64"
    assert page.locator("#next").is_disabled()
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERLAPS) == 0
    if width < 500:
        page.locator("ol.pairs + .more").click()
        assert (
            page.locator("ol.pairs > li:visible").count() == page.locator("ol.pairs > li").count()
        )
    seen.check_quiet()


def test_colours_follow_a_change_of_theme(browser: Browser, few: Path) -> None:
    page = browser.new_page(color_scheme="light")
    seen = Seen(page, few)
    colour = "() => document.querySelector('#loss .xtitle').style.fill"
    before = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"before => ({colour})() !== before", arg=before)
    seen.check_quiet()
    page.close()
