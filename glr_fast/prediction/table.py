"""The table of answers: one row a photo, the same columns in every kind of file."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from glr_fast.prediction.answers import Answers
from glr_fast.trained_model import TrainedModel

#: Key of the parquet file's metadata that lists landmark ids, where every probability is written.
LANDMARK_IDS = b"landmark_ids"


class AnswerTable:
    """Makes tables of answers.

    Columns: ``path``, ``label`` (int32), ``landmark_id``, ``name``, ``probability`` (float32) of
    the best answer; ``unsure`` (bool, null where there is no threshold); the k best answers as
    lists of fixed length, best first: ``top_labels``, ``top_landmark_ids``, ``top_names``,
    ``top_probabilities``; and perhaps ``probabilities``, those of all classes by label.

    Args:
        model: whose answers.
        top: how many it gives for each photo, at most.
        every: whether they hold every label's probability.
    """

    def __init__(self, model: TrainedModel, top: int, every: bool) -> None:
        self.k = min(top, model.card.num_classes)
        """Answers in a list."""
        self.landmark_ids = model.landmark_ids
        """Of each class, by label."""
        self._ids = pa.array(model.landmark_ids, pa.string())
        self._names = pa.array(model.names, pa.string())
        self.schema = self._schema(len(self._ids) if every else 0)
        """Of the tables."""

    def of(self, answers: Answers) -> pa.Table:
        """The table of some answers."""
        best = pa.array(answers.top[:, 0])
        labels = pa.array(answers.top.ravel())
        unsure = answers.unsure
        columns = [
            pa.array(answers.paths, pa.string()),
            best,
            self._ids.take(best),
            self._names.take(best),
            pa.array(answers.probabilities[:, 0]),
            pa.nulls(len(best), pa.bool_()) if unsure is None else pa.array(unsure),
            self._lists(labels, pa.int32()),
            self._lists(self._ids.take(labels)),
            self._lists(self._names.take(labels)),
            self._lists(pa.array(answers.probabilities.ravel())),
        ]
        if answers.every is not None:
            values = pa.array(np.ascontiguousarray(answers.every).ravel())
            columns.append(pa.FixedSizeListArray.from_arrays(values, answers.every.shape[1]))
        plain = pa.schema([(field.name, field.type) for field in self.schema])
        return pa.table(columns, names=self.schema.names).cast(plain)

    def _lists(self, values: pa.Array, kind: pa.DataType | None = None) -> pa.Array:
        values = values if kind is None else values.cast(kind)
        return pa.FixedSizeListArray.from_arrays(values, self.k)

    def _schema(self, classes: int) -> pa.Schema:
        fields = [
            ("path", pa.string()),
            ("label", pa.int32()),
            ("landmark_id", pa.string()),
            ("name", pa.string()),
            ("probability", pa.float32()),
            ("unsure", pa.bool_()),
            ("top_labels", pa.list_(pa.int32(), self.k)),
            ("top_landmark_ids", pa.list_(pa.string(), self.k)),
            ("top_names", pa.list_(pa.string(), self.k)),
            ("top_probabilities", pa.list_(pa.float32(), self.k)),
        ]
        if not classes:
            return pa.schema(fields)
        ids = json.dumps(self.landmark_ids).encode()
        fields.append(("probabilities", pa.list_(pa.float32(), classes)))
        return pa.schema(fields, metadata={LANDMARK_IDS: ids})


def flat(table: pa.Table, landmark_ids: list[str]) -> pa.Table:
    """The table with a column for each entry of its lists, as a CSV file needs it.

    ``label1``, ``landmark_id1``, ``name1``, ``probability1``, ``label2``, ...; and ``p:ID`` for the
    probability of each landmark id.
    """
    table = table.combine_chunks()
    names = table.column_names[:6]
    columns = [table[name] for name in names]
    lists = ("label", "landmark_id", "name", "probability")
    k = table.schema.field("top_labels").type.list_size
    for place in range(k):
        for name in lists:
            entries = _entries(table, f"top_{'probabilitie' if name[0] == 'p' else name}s")
            columns.append(entries[place::k])
            names.append(f"{name}{place + 1}")
    if "probabilities" in table.column_names:
        entries = _entries(table, "probabilities").to_numpy().reshape(-1, len(landmark_ids))
        columns += [pa.array(np.ascontiguousarray(column)) for column in entries.T]
        names += [f"p:{landmark}" for landmark in landmark_ids]
    return pa.table(columns, names=names)


def _entries(table: pa.Table, name: str) -> pa.Array:
    chunks = table[name].chunks
    if not chunks:
        return pa.array([], table.schema.field(name).type.value_type)
    return pa.concat_arrays([chunk.flatten() for chunk in chunks])
