"""Keys: unique and safe, and unchanged where they are so already."""

from __future__ import annotations

import re

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from shard_tools.sources.records import make_keys, safe_key, stems


def keys(paths: list[str]) -> list[str]:
    column = pa.chunked_array([paths], pa.string())
    return make_keys(stems(column), column).to_pylist()


def test_good_names_are_kept() -> None:
    assert keys(["a/00f2b37a032b1dd4.jpg", "b/n01440764_10026.JPEG"]) == [
        "00f2b37a032b1dd4",
        "n01440764_10026",
    ]


def test_names_that_two_photos_share() -> None:
    made = keys(["a/1.jpg", "b/1.jpg", "b/2.jpg"])
    assert made == [safe_key("1", "a/1.jpg"), safe_key("1", "b/1.jpg"), "2"]
    assert re.fullmatch(r"1-[0-9a-f]{12}", made[0])


def test_odd_names() -> None:
    made = keys(["a/köln dom.v2.jpg", "a/....jpg", "a/" + "x" * 200 + ".jpg", "a/b c"])
    assert [key[:-13] for key in made] == ["k_ln_dom_v2", "", "x" * 67, "b_c"]
    assert all(len(key) + len(".jpg") <= 100 for key in made)


@given(names=st.sets(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1)))
def test_keys_are_unique_and_safe(names: set[str]) -> None:
    made = keys([f"d/{name}" for name in sorted(names)])
    assert len(set(made)) == len(names)
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,80}", key) for key in made)
