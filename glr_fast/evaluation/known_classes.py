"""A store's classes and a model's, matched by landmark id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glr_fast.data import Store
from glr_fast.errors import ConfigError
from glr_fast.trained_model import TrainedModel


@dataclass(frozen=True)
class KnownClasses:
    """Which label of a model each class of a store has."""

    labels: np.ndarray
    """The model's label for each label of the store; -1 for a class that the model does not know.
    Shape (classes of the store,), int64."""

    @classmethod
    def of(cls, model: TrainedModel, store: Store, splits: Sequence[str]) -> KnownClasses:
        """Match the classes of a store to those of a model, by landmark id.

        Raises:
            ConfigError: no photo of these splits is of a class that the model knows.
        """
        label_of = {landmark: label for label, landmark in enumerate(model.landmark_ids)}
        present = store.classes()["landmark_id"].to_pylist()
        labels = np.array([label_of.get(landmark, -1) for landmark in present], np.int64)
        in_splits = sum(store.class_counts(split) for split in splits)
        if not np.any(in_splits) or (labels[np.asarray(in_splits) > 0] >= 0).any():
            return cls(labels)  # an empty split is the loader's to say
        raise ConfigError(
            f"{store.path}: no photo of {' or '.join(splits)} is of a class that {model.folder} "
            f"was trained on ({len(label_of):,} classes, such as landmark_id {min(label_of)!r}; "
            f"here there are such as {present[0]!r}), so nothing can be scored"
        )

    @property
    def relabel(self) -> np.ndarray | None:
        """``labels``; None where the store's labels are the model's."""
        same = np.array_equal(self.labels, np.arange(len(self.labels)))
        return None if same else self.labels
