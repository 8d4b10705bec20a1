"""Answers are the store's, and depend on the photo alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from accelerate import Accelerator

from glr_fast import evaluation
from glr_fast.data import LoaderOptions, Store, open_loader
from glr_fast.errors import ConfigError
from glr_fast.prediction import Outcome, PredictOptions, predict
from glr_fast.trained_model import TrainedModel
from tests.helpers.photos import built, encoded, exif, jpeg, scene
from tests.helpers.sources import tars, zipped

SAME_TO = 1e-4
#: Other batch sizes are computed by other kernels.
ROUNDING = 1e-5


def answers(model: TrainedModel, photos: Sequence[Path], **options: object) -> pa.Table:
    found = predict(model, photos, PredictOptions(top=6, threads=2, **options))  # type: ignore[arg-type]
    assert found.answers is not None
    return found.answers


def by_name(table: pa.Table) -> dict[str, np.ndarray]:
    """Probability of every label, by the name of the file without its suffix."""
    every = {}
    for row in table.to_pylist():
        values = np.zeros(6)
        values[row["top_labels"]] = row["top_probabilities"]
        every[Path(row["path"]).stem] = values
    return every


def worst(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    assert one.keys() == other.keys()
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


@pytest.fixture(scope="module")
def files(photos: Path) -> list[Path]:
    return sorted(photos.rglob("*.jpg"))


@pytest.fixture(scope="module")
def expected(model: TrainedModel, files: list[Path]) -> dict[str, np.ndarray]:
    """Of every photo, sixteen at a time."""
    found = by_name(answers(model, files, batch_size=16))
    tops = {int(values.argmax()) for values in found.values()}
    assert len(tops) > 1  # a model that says the same of everything would prove nothing
    return found


def of_store(model: TrainedModel, store: Path, backend: str) -> dict[str, np.ndarray]:
    """What an evaluation of the whole store says of its photos."""
    opened = Store.open(store)
    keys = opened.samples(["key"])["key"].to_pylist()
    found = {}
    for split in ("train", "val", "test"):
        if not opened.split_rows(split):
            continue
        options = LoaderOptions(batch_size=16, image_size=64, backend=backend, threads=2)
        with open_loader(opened, split, options, train=False) as loader:
            got = evaluation.predict(Accelerator(), model.module, loader, model.card)
        for row, top, values in zip(got.rows.tolist(), got.top, got.probabilities, strict=True):
            found[keys[row]] = np.zeros(6)
            found[keys[row]][top] = values
    return found


@pytest.mark.parametrize("backend", ["cpu", "dali"])
def test_bare_files_are_answered_as_in_a_store(
    model: TrainedModel, store: Path, files: list[Path], backend: str
) -> None:
    bare = by_name(answers(model, files, batch_size=16, backend=backend))
    stored = of_store(model, store, backend)
    # An evaluation keeps the five best of the six.
    for name, values in stored.items():
        seen = values > 0
        assert np.abs(values[seen] - bare[name][seen]).max() < SAME_TO
    assert bare.keys() == stored.keys()


def test_photos_that_a_store_encodes_again(model: TrainedModel, tmp_path: Path) -> None:
    source = tmp_path / "source/one"
    source.mkdir(parents=True)
    picture = scene(150, 110)
    kinds = {"png": ("PNG", {}), "webp": ("WEBP", {"lossless": True}), "gif": ("GIF", {})}
    for suffix, (kind, options) in kinds.items():
        (source / f"photo_{suffix}.{suffix}").write_bytes(encoded(picture, kind, **options))
    turned = {f"turned{o}": encoded(picture, exif=exif(o), quality=95) for o in range(1, 9)}
    jpegs = turned | {"progressive": encoded(picture, progressive=True)}
    jpegs |= {"grey": encoded(picture.convert("L")), "plain": encoded(picture)}
    for name, data in jpegs.items():
        (source / f"{name}.jpg").write_bytes(data)
    options = {"splits": (1.0, 0.0, 0.0), "duplicates": "keep"}
    store = built(tmp_path / "source", tmp_path / "store", **options)
    bare, stored = by_name(answers(model, [source])), of_store(model, store, "cpu")
    for name, values in stored.items():
        seen = values > 0
        assert np.abs(values[seen] - bare[name][seen]).max() < SAME_TO, name
    assert len(stored) == len(jpegs) + len(kinds)


def test_order_and_neighbours_change_nothing(
    model: TrainedModel, files: list[Path], expected: dict[str, np.ndarray]
) -> None:
    mixed = [files[i] for i in np.random.default_rng(0).permutation(len(files))]
    assert worst(by_name(answers(model, mixed, batch_size=16)), expected) == 0
    part = by_name(answers(model, files[3:20], batch_size=16))  # 17: a full batch, and one photo
    assert worst(part, {name: expected[name] for name in part}) == 0


@pytest.mark.parametrize("size", [1, 7, 64])
def test_batch_size_changes_a_rounding_at_most(
    model: TrainedModel, files: list[Path], expected: dict[str, np.ndarray], size: int
) -> None:
    assert (
        worst(
            by_name(answers(model, files[:20], batch_size=size)),
            {path.stem: expected[path.stem] for path in files[:20]},
        )
        < ROUNDING
    )


def test_one_photo_alone(
    model: TrainedModel, files: list[Path], expected: dict[str, np.ndarray]
) -> None:
    alone = by_name(answers(model, [files[5]]))
    assert worst(alone, {files[5].stem: expected[files[5].stem]}) < ROUNDING


def test_inside_of_zips_tars_and_stores(
    model: TrainedModel,
    photos: Path,
    store: Path,
    expected: dict[str, np.ndarray],
    tmp_path: Path,
) -> None:
    packed = zipped(photos, tmp_path / "photos.zip")
    tars(photos, tmp_path / "tars", count=2)
    for inside in ([packed], sorted((tmp_path / "tars").glob("*.tar")), [store]):
        assert worst(by_name(answers(model, inside, batch_size=16)), expected) == 0


def test_unreadable_photos_are_listed_and_stop_nothing(
    model: TrainedModel, files: list[Path], expected: dict[str, np.ndarray], tmp_path: Path
) -> None:
    for number, file in enumerate(files[:20]):
        shutil.copy(file, tmp_path / f"{number:02d}-{file.name}")
    bad = {
        "03a.jpg": (b"", "empty file"),
        "03b.jpg": (b"<html></html>", "not a photo"),
        "05.jpg": (jpeg()[:500], "truncated"),
        "99.jpg": (b"GIF89a", "not a photo"),
    }
    for name, (data, _) in bad.items():
        (tmp_path / name).write_bytes(data)
    os.mkfifo(tmp_path / "07.jpg")
    outcome = predict(model, tmp_path, PredictOptions(top=6, threads=2, batch_size=16))
    assert outcome.answers is not None
    found = by_name(outcome.answers)
    assert (
        worst(
            {n[3:]: v for n, v in found.items()},
            {file.stem: expected[file.stem] for file in files[:20]},
        )
        == 0
    )
    said = {Path(r.path).name: r.reason for r in outcome.rejected}
    assert said == {n: why for n, (_, why) in bad.items()} | {"07.jpg": "not a regular file"}
    assert [r["path"] for r in outcome.answers.to_pylist()] == sorted(
        r["path"] for r in outcome.answers.to_pylist()
    )


def test_damage_that_only_the_decoder_finds(
    model: TrainedModel, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glr_fast.prediction import photos as module
    from shard_tools.photos import Photo, read_header

    def trusting(data: bytes, options: object) -> Photo:
        header = read_header(data)
        return Photo(data, header.width, header.height) if header else Photo(data, 160, 120)

    monkeypatch.setattr(module, "prepare", trusting)
    (tmp_path / "bad.jpg").write_bytes(b"<html>" * 100)
    shutil.copy(files[0], tmp_path / "good.jpg")
    for backend in ("cpu", "dali"):
        options = PredictOptions(backend=backend, threads=2)
        outcome: Outcome = predict(model, tmp_path, options)
        assert outcome.photos == 1
        assert [(r.path, r.reason) for r in outcome.rejected] == [
            (str(tmp_path / "bad.jpg"), "cannot be decoded")
        ]


def test_answers_that_are_no_numbers_are_not_given(
    model: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    classes = model.card.num_classes
    monkeypatch.setattr(
        TrainedModel, "logits", lambda _, images: torch.full((len(images), classes), torch.nan)
    )
    with pytest.raises(ConfigError, match=r"--precision no: answers to .*a\.jpg.* not finite"):
        predict(model, [tmp_path / "a.jpg"], PredictOptions(threshold=0.5))
