"""An export is the model, for whoever has glr-fast, timm only, ONNX Runtime or ``torch.export``.

This file is long because its tests share one export in every format, which takes a while to write.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import timm
import torch
from PIL import Image

from glr_fast.checkpoint import load_weights
from glr_fast.config import Config
from glr_fast.data import IMAGENET_MEAN, IMAGENET_STD
from glr_fast.errors import ConfigError
from glr_fast.export_options import ExportOptions
from glr_fast.exports import export, programs
from glr_fast.trained_model import TrainedModel, load_model
from tests.conftest import REPOSITORY
from tests.helpers.full_disk import no_file_over
from tests.helpers.untrained import CARD, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    return write_run(tmp_path_factory.mktemp("export") / "run", store=store)


@pytest.fixture(scope="module")
def whole(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export in every format."""
    pytest.importorskip("onnxscript")
    out = tmp_path_factory.mktemp("whole") / "export"
    export(ExportOptions(run, out, "safetensors,onnx,torch-export"))
    return out


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)


def answers(path: Path, images: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        return load_model(path, device="cpu").logits(images).softmax(1).numpy()


def test_an_export_is_a_model(run: Path, whole: Path, images: torch.Tensor) -> None:
    assert np.array_equal(answers(whole, images), answers(run, images))
    assert load_model(whole).note == {"step": "12"}
    with open(whole / "labels.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["Chapelle", "8", "城, «x»"]
    assert [row["train"] for row in rows] == ["4", "3", "2"]
    config = Config.from_json((whole / "config.json").read_text(), "x")
    assert config.out == run


def test_programs_take_any_number_of_photos(run: Path, whole: Path, images: torch.Tensor) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(whole / "model.onnx")
    module = torch.export.load(whole / "model.pt2").module()
    expected = answers(run, images)
    for count in (1, 2, 5):
        given: Any = session.run(None, {"images": images[:count].numpy()})[0]
        np.testing.assert_allclose(given, expected[:count], atol=1e-5)
        np.testing.assert_allclose(module(images[:count]).detach(), expected[:count], atol=1e-5)
    facts = json.loads((whole / "export.json").read_text())["programs"]
    assert set(facts) == {"model.onnx", "model.pt2"}
    for checked in facts.values():
        assert 0 <= checked["worst_difference"] < 1e-5
        assert "photos of the val split" in checked["source"]


@pytest.mark.parametrize("heading", ["timm", "ONNX Runtime", "torch.export"])
def test_the_card_says_what_works(
    run: Path, whole: Path, tmp_path: Path, heading: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines give the same answer as the model, for a photo that is turned by its EXIF tag."""
    text = (whole / "README.md").read_text()
    code = re.search(rf"## With {re.escape(heading)}\n\n```python\n(.*?)```", text, re.DOTALL)
    assert code is not None
    assert "glr_fast" not in code[1]
    folder = Path(shutil.copytree(whole, tmp_path / "there"))
    noise = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise).resize((320, 240)).save(folder / "photo.jpg", exif=exif, quality=95)
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(compile(code[1], "README.md", "exec"), names)  # noqa: S102 (what a reader would type)
    assert names["images"].shape == (1, 3, 32, 32)
    given = torch.as_tensor(names["probabilities"]).detach().numpy().reshape(-1)
    np.testing.assert_allclose(given, answers(run, torch.tensor(names["images"]))[0], atol=1e-5)


def test_the_page_shows_timm_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ten lines name the exported resnet50 and nothing of ours, and give the model's answer."""
    text = (REPOSITORY / "docs/how-to/export.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (code,) = (block for block in blocks if "timm.create_model" in block)
    lines = [line for line in code.splitlines() if line]
    assert len(lines) == 10
    assert "glr_fast" not in code
    card = replace(CARD, name="resnet50", image_size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    run = write_run(tmp_path / "run", card)
    export(ExportOptions(run, tmp_path / "best"))
    noise = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    photo = Image.fromarray(noise).resize((400, 300))
    photo.save(tmp_path / "best" / "photo.jpg", quality=95)
    monkeypatch.chdir(tmp_path / "best")
    names: dict[str, Any] = {}
    exec(compile(code, "export.md", "exec"), names)  # noqa: S102 (what a reader would type)
    box = (69, 19, 331, 281)  # 0.875 of 300 pixels, centred
    square = Image.open("photo.jpg").resize((224, 224), Image.Resampling.BILINEAR, box)
    images = torch.tensor(np.asarray(square).copy()).permute(2, 0, 1)[None]
    np.testing.assert_allclose(names["probabilities"], answers(run, images)[0], atol=2e-3)


def test_a_logit_scale_is_inside_the_weights(tmp_path: Path, images: torch.Tensor) -> None:
    """timm knows of no scale, so its softmax must be the probabilities without one."""
    card = replace(CARD, logit_scale=7.0)
    run = write_run(tmp_path / "run", card)
    export(ExportOptions(run, tmp_path / "out"))
    assert load_model(tmp_path / "out").card.logit_scale == 1
    expected = answers(run, images)
    np.testing.assert_allclose(answers(tmp_path / "out", images), expected, atol=1e-5)
    file = str(tmp_path / "out" / "model.safetensors")
    model = timm.create_model(card.name, num_classes=3, checkpoint_path=file).eval()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (card.mean, card.std))
    with torch.inference_mode():
        given = model((images / 255 - mean) / std).softmax(1)
    np.testing.assert_allclose(given, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet"])
def test_cosine_heads_and_noise(tmp_path: Path, name: str, images: torch.Tensor) -> None:
    """Without its store a model is checked on noise; timm is told that it cannot load this one."""
    pytest.importorskip("onnxscript")
    size = 160
    card = replace(CARD, name=name, head="cosine", logit_scale=30.0, image_size=size)
    run = write_run(tmp_path / "run", card)
    written = export(ExportOptions(run, tmp_path / "out", "onnx,torch-export"))
    assert [program.file for program in written.programs] == ["model.onnx", "model.pt2"]
    assert all("noise" in program.source for program in written.programs)
    text = (tmp_path / "out" / "README.md").read_text()
    assert "cannot load these weights" in text
    assert "import timm" not in text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"head": "subcenter", "sub_centers": 3, "head_scale": 30.0}, "with 3 sub-centers"),
        ({"head": "cosine", "head_scale": 30.0, "pool": "gem"}, "and generalised-mean pooling"),
        ({"pool": "gem"}, "This model has generalised-mean pooling, which"),
    ],
)
def test_every_head_is_exported(
    tmp_path: Path, fields: dict[str, Any], said: str, images: torch.Tensor
) -> None:
    pytest.importorskip("onnxscript")
    run = write_run(tmp_path / "run", replace(CARD, **fields))
    written = export(ExportOptions(run, tmp_path / "out", "onnx,torch-export"))
    assert all(program.worst_difference < 1e-4 for program in written.programs)
    assert np.array_equal(answers(tmp_path / "out", images), answers(run, images))
    text = (tmp_path / "out" / "README.md").read_text()
    assert said in text
    assert "cannot load these weights" in text


def test_an_export_of_an_export_keeps_what_is_known(run: Path, tmp_path: Path) -> None:
    evaluated = Path(shutil.copytree(run, tmp_path / "run"))
    for split, more in (
        ("val", {"thresholds": {"0.9": {"threshold": 0.7}}}),
        ("test", {"warnings": ["3 photos were trained on"]}),
    ):
        figures = {"checkpoint": "best", "splits": [split], "accuracy": 0.5, "photos": 9} | more
        (evaluated / f"eval-{split}").mkdir()
        (evaluated / f"eval-{split}" / "metrics.json").write_text(json.dumps(figures))
    (evaluated / "eval-old").mkdir()
    other = {"checkpoint": "last", "splits": ["train"], "accuracy": 0.9, "photos": 9}
    (evaluated / "eval-old" / "metrics.json").write_text(json.dumps(other))
    export(ExportOptions(evaluated, tmp_path / "one"))
    export(ExportOptions(tmp_path / "one", tmp_path / "two"))
    for name in ("one", "two"):
        assert json.loads((tmp_path / name / "thresholds.json").read_text()) == {
            "0.9": {"threshold": 0.7}
        }
        text = (tmp_path / name / "README.md").read_text()
        assert "| val | 9 | 0.5000 |" in text
        assert "train |" not in text
        assert "|\n\n- test: 3 photos were trained on\n" in text
        assert f"exported from `{evaluated / 'best'}`" in text
    assert (tmp_path / "two" / "config.json").is_file()


def test_modes_are_the_umasks(run: Path, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        export(ExportOptions(run, tmp_path / "out"))
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "out").iterdir()} == {0o640}


