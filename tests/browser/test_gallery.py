"""The gallery page in a real browser: photos shown, found, enlarged; nothing fetched, no error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glr_fast.gallery import Facts, Gallery, Shown
from tests.helpers.photos import jpeg

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ["Taj Mahal", "<b>Bold</b> & Co", "泰姬陵", "قلعة حلب", "Ångström Élysée", "6"]
LARGEST_FILE = 5_000_000
OPENS_IN_S = 2.0


def gallery_of(folder: Path, photos: int, classes: int) -> Path:
    """A gallery of made-up photos: more of a class the smaller its label; one of 8 is unsure."""
    names = [NAMES[n] if n < len(NAMES) else f"Landmark {n}" for n in range(classes)]
    ids = [str(5000 + n) for n in range(classes)]
    pictures = [jpeg(n, 96 + 8 * (n % 7), 64) for n in range(min(photos, 50))]
    shown = []
    for number in range(photos):
        label = int(classes * (number / photos) ** 2)
        original = folder.parent / f"photo {number}.jpg"
        if number < 3:
            original.write_bytes(jpeg(number, 640, 480))
        answers = [label, (label + 1) % classes, (label + 2) % classes]
        doubtful = number % 8 == 1
        p = 0.3 if doubtful else 0.95
        data = pictures[number % len(pictures)]
        path = f"trip/photo {number}.jpg"
        shown.append(Shown(path, original, answers, [p, 0.04, 0.005], doubtful, data))
    rejected = [("<img src=x onerror=alert(1)>.jpg", "truncated")]
    with Gallery(folder, names, ids, 2) as gallery:
        gallery.add(shown)
        return gallery.finish(Facts("Our trip", "A model.", "Unsure is below 0.6.", rejected))


class Seen:
    """A page, and what it asked for and complained of."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page, self.asked, self.complaints = page, [], []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        page.on("request", lambda request: self.asked.append(request.url))
        started = time.monotonic()
        page.goto(file.as_uri())
        page.wait_for_function("() => [...document.querySelectorAll('.photo img')].length > 2")
        page.wait_for_function("() => document.querySelector('.photo img').naturalWidth > 0")
        self.seconds = time.monotonic() - started

    def check_quiet(self) -> None:
        """No complaint, and no request that leaves this machine."""
        assert self.complaints == []
        assert all(url.startswith(("data:", "file:")) for url in self.asked)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gallery_of(tmp_path_factory.mktemp("few") / "page", 80, 6)


@pytest.fixture(params=[(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    width, scheme = request.param
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    yield page
    page.close()


def titles(page: Page) -> list[str]:
    return page.locator("section h2").all_inner_texts()


def test_what_is_shown(page: Page, few: Path) -> None:
    seen = Seen(page, few)
    assert titles(page)[:3] == ["Taj Mahal", "<b>Bold</b> & Co", "泰姬陵"]
    assert page.locator("#summary").inner_text().split(" · ") == [
        *("80 photos", "6 landmarks", "10 unsure", "1 unreadable")
    ]
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    first = page.locator("section").first
    assert first.locator(".photo").count() == 12
    first.locator(".all").click()
    page.wait_for_function(
        "() => document.querySelectorAll('section:first-of-type img').length === 29"
    )
    assert first.locator(".photo").count() == 29
    assert first.locator(".all").is_hidden()
    # Text can be read: it differs in lightness from what is behind it.
    contrast = page.evaluate(
        """() => { const parse = c => c.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0);
        const of = (e, what) => parse(getComputedStyle(document.querySelector(e))[what]);
        return Math.abs(of("h2", "color") - of("body", "backgroundColor")); }"""
    )
    assert contrast > 380
    seen.check_quiet()
    assert len([url for url in seen.asked if url.startswith("file:")]) == 1  # the page itself


def test_search_and_order(page: Page, few: Path) -> None:
    seen = Seen(page, few)
    for typed, found in [
        *(("angstrom", ["Ångström Élysée"]), ("ELYSEE ang", ["Ångström Élysée"])),
        *(("5003", ["قلعة حلب"]), ("姬", ["泰姬陵"]), ("<b", ["<b>Bold</b> & Co"])),
    ]:
        page.locator("#search").fill(typed)
        assert titles(page) == found
    page.locator("#search").fill("nowhere")
    assert "No landmark is called “nowhere”" in page.locator("main").inner_text()
    page.locator("#search").fill("")
    page.locator("#order").select_option("name")
    names = titles(page)
    assert len(names) == 6
    assert names.index("6") < names.index("Ångström Élysée") < names.index("Taj Mahal")
    seen.check_quiet()


def test_a_photo_enlarged(page: Page, few: Path) -> None:
    seen = Seen(page, few)
    page.locator(".photo").first.click()
    large = page.locator("#large")
    page.wait_for_function("() => document.getElementById('large').naturalWidth === 640")
    assert page.locator("#place").inner_text() == "trip/photo 0.jpg"
    assert page.locator("#answers bdi").all_inner_texts() == NAMES[:3]
    assert page.locator("#answers span").all_inner_texts() == ["95%", "4%", "<1%"]
    assert page.locator(".back").is_disabled()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.getElementById('place').innerText.includes('2.jpg')")
    page.locator(".on").click()
    # Its original is not there: the thumbnail is shown in its place.
    page.wait_for_function("() => document.getElementById('large').src.startsWith('data:')")
    assert page.locator("#place").inner_text() == "trip/photo 3.jpg"
    box, width = large.bounding_box(), page.viewport_size["width"] if page.viewport_size else 0
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    page.keyboard.press("Escape")
    assert page.locator("#viewer").is_hidden()
    missing = [text for text in seen.complaints if "ERR_FILE_NOT_FOUND" not in text]
    assert missing == []


def test_the_unsure_and_the_unreadable(page: Page, few: Path) -> None:
    seen = Seen(page, few)
    page.locator("#tabs button[data-tab=unsure]").click()
    page.wait_for_function("() => document.querySelectorAll('.photo.named img').length === 10")
    assert page.locator(".guess").first.inner_text().split("\n")[0] in NAMES
    page.locator("#tabs button[data-tab=unreadable]").click()
    assert page.locator("td").all_inner_texts() == ["<img src=x onerror=alert(1)>.jpg", "truncated"]
    page.locator("#tabs button[data-tab=landmarks]").click()
    assert titles(page)[0] == "Taj Mahal"
    seen.check_quiet()


@pytest.mark.slow
def test_ten_thousand_photos(browser: Browser, tmp_path: Path) -> None:
    file = gallery_of(tmp_path / "page", 10_000, 1000)
    sizes = [path.stat().st_size for path in file.parent.rglob("*") if path.is_file()]
    assert len(sizes) > 10_000
    assert max(sizes) < LARGEST_FILE
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    seen = Seen(page, file)
    assert seen.seconds < OPENS_IN_S
    assert len([url for url in seen.asked if url.endswith(".js")]) < 10  # not all of them
    page.locator("#search").fill("landmark 777")
    page.wait_for_function("() => document.querySelectorAll('section .photo img').length > 0")
    assert titles(page) == ["Landmark 777"]
    page.locator("#search").fill("")
    for _ in range(5):
        page.mouse.wheel(0, 20_000)
        page.wait_for_timeout(50)
    page.wait_for_function("() => document.querySelectorAll('section').length > 30")
    page.locator("#tabs button[data-tab=unsure]").click()
    page.wait_for_function("() => document.querySelectorAll('.photo.named img').length === 120")
    seen.check_quiet()
    page.close()
