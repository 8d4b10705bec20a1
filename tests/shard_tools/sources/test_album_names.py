"""Names of folders that say when photos were taken, told from names of landmarks."""

from __future__ import annotations

import pytest

from shard_tools.sources.album_names import album_names


@pytest.mark.parametrize(
    "name",
    [
        "2019-07 Rome",
        "2021-08-14",
        "2021_08_14 beach",
        "20210814",
        "14.08.2021",
        "August 2021",
        "2021 Aug",
        "June",
        "DCIM",
        "100CANON",
        "101APPLE",
        "Camera Roll",
        "WhatsApp Images",
        "Holiday 2021",
        "wedding",
    ],
)
def test_named_by_time_or_camera(name: str) -> None:
    assert album_names([name, name]) == [name, name]


@pytest.mark.parametrize(
    "name",
    [
        "Expo 67",
        "1984 memorial",
        "1984",
        "2000",
        "192931",
        "20012",
        "8247301",
        "May Bridge",
        "Mayflower",
        "Augustus 2",
        "March of the Living",
        "Trip Adler",
        "Junee",
        "Camera Obscura",
        "100 Centre Street",
        "Wedding Cake Rock",
        "2001-A-Space",
        "St. Peter 1506",
    ],
)
def test_landmarks_and_ids(name: str) -> None:
    assert album_names([name, name, name]) == []


def test_a_few_among_landmarks_are_none() -> None:
    assert album_names(["June", "Castle", "Tower", "2021-08-14"]) == []
    assert album_names(["June", "Castle", "2021-08-14"]) == ["June", "2021-08-14"]
    assert album_names(["June"]) == []
    assert album_names([]) == []
