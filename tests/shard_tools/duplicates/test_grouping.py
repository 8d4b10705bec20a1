"""Duplicates: groups, which copy stays, what the table says, and stores without leaks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from shard_tools.duplicates.grouping import (
    FINGERPRINTS_SCHEMA,
    Duplicates,
    find_duplicates,
    group_photos,
)

#: file, perceptual hash (None: no hash), pixels, label
Photo = tuple[str, int | None, int, int]


def duplicates(photos: dict[str, Photo], drop: bool = False) -> Duplicates:
    """Duplicates among photos by key. Hashes are equal where their numbers are."""
    rng = np.random.default_rng(0)
    hashes = {number: rng.bytes(32) for number in range(10)}
    rows = [
        {
            "xxh128": file.encode().ljust(16),
            "coarse": 0 if number is None else int.from_bytes(hashes[number][:8], "big"),
            "fine": None if number is None else hashes[number],
            "pixels": pixels,
            "size": 100,
        }
        for file, number, pixels, _ in photos.values()
    ]
    table = pa.Table.from_pylist(rows, FINGERPRINTS_SCHEMA)
    paths = pa.table({"key": list(photos), "path": [f"p/{key}" for key in photos]})
    labels = np.array([photo[3] for photo in photos.values()])
    return find_duplicates(table, paths, labels, pa.chunked_array([["7", "8"]]), drop)


def test_groups_and_table() -> None:
    found = duplicates(
        {
            "d": ("x", 1, 9, 0),
            "a": ("alone", 2, 9, 0),
            "c": ("x", 1, 9, 0),  # the bytes of d
            "e": ("y", 1, 9, 1),  # the picture of c and d, another label
            "f": ("flat", None, 9, 0),
            "b": ("z", 3, 9, 0),
            "g": ("flat", None, 9, 0),
            "h": ("black", None, 9, 0),
            "i": ("zz", 3, 9, 0),
        }
    )
    assert found.groups.tolist() == [1, -1, 1, 1, 2, 0, 2, -1, 0]
    assert not found.dropped.any()
    rows = [(r["group"], r["key"], r["kind"], r["label_conflict"]) for r in found.table.to_pylist()]
    assert rows == [
        (0, "b", "near", False),
        (0, "i", "near", False),
        (1, "c", "exact", True),
        (1, "d", "exact", True),
        (1, "e", "near", True),
        (2, "f", "exact", False),
        (2, "g", "exact", False),
    ]
    assert found.table["landmark_id"].to_pylist()[4] == "8"
    assert found.table["path"].to_pylist()[0] == "p/b"
    assert found.notes() == {
        "groups": 3,
        "photos": 7,
        "exact": 4,
        "dropped": 0,
        "groups_with_label_conflict": 1,
    }


def test_the_largest_of_each_label_stays() -> None:
    found = duplicates(
        {
            "a": ("u", 1, 10, 0),
            "b": ("v", 1, 30, 0),
            "c": ("w", 1, 20, 1),
            "e": ("y", 1, 20, 1),
            "d": ("x", 1, 20, 1),
        },
        drop=True,
    )
    assert found.dropped.tolist() == [True, False, False, True, True]
    actions = {row["key"]: row["action"] for row in found.table.to_pylist()}
    assert [key for key, action in actions.items() if action == "kept"] == ["b", "c"]


def test_every_group_keeps_the_largest_of_each_label() -> None:
    found = duplicates(
        {
            "a": ("s", 1, 10, 0),
            "b": ("t", 1, 20, 1),
            "c": ("u", 1, 30, 1),
            "d": ("v", 2, 10, 1),
            "e": ("w", 2, 20, 1),
            "f": ("x", 2, 30, 0),
        },
        drop=True,
    )
    assert found.groups.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.dropped.tolist() == [False, True, False, True, False, False]


def flipped(count: int, bits: int) -> int:
    """A number of so many bits of which the lowest ``count`` are flipped against a fixed one."""
    fixed = int.from_bytes(np.random.default_rng(5).bytes(bits // 8), "big")
    return fixed ^ ((1 << count) - 1)


def groups_of(apart: list[tuple[int, int]]) -> list[int]:
    """Groups of photos whose hashes are so many bits from those of a fixed picture."""
    rows = [
        {
            "xxh128": bytes([number] * 16),
            "coarse": flipped(coarse, 64),
            "fine": flipped(fine, 256).to_bytes(32, "big"),
        }
        for number, (coarse, fine) in enumerate(apart)
    ]
    groups, exact = group_photos(pa.Table.from_pylist(rows, FINGERPRINTS_SCHEMA))
    assert not exact.any()
    return groups.tolist()


@pytest.mark.parametrize(
    ("coarse", "fine", "same"), [(6, 32, True), (7, 32, False), (6, 33, False), (0, 33, False)]
)
def test_how_near_is_the_same_picture(coarse: int, fine: int, same: bool) -> None:
    assert groups_of([(0, 0), (coarse, fine)]) == [0, 0 if same else 1]


def test_a_picture_between_two_joins_them() -> None:
    assert groups_of([(0, 0), (12, 64)]) == [0, 1]
    assert groups_of([(0, 0), (12, 64), (6, 32)]) == [0, 0, 0]


def test_of_as_many_pixels_the_larger_file_stays() -> None:
    rows = [
        {"xxh128": bytes([size] * 16), "coarse": 0, "fine": bytes(32), "pixels": 9, "size": size}
        for size in (10, 30, 20)
    ]
    table = pa.Table.from_pylist(rows, FINGERPRINTS_SCHEMA)
    photos = pa.table({"key": list("abc"), "path": list("abc")})
    found = find_duplicates(table, photos, np.zeros(3, int), pa.chunked_array([["1"]]), True)
    assert found.dropped.tolist() == [True, False, True]
    assert found.table["action"].to_pylist() == ["dropped", "kept", "dropped"]
    assert found.notes()["dropped"] == 2


def test_photos_that_could_not_be_read_are_no_duplicates() -> None:
    table = pa.Table.from_pylist([{}, {}], FINGERPRINTS_SCHEMA)
    photos = pa.table({"key": ["a", "b"], "path": ["a", "b"]})
    ids = pa.chunked_array([["1"]])
    found = find_duplicates(table, photos, np.zeros(2, int), ids, True)
    assert not len(found.table)
    assert set(found.notes().values()) == {0}
