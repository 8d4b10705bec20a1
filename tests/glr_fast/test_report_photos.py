"""The photos of a report: found by their keys, without a search through the store for each."""

from __future__ import annotations

from typing import cast

import pyarrow as pa
import pytest

from glr_fast.data import Store
from glr_fast.report.photos import PhotoBook
from tests.helpers.photos import built, jpeg


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("report")
    for number in range(6):
        (folder / "photos" / f"class {number % 2}").mkdir(parents=True, exist_ok=True)
        file = folder / "photos" / f"class {number % 2}" / f"{number}.jpg"
        file.write_bytes(jpeg(number, 64, 48))
    return Store.open(built(folder / "photos", folder / "store", duplicates="keep"))


class Searched:
    """A store whose tables count how often a column is taken out of them."""

    def __init__(self, store: Store) -> None:
        self.store, self.taken = store, list[str]()

    def samples(self, columns: list[str]) -> object:
        table, taken = self.store.samples(columns), self.taken

        class Counted:
            def __getitem__(self, name: str) -> pa.ChunkedArray:
                taken.append(name)
                return table[name]

            def __getattr__(self, name: str) -> object:
                return getattr(table, name)

        return Counted()

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)


def test_photos_are_found_by_their_keys(store: Store) -> None:
    keys = store.samples(["key"])["key"].to_pylist()
    book = PhotoBook(store, 10, [*keys, "unknown"])
    found = [book.of_key(key) for key in keys]
    assert found == [str(row) for row in range(len(keys))]
    assert book.of_key("unknown") is None
    assert len(book.thumbnails) == len(keys)


def test_the_column_of_keys_is_searched_once(store: Store) -> None:
    keys = store.samples(["key"])["key"].to_pylist()
    searched = Searched(store)
    book = PhotoBook(cast(Store, searched), 10, keys)
    for key in keys:
        book.of_key(key)
    assert searched.taken.count("key") == 1
