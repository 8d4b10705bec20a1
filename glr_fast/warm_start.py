"""``--init-from RUN``: a new run begins with the weights of another, whatever its classes are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from glr_fast.errors import ConfigError
from glr_fast.heads import classifier_name
from glr_fast.model_card import ModelCard
from glr_fast.trained_model import TrainedModel


def start_from(
    model: nn.Module, card: ModelCard, landmark_ids: Sequence[str], trained: TrainedModel
) -> str:
    """Copy the weights of a trained model: the backbone, and of the head the classes they share.

    Rows of the head are matched by landmark id. Rows of new classes stay as they are, and so does
    a head of another kind.

    Args:
        model: the new model.
        card: of the new model.
        landmark_ids: of its classes, by label.
        trained: of the same architecture, with any classes and image size.

    Returns:
        A line that says what was taken.

    Raises:
        ConfigError: another architecture.
    """
    where = f"--init-from {trained.folder}"
    if trained.card.name != card.name:
        raise ConfigError(
            f"{where}: a {trained.card.name}, not a {card.name}; give the same --model.name"
        )
    prefix = classifier_name(model) + "."
    weights, given = model.state_dict(), trained.module.state_dict()
    wrong = [
        key
        for key, value in weights.items()
        if not key.startswith(prefix) and (key not in given or given[key].shape != value.shape)
    ]
    if wrong:
        raise ConfigError(f"{where}: {wrong[0]} has another shape, or is missing")
    row_of = {landmark: row for row, landmark in enumerate(trained.landmark_ids)}
    shared = [(row, row_of[name]) for row, name in enumerate(landmark_ids) if name in row_of]
    new, old = torch.tensor(shared, dtype=torch.int64).view(-1, 2).unbind(1)
    taken = trained.card.head == card.head
    for key, value in weights.items():
        if not key.startswith(prefix):
            value.copy_(given[key])
        elif not taken or key not in given:
            taken = False
        elif _of_classes(given[key], len(row_of)) and _of_classes(value, len(landmark_ids)):
            # A class has as many rows in a row as it has centers.
            ours, theirs = value.view(len(landmark_ids), -1), given[key].view(len(row_of), -1)
            if ours.shape[1] == theirs.shape[1]:
                ours[new] = theirs[old].to(value.dtype)
            else:
                taken = False
        elif given[key].shape == value.shape:
            value.copy_(given[key])
        else:
            taken = False
    step = f" (step {trained.note['step']})" if "step" in trained.note else ""
    head = (
        f"and the head's rows of {len(shared)} of {len(landmark_ids)} classes"
        if taken
        else "with a new head, since the other is of another kind"
    )
    return f"starting from {trained.folder}{step}: its backbone, {head}"


def _of_classes(value: torch.Tensor, classes: int) -> bool:
    return value.ndim > 0 and len(value) % classes == 0
