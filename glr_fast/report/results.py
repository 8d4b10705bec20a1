"""What an evaluation wrote, read back for its report.

pandas' stubs know few of its overloads, so a table is ``Any`` where its methods are called.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from glr_fast.errors import ConfigError

ALL_CLASSES = 50
"""Up to so many classes the confusion matrix shows all of them."""
BLOCK = 30
"""Beyond, it shows so many of the most confused ones."""


@dataclass(frozen=True)
class Results:
    """The files of an evaluation, as tables."""

    figures: dict[str, Any]
    """``metrics.json``."""
    photos: Any
    """A DataFrame, one row a photo of a known class: ``key``, ``path``, ``label``, ``landmark_id``,
    ``name``, ``predicted``, ``predicted_id``, ``predicted_name``, ``confidence``."""
    classes: Any
    """A DataFrame: ``per_class.csv``, and ``taken_for`` (the most frequent wrong prediction)."""

    @classmethod
    def read(cls, folder: Path) -> Results:
        """Read an evaluation's folder.

        Raises:
            ConfigError: a file is missing or damaged.
        """
        try:
            figures = json.loads((folder / "metrics.json").read_text())
            table = pq.read_table(folder / "predictions.parquet")
            classes: Any = pd.read_csv(
                folder / "per_class.csv",
                dtype={"landmark_id": str, "name": str},
                keep_default_na=False,
                na_values={"precision": [""], "recall": [""], "f1": [""]},
            )
            photos = _photos(table)
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise ConfigError(f"{folder}: not a whole evaluation ({error})") from None
        return cls(figures, photos, classes.assign(taken_for=_taken_for(photos, classes)))

    @cached_property
    def mistakes(self) -> Any:
        """The photos with a wrong answer, the most certain one first."""
        wrong = self.photos[self.photos["label"] != self.photos["predicted"]]
        return wrong.sort_values(["confidence", "key"], ascending=[False, True])

    def pairs(self, most: int) -> list[tuple[int, int, Any]]:
        """The most confused pairs: true label, predicted label, the photos (certain ones first)."""
        pair, wrong = ["label", "predicted"], self.mistakes
        counts = wrong.groupby(pair, as_index=False).size()
        counts = counts.sort_values(["size", *pair], ascending=[False, True, True]).head(most)
        return [
            (true, said, wrong[(wrong["label"] == true) & (wrong["predicted"] == said)])
            for true, said in counts[pair].itertuples(index=False)
        ]

    @cached_property
    def confusion(self) -> tuple[list[int], list[str], np.ndarray]:
        """The classes of the confusion matrix, and the matrix.

        Returns:
            Labels, their names, and photos by true and predicted class: shape (shown, shown), int.
        """
        names = self.names
        shown = sorted(names) if len(names) <= ALL_CLASSES else self._most_confused()
        place = {label: i for i, label in enumerate(shown)}
        inside = self.photos[
            self.photos["label"].isin(place) & self.photos["predicted"].isin(place)
        ]
        matrix = np.zeros((len(shown), len(shown)), np.int64)
        rows, columns = (inside[c].map(place).to_numpy(int) for c in ("label", "predicted"))
        np.add.at(matrix, (rows, columns), 1)
        return shown, [names[label] for label in shown], matrix

    @cached_property
    def names(self) -> dict[int, str]:
        """Names of all classes that are true or predicted somewhere, by label."""
        columns = (("predicted", "predicted_name"), ("label", "name"))
        return {
            int(label): str(name)
            for label_column, name_column in columns
            for label, name in _distinct(self.photos, label_column, name_column)
        }

    def _most_confused(self) -> list[int]:
        """Labels of the classes in the most frequent mistakes, confused ones side by side."""
        shown: dict[int, None] = {}
        for true, said, _ in self.pairs(BLOCK):  # each adds a class or two, if there is room
            if len(shown.keys() | {true, said}) <= BLOCK:
                shown |= {true: None, said: None}
        return list(shown)


def _photos(table: pa.Table) -> Any:
    best = {
        "predicted": "top_labels",
        "predicted_id": "top_landmark_ids",
        "predicted_name": "top_names",
        "confidence": "top_probabilities",
    }
    photos: Any = table.select(["key", "path", "label", "landmark_id", "name"]).to_pandas()
    for name, column in best.items():
        lists = table[column].combine_chunks()
        first = pa.array(np.arange(len(table)) * lists.type.list_size)
        photos[name] = lists.flatten().take(first).to_pandas()
    return photos[photos["label"] >= 0].reset_index(drop=True)


def _taken_for(photos: Any, classes: Any) -> list[str]:
    wrong = photos[photos["label"] != photos["predicted"]]
    counts = wrong.groupby(["label", "predicted"], as_index=False).size()
    counts = counts.sort_values(["size", "predicted"], ascending=[False, True])
    most = counts.drop_duplicates("label").set_index("label")["predicted"].to_dict()
    names = dict(_distinct(photos, "predicted", "predicted_name"))
    return [names.get(most.get(label), "") for label in classes["label"]]


def _distinct(photos: Any, *columns: str) -> Sequence[Any]:
    return list(photos[list(columns)].drop_duplicates(columns[0]).itertuples(index=False))
