"""A model as one program from photos to probabilities: ONNX and ``torch.export``, each checked.

Both take uint8 RGB images as they are decoded; normalisation, logit scale and softmax are inside.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from glr_fast.errors import ConfigError
from glr_fast.export_options import FormatName
from glr_fast.trained_model import TrainedModel

INPUT, OUTPUT, BATCH = "images", "probabilities", "batch"

MOST_DIFFERENCE = 1e-3
"""Of two probabilities, beyond which a program is not the model."""
_OF_LARGEST = 0.01
"""The same as a share of the most probable class's."""
LARGEST_FILE = 1 << 30
"""Bytes of weights beyond which they go into a file beside model.onnx (its limit is 2 GiB)."""


class Answers(nn.Module):
    """(B, 3, S, S) uint8 RGB to (B, classes) float32 probabilities."""

    scale: Tensor
    shift: Tensor

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        card = model.card
        self.name = card.name
        self.module = model.module
        self.logit_scale = card.logit_scale
        # What ``data.normalise`` computes, with constants that become part of the program.
        scale = torch.tensor([1 / (255 * std) for std in card.std])
        shift = torch.tensor([-mean / std for mean, std in zip(card.mean, card.std, strict=True)])
        self.register_buffer("scale", scale.view(1, 3, 1, 1))
        self.register_buffer("shift", shift.view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Images to probabilities, which add up to 1 over the classes."""
        outputs = self.module(torch.addcmul(self.shift, images.float(), self.scale))
        return (outputs.float() * self.logit_scale).softmax(1)


@dataclass(frozen=True)
class Checked:
    """A program that was written and run against the model."""

    file: str
    """Its name in the export."""
    worst_difference: float
    """Largest absolute difference of a probability."""
    photos: int
    """Photos it was compared on."""
    source: str
    """Where they are from."""


def write_program(
    kind: FormatName, model: TrainedModel, photos: Tensor, source: str, folder: Path
) -> Checked:
    """Write the model as a program and compare its answers with the model's.

    Args:
        kind: ``onnx`` or ``torch-export``.
        model: on the CPU.
        photos: what to compare on. Shape (N, 3, S, S), uint8, N of 2 or more.
        source: says where they are from.
        folder: where the file goes.

    Raises:
        ConfigError: a package is missing, the model cannot be written so, or answers differ.
    """
    answers = Answers(model).eval()
    file = folder / {"onnx": "model.onnx", "torch-export": "model.pt2"}[kind]
    writer = {"onnx": _write_onnx, "torch-export": _write_torch}[kind]
    run = writer(answers, photos, file)
    with torch.inference_mode():
        expected = answers(photos).numpy()
    # One photo and then all of them: the size of the batch is free.
    given = np.concatenate([run(photos[:1].numpy()), run(photos[1:].numpy())])
    worst = float(np.abs(given - expected).max())
    # With very many classes all probabilities may be smaller than that difference.
    if not worst <= min(MOST_DIFFERENCE, _OF_LARGEST * float(expected.max(axis=1).min())):
        raise ConfigError(
            f"{kind}: its probabilities differ from the model's by up to {worst:.1e} on {source}; "
            "nothing was written; please report this with the model's name"
        )
    return Checked(file.name, worst, len(photos), source)


Run = Callable[[np.ndarray], np.ndarray]


def _write_onnx(answers: Answers, photos: Tensor, file: Path) -> Run:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"--formats onnx needs {error.name}, which is not installed; pip install "
            "'glr-fast[onnx]' (in a checkout: pip install -e '.[onnx]')"
        ) from None
    size = sum(tensor.numel() * tensor.element_size() for tensor in answers.state_dict().values())
    with _one_line("onnx", answers), _quiet():
        torch.onnx.export(
            answers,
            (photos[:2].contiguous(),),
            file,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={INPUT: {0: torch.export.Dim(BATCH)}},
            external_data=size > LARGEST_FILE,
            dynamo=True,
        )
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda images: cast(np.ndarray, session.run([OUTPUT], {INPUT: images})[0])


def _write_torch(answers: Answers, photos: Tensor, file: Path) -> Run:
    with _one_line("torch-export", answers), _quiet():
        program = torch.export.export(
            answers,
            (photos[:2].contiguous(),),
            dynamic_shapes={INPUT: {0: torch.export.Dim(BATCH)}},
        )
        torch.export.save(program, file)
        again = torch.export.load(file).module()
    return lambda images: again(torch.from_numpy(images)).detach().numpy()


@contextmanager
def _one_line(kind: str, answers: Answers) -> Iterator[None]:
    """Say in one line that a model cannot be traced; the exporters' own reports fill pages."""
    try:
        with torch.inference_mode(False), torch.no_grad():
            yield
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ConfigError(
            f"--formats {kind}: {answers.name} cannot be written so ({reason})"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' progress lines and warnings of their own insides."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    said = io.StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(said), redirect_stderr(said):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
