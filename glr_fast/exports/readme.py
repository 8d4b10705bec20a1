"""The card of an export (``README.md``): what the model is, how good, and how to use each file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glr_fast.checkpoint import WEIGHTS
from glr_fast.model_card import ModelCard
from glr_fast.trained_model import TrainedModel

CROP = 0.875
"""Side of the centre crop over the photo's shorter side, as evaluation takes it."""

CROPPED = """photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
side = round({crop} * min(photo.size))
left, top = (photo.width - side) // 2, (photo.height - side) // 2
box = (left, top, left + side, top + side)
photo = photo.resize(({size}, {size}), Image.Resampling.BILINEAR, box)
images = np.asarray(photo).transpose(2, 0, 1)[None]  # (1, 3, {size}, {size}) uint8, RGB"""

WITH_TIMM = """```python
import numpy as np, pandas as pd, timm, torch
from PIL import Image, ImageOps

labels = pd.read_csv("labels.csv", dtype=str)
model = timm.create_model("{name}", num_classes={classes}, checkpoint_path="model.safetensors")
{cropped}
mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ({mean}, {std}))
with torch.inference_mode():
    probabilities = model.eval()((torch.tensor(images) / 255 - mean) / std).softmax(1)[0]
print(labels.assign(probability=probabilities.numpy()).nlargest(5, "probability"))
```"""

WITH_ONNX = """```python
import numpy as np, onnxruntime, pandas as pd
from PIL import Image, ImageOps

labels = pd.read_csv("labels.csv", dtype=str)
session = onnxruntime.InferenceSession("model.onnx")
{cropped}
(probabilities,) = session.run(None, {{"images": images}})  # any number of photos at once
print(labels.assign(probability=probabilities[0]).nlargest(5, "probability"))
```"""

WITH_TORCH = """```python
import numpy as np, torch
from PIL import Image, ImageOps

{cropped}
model = torch.export.load("model.pt2").module()
probabilities = model(torch.tensor(images))  # uint8 images; normalisation is inside
```"""

FILES = {
    WEIGHTS: "weights, under timm's names",
    "model.json": "architecture, image size, normalisation",
    "classes.parquet": "the classes, with their photos in train, val and test",
    "labels.csv": "label, landmark id, name and training photos of each class",
    "config.json": "options of the training; `glr-train --config config.json` repeats it",
    "thresholds.json": "probabilities from which answers reach a precision on validation",
    "model.onnx": "ONNX: uint8 images to probabilities",
    "model.onnx.data": "the weights of model.onnx, to be kept beside it",
    "model.pt2": "`torch.export`: uint8 images to probabilities",
    "export.json": "where this is from, figures, differences from the model",
}


def readme(model: TrainedModel, facts: dict[str, Any], files: Sequence[str]) -> str:
    """The text of the card.

    Args:
        model: what was exported.
        facts: those of ``export.json``.
        files: names of the files in the folder.
    """
    card = model.card
    values = {
        "name": card.name,
        "classes": card.num_classes,
        "mean": card.mean,
        "std": card.std,
        "cropped": CROPPED.format(crop=CROP, size=card.image_size),
    }
    parts = [f"# {card.name}, {card.num_classes} landmarks", _about(model, facts)]
    if facts["figures"]:
        parts.append(_figures(facts["figures"]))
    parts.append("## Files\n\n" + "\n".join(f"- `{f}`: {FILES[f]}" for f in files if f in FILES))
    parts.append("## With glr-fast\n\n    glr-predict --model FOLDER PHOTOS")
    if facts["timm"]:
        parts.append("## With timm\n\n" + WITH_TIMM.format(**values))
    else:
        parts.append(
            f"## With timm\n\nThis model has {_unknown_to_timm(card)}, which timm does not know: "
            "`timm.create_model` cannot load these weights. Use ONNX, `torch.export` or "
            "`glr_fast.load_model`."
        )
    if "model.onnx" in files:
        parts.append("## With ONNX Runtime\n\n" + WITH_ONNX.format(**values))
    if "model.pt2" in files:
        parts.append("## With torch.export\n\n" + WITH_TORCH.format(**values))
    if facts["programs"]:
        parts.append(_programs(facts["programs"]))
    return "\n\n".join(parts) + "\n"


def _unknown_to_timm(card: ModelCard) -> str:
    heads = {
        "cosine": "a last layer that compares directions (cosine head)",
        "subcenter": f"a cosine head with {card.sub_centers} sub-centers for each class",
    }
    pools = {"gem": "generalised-mean pooling"}
    parts = (heads.get(card.head), pools.get(card.pool))
    return " and ".join(part for part in parts if part)


def _about(model: TrainedModel, facts: dict[str, Any]) -> str:
    size = model.card.image_size
    return (
        f"{facts['parameters']:,} parameters; exported from `{facts['exported_from']}` "
        f"(timm {facts['versions']['timm']}, torch {facts['versions']['torch']}).\n\n"
        f"It takes RGB images of {size} x {size} pixels: the photo turned upright by its EXIF "
        f"tag, the centred square whose side is {CROP} of the shorter side, resized (antialiased, "
        f"bilinear), divided by 255, normalised with mean {model.card.mean} and standard "
        f"deviation {model.card.std}. It answers with one logit for each class of `labels.csv`; "
        "their softmax are the probabilities."
    )


def _figures(figures: dict[str, dict[str, Any]]) -> str:
    names = {
        "photos": "photos",
        "classes": "classes",
        "accuracy": "accuracy",
        "top5_accuracy": "top-5 accuracy",
        "macro_f1": "macro F1",
        "gap": "GAP",
        "store": "store",
    }
    shown = [key for key in names if any(key in row for row in figures.values())]
    lines = [
        "| split | " + " | ".join(names[key] for key in shown) + " |",
        "|---" * (len(shown) + 1) + "|",
    ]
    for split, row in figures.items():
        cells = [_cell(row.get(key)) for key in shown]
        lines.append(f"| {split} | " + " | ".join(cells) + " |")
    doubts = [f"- {split}: {doubt}" for split in figures for doubt in _doubts(figures[split])]
    return "\n".join(["## Figures", "", *lines, *[""] * bool(doubts), *doubts])


def _doubts(row: dict[str, Any]) -> list[str]:
    """What its evaluation warned of: these figures may flatter the model."""
    return list(row.get("warnings", ()))


def _cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value if value is not None else "-")


def _programs(programs: dict[str, dict[str, Any]]) -> str:
    lines = [
        f"- `{name}`: its probabilities differ from the model's by at most "
        f"{checked['worst_difference']:.1e} (on {checked['source']})"
        for name, checked in programs.items()
    ]
    return "## Checked\n\n" + "\n".join(lines)
