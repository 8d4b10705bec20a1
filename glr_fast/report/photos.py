"""The photos that a report shows, read from the store and made small."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image, ImageOps

from glr_fast.data import Store, StoreError, read_photo

SIDE = 240
"""Pixels of a thumbnail's longer side."""
MOST_FAILURES = 5
"""Photos in a row that cannot be read before the store is given up: each may wait for a network."""


class PhotoBook:
    """Thumbnails of a store's photos, each read once; none where the store cannot be read.

    Args:
        store: the store that was evaluated; None if it is gone.
        most: thumbnails to make at most, since the page carries them.
        keys: of the photos that may be asked for by their keys.
    """

    def __init__(self, store: Store | None, most: int, keys: Sequence[str] = ()) -> None:
        self.thumbnails: dict[str, str] = {}
        """By number of the photo: JPEG, base64."""
        self.problem = "" if store else "the store is not there"
        self._left, self._failures = most, 0
        self._store, self._samples = store, None
        self._class_of_row, self._number_of = np.empty(0, np.int32), dict[str, int]()
        self._row_of: dict[str, int] = {}
        if store is not None:
            columns = ["key", "landmark_id", "split", "shard", "offset", "size"]
            try:
                self._samples = store.samples(columns)
                encoded = self._samples["landmark_id"].combine_chunks()
                self._class_of_row = encoded.indices.to_numpy()
                ids = encoded.dictionary.to_pylist()
                self._number_of = {landmark: number for number, landmark in enumerate(ids)}
                self._row_of = _rows_of(self._samples["key"], keys)
            except (StoreError, OSError) as error:
                self._fail(str(error))

    def of_key(self, key: str) -> str | None:
        """The number of a photo's thumbnail, by the photo's key; None if there is none.

        The key must be one of ``keys``.
        """
        row = self._row_of.get(key)
        return None if row is None else self._thumbnail(row)

    def examples(self, landmark_id: str, most: int, but: Sequence[str] = ()) -> list[str]:
        """Numbers of thumbnails of a class: of its training photos, or others if it has none.

        Args:
            landmark_id: of the class.
            most: how many.
            but: keys of photos that are not to be taken.
        """
        if self._samples is None:
            return []
        rows = np.flatnonzero(self._class_of_row == self._number_of.get(landmark_id, -1))
        chosen = self._samples.take(pa.array(rows)).select(["key", "split"]).to_pylist()
        order = sorted(range(len(rows)), key=lambda i: chosen[i]["split"] != "train")
        found: list[str] = []
        for i in order[: 3 * most + len(but)]:
            thumbnail = self._thumbnail(int(rows[i])) if chosen[i]["key"] not in but else None
            if thumbnail is not None:
                found.append(thumbnail)
            if len(found) == most:
                break
        return found

    def _thumbnail(self, row: int) -> str | None:
        name = str(row)
        if name in self.thumbnails:
            return name
        if self._samples is None or self._store is None or self._left <= 0:
            return None
        place = self._samples.slice(row, 1).select(["shard", "offset", "size"]).to_pylist()[0]
        try:
            data = read_photo(self._store, **place)
            self._failures = 0
            small = thumbnail(data)
        except (StoreError, OSError) as error:
            self._fail(str(error))
            return None
        if small is None:
            return None
        self._left -= 1
        self.thumbnails[name] = base64.b64encode(small).decode()
        return name

    def _fail(self, reason: str) -> None:
        self._failures += 1
        self.problem = " ".join(reason.split())
        if self._failures >= MOST_FAILURES:
            self._samples = None


def _rows_of(column: pa.ChunkedArray, keys: Sequence[str]) -> dict[str, int]:
    """The row of each key that the column holds, found in one pass.

    A dictionary of the whole column would take gigabytes where a store has millions of photos.
    """
    wanted = pa.array(keys, pa.string())
    there = cast(Any, pc).index_in(column, value_set=wanted)
    rows = np.flatnonzero(there.is_valid().to_numpy())
    return dict(zip(column.take(pa.array(rows)).to_pylist(), rows.tolist(), strict=True))


def thumbnail(data: bytes) -> bytes | None:
    """A whole photo as a small JPEG, upright; None if it cannot be decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF: of no matter here
            with Image.open(io.BytesIO(data)) as image:
                image.draft("RGB", (2 * SIDE, 2 * SIDE))
                small = ImageOps.exif_transpose(image).convert("RGB")
                small.thumbnail((SIDE, SIDE))
    except Exception:  # a damaged photo makes Pillow raise all kinds of errors
        return None
    file = io.BytesIO()
    small.save(file, "JPEG", quality=78)
    return file.getvalue()
