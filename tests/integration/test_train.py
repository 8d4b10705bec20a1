"""From a store to a trained and evaluated model: train, kill, resume, evaluate; and bad input."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from accelerate import Accelerator

from glr_fast.checkpoint import checkpoint_folders
from glr_fast.config import Config, DataConfig, LossConfig, ModelConfig, OptimConfig, RunConfig
from glr_fast.data import Batch, Store, StoreError
from glr_fast.errors import ConfigError, TrainingError
from glr_fast.evaluate_options import EvaluateOptions
from glr_fast.evaluation import evaluate
from glr_fast.run_start import open_accelerator
from glr_fast.trainer import Trainer, train
from tests.helpers.runs import read_metrics

REPOSITORY = Path(__file__).resolve().parents[2]


def config(store: Path, out: Path, **parts: Any) -> Config:
    """A run of seconds: 4 epochs of a tiny model, every thing that depends on the step in use."""
    base = Config(
        data=DataConfig(store=store, batch_size=8, image_size=48, threads=1),
        model=ModelConfig(name="test_resnet", pretrained=False, dropout=0.3, freeze_epochs=1),
        loss=LossConfig(name="ldam", reweight_from=0.5),
        optim=OptimConfig(epochs=4, lr=0.01, backbone_lr_scale=1.0, accumulate_steps=2),
        run=RunConfig(log_every=3, eval_every=2, save_every=0.5),
        out=out,
        tracker="none",
    )
    return replace(base, **parts)


def figures(run: Path, *names: str) -> list[tuple[Any, ...]]:
    """(step, value, ...) of every logged line that has these figures."""
    lines = read_metrics(run)
    return [(line["step"], *(line[n] for n in names)) for line in lines if names[0] in line]


def train_until(wanted: Config, stop: int) -> None:
    """Train, and be interrupted before step ``stop``."""
    trainer = Trainer(wanted, open_accelerator(wanted))
    step = trainer.train_step

    def interrupted(batch: Batch) -> None:
        if trainer.step == stop:
            raise KeyboardInterrupt
        step(batch)

    trainer.train_step = interrupted  # type: ignore[method-assign]
    try:
        trainer.fit()
    finally:
        trainer.close()


@pytest.fixture(scope="module")
def whole(store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, dict[str, Any]]:
    """A run that was never stopped, and its final weights."""
    wanted = config(store, tmp_path_factory.mktemp("whole") / "run")
    done = train(wanted)
    return wanted, {k: v.clone() for k, v in done.bare_model.state_dict().items()}


def test_a_resumed_run_equals_the_whole_one_to_the_bit(
    whole: tuple[Config, dict[str, Any]], tmp_path: Path
) -> None:
    wanted, weights = whole
    part = replace(wanted, out=tmp_path / "run")
    # Stops in the frozen phase, in mid-epoch and between two log lines, after the re-weighting has
    # begun. What came after the last checkpoint is forgotten and done again.
    for stop, checkpoint in ((5, 4), (11, 8), (19, 16)):
        with pytest.raises(KeyboardInterrupt):
            train_until(replace(part, resume=True), stop)
        assert checkpoint_folders(part.out)[-1].name == f"step-{checkpoint:08d}"
    done = train(replace(part, resume=True))
    names = ("train/loss", "train/accuracy", "train/lr", "train/grad_norm")
    resumed, expected = figures(part.out, *names), figures(wanted.out, *names)
    assert expected
    assert resumed == expected
    assert figures(part.out, "val/loss")[-1] == figures(wanted.out, "val/loss")[-1]
    for name, value in done.bare_model.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_evaluation_writes_table_and_figures(
    whole: tuple[Config, dict[str, Any]], tmp_path: Path
) -> None:
    wanted, _ = whole
    store = Store.open(wanted.data.store)
    options = EvaluateOptions(
        run=wanted.out, store=store.path, split="val,test", batch_size=4, out=tmp_path
    )
    result = evaluate(options)
    table = pq.read_table(tmp_path / "predictions.parquet")
    samples = store.samples(["key", "label", "split"]).to_pydict()
    expected = {
        k: (label, split)
        for k, label, split in zip(*samples.values(), strict=True)
        if split != "train"
    }
    seen = table.to_pydict()
    got = dict(zip(seen["key"], zip(seen["label"], seen["split"], strict=True), strict=True))
    assert len(table) == len(expected)
    assert got == expected
    probabilities = np.array(seen["top_probabilities"])
    assert probabilities.shape == (len(table), 5)
    assert (np.diff(probabilities, axis=1) <= 0).all()
    assert (probabilities.sum(1) <= 1 + 1e-5).all()
    top = np.array(seen["top_labels"])
    assert result["accuracy"] == pytest.approx((top[:, 0] == np.array(seen["label"])).mean())
    assert json.loads((tmp_path / "metrics.json").read_text()) == result
    assert (tmp_path / "confusion.png").is_file()
    assert (tmp_path / "per_class.csv").is_file()


def test_evaluation_of_the_best_weights_repeats_the_validation(
    whole: tuple[Config, dict[str, Any]], tmp_path: Path
) -> None:
    wanted, _ = whole
    during = {line[0]: line[1:] for line in figures(wanted.out, "val/macro_f1", "val/loss")}
    best = evaluate(
        EvaluateOptions(run=wanted.out, store=wanted.data.store, split="val", out=tmp_path / "b")
    )
    assert best["macro_f1"] == max(f1 for f1, _ in during.values())
    assert during[int(best["trained"]["step"])] == (best["macro_f1"], pytest.approx(best["loss"]))
    last = evaluate(
        EvaluateOptions(
            run=wanted.out,
            store=wanted.data.store,
            split="val",
            checkpoint="last",
            out=tmp_path / "l",
        )
    )
    assert during[max(during)] == (last["macro_f1"], pytest.approx(last["loss"]))


def test_only_the_last_checkpoints_are_kept(whole: tuple[Config, dict[str, Any]]) -> None:
    names = [folder.name for folder in checkpoint_folders(whole[0].out)]
    assert len(names) == 2
    assert not list((whole[0].out / "checkpoints").glob(".*"))


def test_a_folder_in_use_needs_resume(whole: tuple[Config, dict[str, Any]]) -> None:
    with pytest.raises(ConfigError, match="already holds a run; continue it with --resume"):
        train(whole[0])


def test_resume_refuses_another_run(
    whole: tuple[Config, dict[str, Any]], photos: Path, tmp_path: Path
) -> None:
    wanted = replace(whole[0], resume=True)
    with pytest.raises(ConfigError, match=r"--seed was 0 and is 1"):
        train(replace(wanted, seed=1))
    with pytest.raises(ConfigError, match=r"--model\.name was test_resnet and is test_vit"):
        train(replace(wanted, model=replace(wanted.model, name="test_vit")))
    from shard_tools.build.builder import build_store
    from shard_tools.build.options import BuildOptions

    for name, options in {"seed": {"seed": 9}, "classes": {"top_classes": 5}}.items():
        out = tmp_path / name
        build_store(BuildOptions(source=photos, out=out, **options), workers=1)  # type: ignore[arg-type]
        said = "has 6 classes" if name == "classes" else "another store"
        with pytest.raises(ConfigError, match=said):
            train(replace(wanted, data=replace(wanted.data, store=out)))


def test_a_finished_run_resumes_into_nothing(whole: tuple[Config, dict[str, Any]]) -> None:
    before = read_metrics(whole[0].out)
    train(replace(whole[0], resume=True))
    assert read_metrics(whole[0].out) == before


def test_bad_input_is_refused_before_anything_is_written(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    base = config(store, out)
    size = replace(base.data, image_size=100)
    with pytest.raises(ConfigError, match=r"--data\.image-size 100: test_vit cannot take images"):
        train(replace(base, data=size, model=ModelConfig(name="test_vit", pretrained=False)))
    (tmp_path / "file").write_text("")
    for place, said in (("file", "not a folder"), ("file/run", "cannot be written to")):
        with pytest.raises(ConfigError, match=f"--out .*{place}.*{said}"):
            train(replace(base, out=tmp_path / place))
    with pytest.raises(StoreError, match="no such store"):
        train(replace(base, data=replace(base.data, store=tmp_path / "none")))
    with pytest.raises(StoreError, match="unknown sampling policy"):
        train(replace(base, data=replace(base.data, policy="fair")))
    with pytest.raises(ConfigError, match="--tracker paper: unknown; there are none"):
        train(replace(base, tracker="paper"))
    with pytest.raises(ConfigError, match="no such run folder"):
        evaluate(EvaluateOptions(run=out, store=store))
    assert not out.exists()


def test_a_batch_larger_than_the_split_is_lowered(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = config(store, tmp_path / "run", run=RunConfig(max_steps=2, eval_every=0))
    done = train(replace(base, data=replace(base.data, batch_size=4000)))
    photos = len(Store.open(store).split_rows("train"))
    assert done.config.data.batch_size == photos
    said = f"--data.batch-size 4000 is larger than the training split ({photos} photos): taking"
    assert said in capsys.readouterr().err


def test_a_loss_that_is_not_finite_stops_the_run(store: Path, tmp_path: Path) -> None:
    base = config(store, tmp_path / "run")
    wild = replace(
        base,
        optim=replace(base.optim, lr=1e30, name="sgd", clip_norm=None, warmup_epochs=0),
        model=replace(base.model, freeze_epochs=0),
    )
    with pytest.raises(TrainingError, match=r"not finite .* lower --optim\.lr"):
        train(wild)


def test_training_learns(store: Path, tmp_path: Path) -> None:
    """The training loss of a few photos falls well below that of guessing."""
    base = config(store, tmp_path / "run")
    easy = replace(
        base,
        loss=LossConfig(),
        model=ModelConfig(name="test_resnet", pretrained=False),
        optim=OptimConfig(epochs=12, lr=0.01, backbone_lr_scale=1.0),
        run=RunConfig(log_every=6, eval_every=0, save_every=0),
    )
    train(easy)
    losses = [value for _, value in figures(easy.out, "train/loss")]
    assert losses[-1] < 0.7 * losses[0]
    assert (easy.out / "best" / "model.safetensors").is_file()


def test_nothing_is_read_back_between_log_lines(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every read of a value stops the host until the device has caught up."""
    quiet = replace(
        config(store, tmp_path / "run"), run=RunConfig(log_every=99, eval_every=0, save_every=0)
    )
    trainer = Trainer(quiet, Accelerator())
    reads: list[str] = []

    def spy(name: str) -> Any:
        original = getattr(torch.Tensor, name)

        def call(self: torch.Tensor, *arguments: Any, **options: Any) -> Any:
            frame = sys._getframe(1)
            place = frame.f_code.co_filename
            # Decoders fill arrays in the host's memory: those are no device's.
            if "glr_fast" in place and "glr_fast/data/backends" not in place:
                reads.append(f"{name} in {frame.f_code.co_name}")
            return original(self, *arguments, **options)

        return call

    for name in ("item", "tolist", "cpu", "numpy", "__float__", "__int__", "__bool__"):
        monkeypatch.setattr(torch.Tensor, name, spy(name))
    batches = trainer.loader.stream()
    for _ in range(4):
        trainer.train_step(next(batches))
    monkeypatch.undo()
    trainer.close()
    assert reads == []