def test_an_export_in_the_way(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(ExportOptions(run, out))
    (out / "labels.csv").write_text("mine")
    with pytest.raises(ConfigError, match="already exists; --overwrite replaces it"):
        export(ExportOptions(run, out))
    assert (out / "labels.csv").read_text() == "mine"
    export(ExportOptions(run, out, overwrite=True))
    assert (out / "labels.csv").read_text() != "mine"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    for place, said in ((tmp_path / "photos", "is no export"), (out / "labels.csv", "not a fold")):
        with pytest.raises(ConfigError, match=said):
            export(ExportOptions(run, place, overwrite=True))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "photos"]


def test_what_fails_leaves_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(programs, "MOST_DIFFERENCE", -1.0)
    with pytest.raises(ConfigError, match="onnx: its probabilities differ"):
        export(ExportOptions(run, tmp_path / "out", "onnx"))
    assert list(tmp_path.iterdir()) == []
    said = r"^--out .*/out: cannot be written \(File too large\)$"
    with no_file_over(100_000), pytest.raises(ConfigError, match=said):
        export(ExportOptions(run, tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such operator\nand pages of it")

    monkeypatch.setattr(torch.onnx, "export", broken)
    with pytest.raises(ConfigError) as caught:
        export(ExportOptions(run, tmp_path / "out", "onnx"))
    assert str(caught.value) == (
        "--formats onnx: test_resnet cannot be written so (no such operator)"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("model.safetensors", b"\x00" * 99, "model.safetensors: damaged"),
        ("model.json", b'{"name": "resnet50", "input": 3}', "not a model card of this version"),
        ("classes.parquet", b"", "cannot be read"),
    ],
)
def test_a_corrupted_export_is_one_line(
    whole: Path, tmp_path: Path, file: str, content: bytes, said: str
) -> None:
    broken = Path(shutil.copytree(whole, tmp_path / "broken"))
    (broken / file).write_bytes(content)
    with pytest.raises(ConfigError, match=said) as caught:
        export(ExportOptions(broken, tmp_path / "out"))
    assert "\n" not in str(caught.value)
    assert load_weights(whole)[1] == {"step": "12"}


def test_formats_are_checked_at_once() -> None:
    with pytest.raises(ConfigError, match=r"unknown format 'onx'; .* did you mean onnx"):
        ExportOptions(formats="onx")
    assert ExportOptions(formats="torch-export, onnx").chosen == (
        *("safetensors", "onnx", "torch-export"),
    )


def test_an_export_with_other_files_in_it_is_not_replaced(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "export"
    export(ExportOptions(run, out))
    export(ExportOptions(run, out, overwrite=True))
    (out / "eval-test").mkdir()
    with pytest.raises(ConfigError, match="would delete eval-test, which no export writes"):
        export(ExportOptions(run, out, overwrite=True))
    assert (out / "eval-test").is_dir()


def test_a_program_that_answers_nothing_is_seen_with_many_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 5,000 equally probable classes each has 0.0002, less than two answers may differ."""
    card = replace(CARD, num_classes=5000)
    module = card.build().eval()
    torch.nn.init.zeros_(module.get_classifier().weight)  # type: ignore[operator]
    torch.nn.init.zeros_(module.get_classifier().bias)  # type: ignore[operator]
    model = TrainedModel(tmp_path, card, module, pa.table({}), {}, torch.device("cpu"))
    nothing = lambda *_: lambda images: np.zeros((len(images), 5000), np.float32)  # noqa: E731
    monkeypatch.setattr(programs, "_write_onnx", nothing)
    images = torch.zeros((2, 3, 32, 32), dtype=torch.uint8)
    with pytest.raises(ConfigError, match="its probabilities differ"):
        programs.write_program("onnx", model, images, "noise", tmp_path)


def test_figures_of_weights_that_were_replaced_are_not_on_the_card(
    run: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(run, tmp_path / "run"))
    for folder, step, accuracy in (
        ("eval-val", "12", 0.5),
        ("eval-val-384", "12", 0.7),
        ("eval-test", "10", 0.9),
    ):
        (own / folder).mkdir()
        split = folder.split("-")[1]
        figures = {"checkpoint": "best", "splits": [split], "accuracy": accuracy, "photos": 4}
        figures["store"] = "s1"
        figures |= {"trained": {"step": step}} | ({"image_size": 384} if "384" in folder else {})
        (own / folder / "metrics.json").write_text(json.dumps(figures))
    export(ExportOptions(own, tmp_path / "export"))
    facts = json.loads((tmp_path / "export/export.json").read_text())
    assert facts["figures"] == {"val": {"photos": 4, "store": "s1", "accuracy": 0.5}}
    assert "| val | 4 | 0.5000 | s1 |" in (tmp_path / "export/README.md").read_text()
