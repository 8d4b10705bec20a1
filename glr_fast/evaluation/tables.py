"""The tables that an evaluation writes: predictions (parquet and CSV), classes, mistakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from glr_fast import metrics
from glr_fast.data import Store
from glr_fast.evaluation.predictions import Predictions
from glr_fast.trained_model import TrainedModel
from shard_tools.columns import without_formulas

#: Columns of an answer in the CSV file, without its number -> the column of lists that holds them.
_ANSWERS = {
    "label": "top_labels",
    "landmark_id": "top_landmark_ids",
    "name": "top_names",
    "probability": "top_probabilities",
}


def predictions_table(predictions: Predictions, store: Store, model: TrainedModel) -> pa.Table:
    """What the model says of each photo, with all that it takes to find the photo again.

    Returns:
        ``key``, ``path`` (in the source that the store was built from), ``split``, ``label`` (the
        model's; -1 for a class that it does not know), ``landmark_id`` and ``name`` of the true
        class; ``top_labels``, ``top_landmark_ids``, ``top_names``, ``top_probabilities`` (lists of
        k, best first); ``loss``. One row a photo, in the order of the predictions.
    """
    rows = pa.array(predictions.rows)
    samples = store.samples(["key", "path", "split", "landmark_id", "label"]).take(rows)
    own_label = samples["label"].to_numpy()
    columns = {
        "key": samples["key"],
        "path": samples["path"],
        "split": samples["split"].cast(pa.string()),
        "label": pa.array(predictions.labels, pa.int32()),
        "landmark_id": samples["landmark_id"].cast(pa.string()),
        "name": _words(class_names(store), own_label),
        "top_labels": _lists(predictions.top, pa.int32()),
        "top_landmark_ids": _lists_of_words(model.landmark_ids, predictions.top),
        "top_names": _lists_of_words(model.names, predictions.top),
        "top_probabilities": _lists(predictions.probabilities, pa.float32()),
        "loss": pa.array(predictions.losses, pa.float32()),
    }
    return pa.table(columns)


def flat_table(table: pa.Table) -> pa.Table:
    """The predictions table for a CSV file: one column for each answer, ``label1``, ``name1``, ...

    Args:
        table: as ``predictions_table`` makes it.
    """
    plain = [name for name in table.column_names if not name.startswith("top_")]
    columns = {name: table[name] for name in plain if name != "loss"}
    for place in range(table["top_labels"].type.list_size):
        for name, column in _ANSWERS.items():
            columns[f"{name}{place + 1}"] = cast(Any, pc).list_element(table[column], place)
    return pa.table(columns | {"loss": table["loss"]})


def write_tables(
    folder: Path, predictions: Predictions, store: Store, model: TrainedModel
) -> pa.Table:
    """Write predictions.parquet, predictions.csv, per_class.csv and confused_pairs.csv.

    The last two leave out photos of unknown classes.

    Returns:
        The predictions table.
    """
    table = predictions_table(predictions, store, model)
    _whole(folder / "predictions.parquet", lambda file: pq.write_table(table, file))
    flat = without_formulas(flat_table(table))
    _whole(folder / "predictions.csv", lambda file: csv.write_csv(flat, file))
    known = predictions.take(predictions.labels >= 0)
    classes = metrics.per_class(known.labels, known.top[:, 0], model.train_counts)
    for place, words in enumerate((model.landmark_ids, model.names), start=1):
        column = np.array(words, dtype=object)[classes["label"]]
        classes.insert(place, ("landmark_id", "name")[place - 1], column)
    pairs = metrics.confused_pairs(known.labels, known.top[:, 0], model.names)
    for name, frame in (("per_class.csv", classes), ("confused_pairs.csv", pairs)):
        texts = frame.select_dtypes(exclude="number")
        safe = without_formulas(pa.Table.from_pandas(texts, preserve_index=False))
        frame[texts.columns] = safe.to_pandas().to_numpy()
        _whole(
            folder / name,
            lambda file, frame=frame: frame.to_csv(file, index=False, float_format="%.4f"),
        )
    return table


def class_names(store: Store) -> list[str]:
    """The name of each class of a store, or its landmark id where it has no name."""
    table = store.classes()
    pairs = zip(table["name"].to_pylist(), table["landmark_id"].to_pylist(), strict=True)
    return [name or landmark for name, landmark in pairs]


def _whole(file: Path, write: Callable[[Path], object]) -> None:
    """Write under a temporary name, then rename."""
    temporary = file.with_name(f".{file.name}.tmp")
    write(temporary)
    temporary.replace(file)


def _lists(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), kind), values.shape[1])


def _words(words: list[str], which: np.ndarray) -> pa.Array:
    return pa.array(words, pa.string()).take(pa.array(which))


def _lists_of_words(words: list[str], which: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(_words(words, which.ravel()), which.shape[1])
