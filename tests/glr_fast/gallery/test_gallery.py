"""The files of a gallery: what is in them, and that nothing is left of an unfinished one."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from glr_fast.errors import ConfigError
from glr_fast.gallery import Facts, Gallery, Shown, check_gallery
from glr_fast.gallery.page import EMBEDDED, PART
from glr_fast.gallery.thumbnails import HEIGHT, thumbnail
from tests.helpers.photos import encoded, jpeg, picture

NAMES = ["Taj Mahal", "</script><b>", "泰姬陵", "4"]
IDS = ["1", "2", "3", "4"]
FACTS = Facts("Photos by landmark", "A model.", "", [("<i>.jpg", "truncated")])


def shown(number: int, label: int, p: float = 0.5, unsure: bool = False) -> Shown:
    path = f"photos/{number} <x>.jpg"
    labels, probabilities = [label, (label + 1) % 4], [p, 1 - p]
    return Shown(path, Path(path), labels, probabilities, unsure, jpeg(number))


def make(folder: Path, photos: list[Shown], facts: Facts = FACTS) -> dict[str, Any]:
    """A gallery; the data of its page."""
    check_gallery(folder, False)
    with Gallery(folder, NAMES, IDS, 2) as gallery:
        gallery.add(photos)
        page = gallery.finish(facts)
    text = page.read_text()
    found = re.search(r'id="data">(.*?)</script>', text, re.S)
    assert found
    return json.loads(found[1])


def test_a_few_photos_are_one_file(tmp_path: Path) -> None:
    photos = [shown(n, n % 3, p=0.9 - n / 100, unsure=n >= 8) for n in range(10)]
    data = make(tmp_path / "page", photos)
    assert [path.name for path in (tmp_path / "page").iterdir()] == ["index.html"]
    assert (data["photos"], data["unsure"], data["rejected_count"]) == (10, 2, 1)
    assert data["groups"] == [
        ["Taj Mahal", "1", 0, 3, 0.87],
        ["</script><b>", "2", 3, 3, 0.86],
        ["泰姬陵", "3", 6, 2, 0.865],
    ]
    (part,) = data["own"]
    names = [row[0] for row in part["rows"]]
    assert names == [f"photos/{n} <x>.jpg" for n in (0, 3, 6, 1, 4, 7, 2, 5, 8, 9)]
    path, source, width, height, answers, link = part["rows"][0]
    assert source.startswith("data:image/jpeg;base64,")
    assert (width, height) == (48, 32)
    assert [part["names"][label] for label, _ in answers] == [
        ["Taj Mahal", "1"],
        ["</script><b>", "2"],
    ]
    assert [p for _, p in answers] == [0.9, 0.1]
    assert link.startswith("../")
    assert link.endswith("photos/0%20%3Cx%3E.jpg")
    assert path == "photos/0 <x>.jpg"


def test_names_cannot_become_tags(tmp_path: Path) -> None:
    facts = Facts("<b>title</b>", "<u>model</u>", "<s>", [("<i>", "<img>")])
    make(tmp_path / "page", [shown(0, 1)], facts)
    text = (tmp_path / "page/index.html").read_text()
    assert "&lt;b&gt;title" in text
    for tag in ("<b>", "<u>", "<s>", "<i>", "<img>", "<x>"):
        assert tag not in text


def test_many_photos_lie_beside(tmp_path: Path) -> None:
    photos = [shown(n, n % 4) for n in range(EMBEDDED + PART)]
    data = make(tmp_path / "page", photos)
    assert data["own"] == []
    scripts = sorted((tmp_path / "page/data").iterdir())
    assert [script.name for script in scripts] == ["0000.js", "0001.js"]
    rows = []
    for number, script in enumerate(scripts):
        found = re.fullmatch(r"gallery\.part\((\d+), (.*)\);\n", script.read_text(), re.S)
        assert found
        assert int(found[1]) == number
        rows += json.loads(found[2])["rows"]
    assert len(rows) == len(photos)
    assert all((tmp_path / "page" / row[1]).is_file() for row in rows)
    assert len({row[1] for row in rows}) == len(photos)


def test_nothing_is_left_of_an_unfinished_page(tmp_path: Path) -> None:
    with Gallery(tmp_path / "page", NAMES, IDS, 2) as gallery:
        gallery.add([shown(0, 0)])
    assert list(tmp_path.iterdir()) == []


def test_what_may_be_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page"
    make(page, [shown(0, 0)])
    with pytest.raises(ConfigError, match="exists; give a new folder, or --overwrite"):
        check_gallery(page, False)
    check_gallery(page, True)
    with Gallery(page, NAMES, IDS, 1) as gallery:
        gallery.add([shown(n, 0) for n in range(3)])
        gallery.finish(FACTS)
    assert [path.name for path in tmp_path.iterdir()] == ["page"]
    assert '"photos":3' in (page / "index.html").read_text()


@pytest.mark.parametrize(
    ("name", "words"),
    [("mine", "with other files in it"), ("mine/file", "is a file"), ("no/where", "no folder")],
)
def test_what_is_refused(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("<html>")
    with pytest.raises(ConfigError, match=words):
        check_gallery(tmp_path / name, True)


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    make(tmp_path / "page", [shown(0, 0)])


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((480, 320), (360, HEIGHT)),
        ((320, 480), (160, HEIGHT)),
        ((48, 32), (48, 32)),
        ((1, 1), (1, 1)),
        ((3000, 40), (96, 40)),
        ((40, 3000), (40, 71)),
        ((4000, 3000), (320, HEIGHT)),
    ],
)
def test_thumbnails(size: tuple[int, int], expected: tuple[int, int]) -> None:
    small = thumbnail(encoded(picture(*size), quality=90))
    assert (small.width, small.height) == expected
    with Image.open(io.BytesIO(small.data)) as image:
        assert image.size == expected
        assert image.format == "JPEG"


def test_a_thumbnail_shows_the_middle() -> None:
    image = Image.new("RGB", (2400, 100), "red")
    image.paste("blue", (1080, 0, 1320, 100))
    with Image.open(io.BytesIO(thumbnail(encoded(image, quality=95)).data)) as small:
        pixels = small.convert("RGB")
        assert small.size == (240, 100)
        assert pixels.getpixel((120, 50))[2] > 200  # type: ignore[index]


def test_what_pillow_cannot_decode_is_grey() -> None:
    small = thumbnail(jpeg()[:300])
    assert (small.width, small.height) == (HEIGHT, HEIGHT)


def test_nothing_but_a_gallery_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page"
    make(page, [shown(0, 0)])
    check_gallery(page, True)
    (page / "mine.txt").write_text("x")
    with pytest.raises(ConfigError, match="with other files in it"):
        check_gallery(page, True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    monkeypatch.chdir(tmp_path / "empty")
    for place in (Path(), tmp_path / "link", Path("/proc")):  # which could not be renamed
        with pytest.raises(ConfigError, match="cannot be replaced"):
            check_gallery(place, False)
