"""Signals, full disks, NaN, changed options, failed starts: what is kept, what a user is told.

This file is long because its tests share one whole run, with which they compare theirs.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState

from glr_fast import trainer as trainer_module
from glr_fast.checkpoint import checkpoint_folders, load_weights, newest_checkpoint
from glr_fast.config import Config, RunConfig
from glr_fast.data import Batch
from glr_fast.errors import ConfigError, TrainingError
from glr_fast.run_lock import RunLock
from glr_fast.run_start import open_accelerator
from glr_fast.stop_signals import StopSignals
from glr_fast.trained_model import load_model
from glr_fast.trainer import Trainer, train
from tests.helpers.full_disk import no_file_over
from tests.helpers.runs import assert_same_checkpoint, read_metrics
from tests.integration.test_train import config, figures


@pytest.fixture
def short(store: Path, tmp_path: Path) -> Config:
    """Two epochs, evaluated once and saved four times."""
    base = config(store, tmp_path / "run")
    return replace(base, optim=replace(base.optim, epochs=2))


@pytest.fixture(scope="module")
def whole(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """The same run, never stopped."""
    base = config(store, tmp_path_factory.mktemp("whole") / "run")
    return train(replace(base, optim=replace(base.optim, epochs=2)))


@pytest.fixture
def fresh_accelerator() -> Iterator[None]:
    """Accelerate keeps its state from one Accelerator to the next."""
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


def assert_same(run: Path, whole: Trainer) -> None:
    """The last checkpoint and the figures are those of the whole run, to the bit."""
    expected = whole.config.out
    for name in ("train/loss", "val/loss"):
        assert figures(run, name) == figures(expected, name)
    last, other = newest_checkpoint(run), newest_checkpoint(expected)
    assert last
    assert other
    assert_same_checkpoint(last, other)


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, act: Any) -> None:
    """Do something before a step of any trainer."""
    original = Trainer.train_step

    def spy(self: Trainer, batch: Batch) -> None:
        if self.step == step:
            act()
        original(self, batch)

    monkeypatch.setattr(Trainer, "train_step", spy)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_at_the_end_of_the_update(
    short: Config,
    whole: Trainer,
    number: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        at_step(patch, 6, lambda: os.kill(os.getpid(), number))
        stopped = train(short)
    assert stopped.step == 8  # two batches an update; a checkpoint is due after every fourth
    said = f"stopped by {number.name} at step 8, with a checkpoint in {short.out}"
    assert said in capsys.readouterr().err
    assert signal.getsignal(number) == before
    train(replace(short, resume=True))
    assert_same(short.out, whole)


def test_a_signal_ends_an_evaluation_which_is_then_made_again(
    short: Config, whole: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module, "predict", predict)
        start = time.monotonic()
        stopped = train(short)
    assert time.monotonic() - start < 50
    assert stopped.step == whole.step
    assert not figures(short.out, "val/loss")
    train(replace(short, resume=True))
    assert_same(short.out, whole)
    assert load_model(short.out).note == load_model(whole.config.out).note


def test_an_evaluation_that_fails_costs_no_epoch(
    short: Config, whole: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict(*_: Any, **__: Any) -> None:
        raise RuntimeError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module, "predict", predict)
        with pytest.raises(RuntimeError, match="a defect"):
            train(short)
    assert checkpoint_folders(short.out)[-1].name == f"step-{whole.step:08d}"
    train(replace(short, resume=True))
    assert_same(short.out, whole)


def test_a_damaged_checkpoint_costs_only_its_steps(
    short: Config, whole: Trainer, capsys: pytest.CaptureFixture[str]
) -> None:
    train(replace(short, run=replace(short.run, max_steps=8)))
    file = short.out / "checkpoints" / "step-00000008" / "optimizer.bin"
    file.write_bytes(file.read_bytes()[:-1])
    train(replace(short, resume=True))
    said = capsys.readouterr().err
    assert f"warning: {file}: has " in said
    assert "continuing from step-00000004, the checkpoint before" in said
    assert_same(short.out, whole)


def test_nan_is_never_the_best_nor_saved_nor_written_as_nan(short: Config) -> None:
    trainer = Trainer(short, open_accelerator(short))
    batches = trainer.loader.stream()
    trainer.train_step(next(batches))
    trainer.train_step(next(batches))
    with torch.no_grad():
        next(trainer.bare_model.parameters()).fill_(torch.nan)
    with StopSignals() as stop:
        trainer.evaluate(stop)
    assert trainer.best is None
    trainer.save()
    with pytest.raises(TrainingError, match="is not finite at step 2"):
        trainer.writer.wait()
    trainer.close(failed=True)
    assert not (short.out / "best").exists()
    assert not checkpoint_folders(short.out)
    text = (short.out / "metrics.jsonl").read_text()
    lines = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    assert lines[-1]["val/loss"] is None


def test_a_full_disk_is_one_line_and_the_last_checkpoint_is_whole(short: Config) -> None:
    """It is full when a checkpoint is there."""
    train(replace(short, run=replace(short.run, max_steps=4)))
    said = r"cannot be written \(.*step-00000004, is whole; make room"
    with no_file_over(100_000), pytest.raises(TrainingError, match=said):
        train(replace(short, resume=True))
    assert [path.name for path in (short.out / "checkpoints").iterdir()] == ["step-00000004"]
    train(replace(short, resume=True))


def test_a_run_in_progress_is_left_alone(short: Config) -> None:
    lock = RunLock(short.out)
    lock.take()
    for resume in (False, True):
        with pytest.raises(ConfigError, match=f"process {os.getpid()} on .* is training there"):
            train(replace(short, resume=resume))
    lock.release()
    assert not short.out.exists()


def test_a_start_that_failed_does_not_block_the_next(
    short: Config, whole: Trainer, capsys: pytest.CaptureFixture[str]
) -> None:
    class OutOfMemoryError(Exception):
        pass

    def fail() -> None:
        raise OutOfMemoryError

    with pytest.MonkeyPatch.context() as patch:
        at_step(patch, 3, fail)
        with pytest.raises(OutOfMemoryError):
            train(short)
    assert read_metrics(short.out) == []
    train(short)
    assert "an earlier start has left no checkpoint" in capsys.readouterr().err
    assert_same(short.out, whole)


def test_what_decides_no_weight_may_change_on_resume(short: Config, tmp_path: Path) -> None:
    train(replace(short, run=replace(short.run, max_steps=4)))
    data = replace(short.data, max_bad_samples=7, cache=tmp_path, cache_gib=1.0, threads=2)
    run = RunConfig(log_every=1, eval_every=1, monitor="accuracy", max_steps=8)
    resumed = train(replace(short, data=data, run=run, resume=True))
    assert resumed.step == 8
    said = r"--optim\.lr was 0\.01 and is 0\.005.*from its weights: --init-from .*run and another"
    with pytest.raises(ConfigError, match=said):
        train(replace(short, optim=replace(short.optim, lr=0.005), resume=True))
    with pytest.raises(ConfigError, match=r"--optim\.epochs was 2 and is 3.*--init-from"):
        train(replace(short, optim=replace(short.optim, epochs=3), resume=True))


@pytest.mark.parametrize("second", [0.6, 0.4])
def test_another_monitor_on_resume_compares_like_with_like(
    second: float, short: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accuracy and macro F1 are both kept of the best weights."""
    figures = [{"accuracy": 0.5, "macro_f1": 0.9}, {"accuracy": second, "macro_f1": 0.1}]
    best, values = figures[second > 0.5], iter(figures)
    original = trainer_module.figures_of
    monkeypatch.setattr(trainer_module, "figures_of", lambda *a: original(*a) | next(values))
    every = replace(short, run=replace(short.run, eval_every=1, save_every=1))
    train(replace(every, run=replace(every.run, max_steps=6)))
    other = replace(every, run=replace(every.run, monitor="accuracy"), resume=True)
    assert train(other).best == best
    assert load_model(short.out).note["accuracy"] == str(best["accuracy"])


