"""A trained model with all that it takes to use it: ``load_model`` finds and loads one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from glr_fast.checkpoint import CARD, CLASSES, WEIGHTS, find_export, load_weights
from glr_fast.data import normalise
from glr_fast.errors import ConfigError
from glr_fast.model_card import ModelCard
from glr_fast.models import place


@dataclass(frozen=True)
class TrainedModel:
    """A model with its trained weights, in eval mode on a device, and the classes it knows."""

    folder: Path
    """Where it was loaded from: ``RUN/best``, a checkpoint or an export."""
    card: ModelCard
    """Architecture, image size, normalisation."""
    module: nn.Module
    """(B, 3, H, W) normalised float images to (B, classes) unscaled logits."""
    classes: pa.Table
    """``label``, ``landmark_id``, ``name`` and the photos in ``train``, ``val``, ``test`` of the
    store it was trained on; one row a class, by label."""
    note: dict[str, str]
    """What the training wrote beside the weights: the step, validation figures."""
    device: torch.device
    """Where it runs."""

    @property
    def landmark_ids(self) -> list[str]:
        """The landmark id of each class, by label."""
        return self.classes["landmark_id"].to_pylist()

    @property
    def names(self) -> list[str]:
        """The name of each class, or its landmark id where it has no name; by label."""
        pairs = zip(self.classes["name"].to_pylist(), self.landmark_ids, strict=True)
        return [name or landmark for name, landmark in pairs]

    @property
    def train_counts(self) -> np.ndarray:
        """Photos of each class that it was trained on. Shape (classes,), int64."""
        return self.classes["train"].to_numpy().astype(np.int64)

    @property
    def title(self) -> str:
        """Which model this is, to be told from others: where it is, and how far it was trained."""
        step = self.note.get("step")
        return f"{self.folder}" + (f" (step {step})" if step else "")

    def is_of(self, figures: Mapping[str, Any]) -> bool:
        """Whether the figures of an evaluation (``metrics.json``) are those of these weights.

        ``best`` is called so whatever weights it holds: the step tells whether they were replaced.
        """
        size, trained = figures.get("image_size", self.card.image_size), figures.get("trained")
        step = self.note.get("step")
        return (
            figures.get("checkpoint") == self.folder.name
            and size == self.card.image_size
            and (trained or self.note).get("step") == step
        )

    def logits(self, images: Tensor) -> Tensor:
        """Scaled logits, whose softmax are the probabilities.

        Args:
            images: (B, 3, H, W) uint8 on the model's device.

        Returns:
            (B, classes) float32.
        """
        outputs = self.module(normalise(images, self.card.mean, self.card.std))
        return outputs.float() * self.card.logit_scale


def load_model(
    path: Path | str, checkpoint: str = "best", device: torch.device | str | None = None
) -> TrainedModel:
    """Load a trained model.

    Args:
        path: a run folder, or a folder that holds weights and card: ``RUN/best``, a checkpoint, an
            export.
        checkpoint: of a run folder: ``best``, ``last`` or a checkpoint's name.
        device: where it shall run; None takes the GPU if there is one, else the CPU.

    Raises:
        ConfigError: no model there, or one that is damaged or of another version.
    """
    folder = Path(path)
    if not (folder / CARD).is_file():
        folder = find_export(folder, checkpoint)
    card_file = folder / CARD
    try:
        card = ModelCard.from_json(card_file.read_text(), str(card_file))
        classes = pq.read_table(folder / CLASSES)
        weights, note = load_weights(folder)
    except SafetensorError as error:
        raise ConfigError(f"{folder / WEIGHTS}: damaged ({error})") from None
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{folder}: the model cannot be read ({reason})") from None
    if len(classes) != card.num_classes:
        raise ConfigError(
            f"{folder}: {CARD} says {card.num_classes} classes, {CLASSES} lists {len(classes)}; "
            "the files are not of one model"
        )
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    module = card.build()
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"{folder / WEIGHTS}: not the weights of {card.name} with {card.num_classes} classes "
            f"({reason})"
        ) from None
    return TrainedModel(folder, card, place(module, where).eval(), classes, note, where)