def test_the_first_line_after_a_resume_counts_its_own_photos(
    short: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images/s of this process: photos that an earlier one had seen are not of its seconds."""
    slow = replace(short, run=RunConfig(log_every=99, eval_every=0, save_every=0))
    with monkeypatch.context() as patch:
        at_step(patch, 3, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert train(slow).step == 4
    resumed = replace(slow, resume=True)
    trainer = Trainer(resumed, open_accelerator(resumed))
    batches = trainer.loader.stream(trainer.step)
    for _ in range(2):
        trainer.train_step(next(batches))
    monkeypatch.setattr(trainer.timer, "read", lambda: (1.0, {}))
    trainer.log()
    trainer.close()
    line = read_metrics(short.out)[-1]
    assert line["throughput(images/s)"] == 16
    assert line["train/lr"] == trainer.schedule.lr(5)


def test_a_new_run_begins_with_the_weights_of_another(
    short: Config, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other classes, another image size: the backbone, and the rows of the classes both know."""
    from shard_tools.build.builder import build_store
    from shard_tools.build.options import BuildOptions

    one = replace(short, loss=replace(short.loss, name="ce"))
    train(replace(one, run=replace(one.run, max_steps=4)))
    fewer = tmp_path / "fewer"
    build_store(BuildOptions(source=photos, out=fewer, top_classes=4), workers=1)
    given = load_model(short.out, "last")
    wanted = replace(
        one,
        out=tmp_path / "second",
        data=replace(one.data, store=fewer, image_size=64),
        init_from=short.out / "checkpoints" / "step-00000004",
    )
    trainer = Trainer(wanted, open_accelerator(wanted))
    trainer.close()
    assert "its backbone, and the head's rows of 4 of 4 classes" in capsys.readouterr().err
    weights, old = trainer.bare_model.state_dict(), given.module.state_dict()
    ids = trainer.store.classes()["landmark_id"].to_pylist()
    assert ids != given.landmark_ids[:4] or len(ids) < len(given.landmark_ids)
    for row, landmark in enumerate(ids):
        place = given.landmark_ids.index(landmark)
        assert torch.equal(weights["fc.weight"][row], old["fc.weight"][place])
    for key in weights.keys() - {"fc.weight", "fc.bias"}:
        assert torch.equal(weights[key], old[key]), key
    other = replace(wanted, model=replace(wanted.model, name="test_vit"), out=tmp_path / "third")
    with pytest.raises(ConfigError, match="a test_resnet, not a test_vit"):
        train(replace(other, data=replace(other.data, image_size=160)))
    assert not (tmp_path / "third").exists()


@pytest.mark.usefixtures("fresh_accelerator")
def test_a_compiled_model_is_saved_under_its_own_names(
    short: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "EAGER")
    trainer = train(replace(short, run=replace(short.run, max_steps=4, eval_every=0.5)))
    assert trainer.model is not trainer.bare_model
    for folder in (short.out / "best", checkpoint_folders(short.out)[-1]):
        assert load_weights(folder)[0].keys() == trainer.card.build().state_dict().keys()
    load_model(short.out)
    assert train(replace(short, run=replace(short.run, max_steps=8), resume=True)).step == 8


@pytest.mark.usefixtures("fresh_accelerator")
def test_fp16_without_a_gpu_is_refused(short: Config) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigError, match="--precision fp16 needs a GPU"):
        train(replace(short, precision="fp16"))
    assert not short.out.exists()


def test_what_a_run_leaves(whole: Trainer) -> None:
    run = whole.config.out
    text = (run / "environment.txt").read_text()
    for fact in ("commit: ", "torch: ", "machine: ", "command: ", "python: "):
        assert f"\n{fact}" in f"\n{text}"
    assert (run / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
    assert not (run / "run.lock").exists()


def test_best_weights_survive_a_run_whose_checkpoints_are_gone(
    short: Config, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    every = replace(short, run=replace(short.run, eval_every=1, save_every=4))
    original = trainer_module.figures_of
    good = {"accuracy": 0.9, "macro_f1": 0.9}
    monkeypatch.setattr(trainer_module, "figures_of", lambda *a: original(*a) | good)
    train(every)
    note = load_model(short.out).note
    shutil.rmtree(short.out / "checkpoints")
    poor = {"accuracy": 0.1, "macro_f1": 0.1}
    monkeypatch.setattr(trainer_module, "figures_of", lambda *a: original(*a) | poor)
    train(replace(every, resume=True))
    assert "no checkpoint to continue from; starting from the beginning, and best/ stays" in (
        capsys.readouterr().err
    )
    assert load_model(short.out).note == note


def test_resume_says_that_it_begins_a_run(
    short: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands of a cluster are repeated as they stand; a typo must not go unseen."""
    first = replace(short, run=replace(short.run, max_steps=2), resume=True)
    train(first)
    said = "warning: --resume: {} is no run to continue, a new one begins"
    assert f"{said.format(short.out)}\n" in capsys.readouterr().err
    train(replace(first, out=short.out.with_name("typo")))
    typo = said.format(short.out.with_name("typo"))
    assert f"{typo}; there is {short.out}\n" in capsys.readouterr().err
    train(first)
    assert "no run to continue" not in capsys.readouterr().err


def test_resume_does_not_take_a_folder_that_holds_no_run(short: Config) -> None:
    short.out.mkdir()
    (short.out / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty, and holds no run to continue"):
        train(replace(short, resume=True))
    assert [path.name for path in short.out.iterdir()] == ["notes.txt"]


def test_too_little_gpu_memory_is_one_line(short: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    at_step(monkeypatch, 3, fail)
    with pytest.raises(
        TrainingError, match=r"not enough memory; give a smaller --data\.batch-size"
    ):
        train(short)


def test_another_index_is_another_run(store: Path, short: Config, tmp_path: Path) -> None:
    from shard_tools.sampling import IndexOptions, write_index

    own = Path(shutil.copytree(store, tmp_path / "store"))
    write_index(own, IndexOptions("balanced", 2, 0, "even"))
    data = replace(short.data, store=own, index="even")
    begun = replace(short, data=data, run=replace(short.run, max_steps=4))
    train(begun)
    shutil.rmtree(own / "index" / "even")
    write_index(own, IndexOptions("balanced", 2, 1, "even"))
    with pytest.raises(ConfigError, match="other shards, or another index"):
        train(replace(begun, run=short.run, resume=True))
