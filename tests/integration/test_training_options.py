"""Moving averages, mixing and growing crops in whole runs: resumed to the bit, and what is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer

from glr_fast import models
from glr_fast.checkpoint import TrainState, checkpoint_folders
from glr_fast.config import Config, DataConfig, MixConfig, RunConfig
from glr_fast.data import Batch
from glr_fast.errors import ConfigError, TrainingError
from glr_fast.run_model import image_sizes, moving_average
from glr_fast.run_start import open_accelerator
from glr_fast.trained_model import load_model
from glr_fast.trainer import Trainer, train
from tests.helpers.runs import read_metrics
from tests.integration.test_train import config, figures, train_until


def with_options(store: Path, out: Path, **parts: Any) -> Config:
    """The run of ``config`` with all of the options on: its crops are 48, 48, 80 and 80 pixels."""
    base = config(store, out)
    return replace(
        base,
        data=replace(base.data, image_size=80, start_image_size=48),
        optim=replace(base.optim, ema=0.9),
        mix=MixConfig(mixup=0.4, cutmix=1.0),
        **parts,
    )


def sizes_seen(trainer: Trainer) -> list[int]:
    """A list that gets the side of the images of each step that the trainer will do."""
    seen: list[int] = []
    step = trainer.train_step

    def spying(batch: Batch) -> None:
        seen.append(batch.images.shape[-1])
        step(batch)

    trainer.train_step = spying  # type: ignore[method-assign]
    return seen


def test_a_resumed_run_with_all_options_equals_the_whole_one(store: Path, tmp_path: Path) -> None:
    wanted = with_options(store, tmp_path / "whole")
    whole = Trainer(wanted, open_accelerator(wanted))
    seen = sizes_seen(whole)
    whole.fit()
    whole.close()
    steps = whole.schedule.steps_per_epoch
    assert seen == [whole.schedule.image_size(step) for step in range(len(seen))]
    assert set(seen[:steps]) == {48}
    assert set(seen[-steps:]) == {80}
    part = replace(wanted, out=tmp_path / "part", resume=True)
    # In the first epoch, and just before and after the crops have grown.
    for stop in (5, 3 * steps - 1, 3 * steps + 3):
        with pytest.raises(KeyboardInterrupt):
            train_until(part, stop)
    done = train(part)
    names = ("train/loss", "train/accuracy", "train/grad_norm")
    assert figures(part.out, *names) == figures(wanted.out, *names)
    assert figures(part.out, "val/loss")[-1] == figures(wanted.out, "val/loss")[-1]
    for kind in ("bare", "answering"):
        expected = getattr(whole.built, kind).state_dict()
        for name, value in getattr(done.built, kind).state_dict().items():
            assert torch.equal(value, expected[name]), (kind, name)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_average_is_what_is_evaluated_kept_and_loaded(
    accumulate: int, store: Path, tmp_path: Path
) -> None:
    base = config(store, tmp_path / "run")
    wanted = replace(base, optim=replace(base.optim, ema=0.5, accumulate_steps=accumulate))
    trainer = Trainer(wanted, open_accelerator(wanted))
    average = {k: v.clone() for k, v in trainer.bare_model.state_dict().items()}
    update = trainer._update
    updates = 0

    def followed() -> None:
        nonlocal updates
        update()
        updates += 1
        # 1 - (1 + (n - 1))^(-3/4), at most 0.5; the first update replaces the starting weights.
        decay = min(0.5, 1 - updates**-0.75)
        for name, value in trainer.bare_model.state_dict().items():
            if value.is_floating_point():
                average[name] = average[name] * decay + value * (1 - decay)
            else:
                average[name] = value.clone()

    trainer._update = followed  # type: ignore[method-assign]
    trainer.fit()
    trainer.close()
    last = checkpoint_folders(wanted.out)[-1]
    trained = safetensors.torch.load_file(last / "trained.safetensors")
    exported = load_model(wanted.out, "last", "cpu").module.state_dict()
    for name, value in average.items():
        torch.testing.assert_close(exported[name], value, rtol=1e-4, atol=1e-6, msg=name)
        assert torch.equal(trained[name], trainer.bare_model.state_dict()[name])
    assert any((exported[name] != value).any() for name, value in trained.items())
    best = load_model(wanted.out, "best", "cpu").module.state_dict()
    lines = [line for line in read_metrics(wanted.out) if "val/macro_f1" in line]
    if max(lines, key=lambda line: line["val/macro_f1"])["step"] == trainer.step:
        assert all(torch.equal(best[name], exported[name]) for name in best)


def test_both_sets_of_weights_have_plain_names(store: Path, tmp_path: Path) -> None:
    base = with_options(store, tmp_path / "run")
    quick = replace(base, run=RunConfig(max_steps=2, eval_every=0), mix=MixConfig())
    train(quick)
    folder = checkpoint_folders(quick.out)[-1]
    names = safetensors.torch.load_file(folder / "model.safetensors").keys()
    assert names == safetensors.torch.load_file(folder / "trained.safetensors").keys()
    assert not [name for name in names if name.startswith(("module.", "_orig_mod."))]


def test_another_decay_cannot_continue_a_run(store: Path, tmp_path: Path) -> None:
    base = with_options(store, tmp_path / "run")
    train(replace(base, run=RunConfig(max_steps=2, eval_every=0)))
    for decay in (None, 0.99):
        other = replace(base, optim=replace(base.optim, ema=decay), resume=True)
        with pytest.raises(ConfigError, match=r"--optim\.ema was 0\.9"):
            train(other)


def test_the_average_leaves_the_noise_of_the_beginning_within_a_few_updates() -> None:
    """With 0.9999 throughout, 99.9% of them would be left after ten updates."""
    model = torch.nn.Linear(2, 2)
    average = moving_average(model, 0.9999)
    assert average is not None
    left = []
    for update in range(1, 31):
        for parameter in model.parameters():
            torch.nn.init.constant_(parameter, float(update > 1))  # noise, then what is learnt
        average.update(model, update)
        left.append(1 - min(p.detach().min().item() for p in average.module.parameters()))
    assert left[0] == 1
    assert left[10] < 0.1
    assert left[29] < 0.01


def test_no_average_without_a_decay() -> None:
    assert moving_average(torch.nn.Linear(2, 2), None) is None


def fit_until_it_fails(trainer: Trainer, part: Any, method: str, error: Exception) -> None:
    """Train with a part of the trainer of which a method raises."""

    def fails(*_: Any) -> None:
        raise error

    setattr(part, method, fails)
    with pytest.raises(type(error), match=str(error)):
        trainer.fit()
    trainer.close()


def test_an_evaluation_that_fails_loses_no_step(store: Path, tmp_path: Path) -> None:
    """Saves are due once, at the end; the evaluation after two epochs finds no photos."""
    base = config(store, tmp_path / "run")
    wanted = replace(base, run=RunConfig(eval_every=2, save_every=0))
    trainer = Trainer(wanted, open_accelerator(wanted))
    fit_until_it_fails(trainer, trainer, "evaluate", OSError("val-000000.tar: I/O error"))
    step = 2 * trainer.schedule.steps_per_epoch
    assert [path.name for path in checkpoint_folders(wanted.out)] == [f"step-{step:08d}"]
    done = train(replace(wanted, resume=True))
    assert done.step == done.schedule.last
    assert figures(wanted.out, "val/loss")[0][0] == step  # the one that is owed comes first


def test_what_an_evaluation_could_not_write_is_not_the_best(store: Path, tmp_path: Path) -> None:
    """The disk fails once, when the best weights are to be written, and not when all is saved."""
    base = config(store, tmp_path / "run")
    wanted = replace(base, run=RunConfig(eval_every=2, save_every=0))
    trainer = Trainer(wanted, open_accelerator(wanted))
    fit_until_it_fails(trainer, trainer.writer, "evaluated", TrainingError("best: disk full"))
    (folder,) = checkpoint_folders(wanted.out)
    assert TrainState.read(folder).best is None
    assert not (wanted.out / "best" / "model.safetensors").exists()
    stop = 2 * trainer.schedule.steps_per_epoch
    train(replace(wanted, run=replace(wanted.run, max_steps=stop), resume=True))
    assert (wanted.out / "best" / "model.safetensors").is_file()


def test_an_update_that_fp16_skips_leaves_the_average(store: Path, tmp_path: Path) -> None:
    base = with_options(store, tmp_path / "run", run=RunConfig(eval_every=0, save_every=0))
    trainer = Trainer(base, open_accelerator(base))
    batches = trainer.loader.stream()

    def after_an_update() -> list[torch.Tensor]:
        for _ in range(base.optim.accumulate_steps):
            trainer.train_step(next(batches))
        return [value.clone() for value in trainer.built.answering.state_dict().values()]

    def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
        return all(map(torch.equal, one, other))

    first = after_an_update()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AcceleratedOptimizer, "step_was_skipped", True)
        skipped = after_an_update()
    done = after_an_update()
    trainer.close()
    assert same(first, skipped)
    assert not same(skipped, done)


def test_nothing_is_read_back_with_the_options_on(store: Path, tmp_path: Path) -> None:
    quiet = replace(
        with_options(store, tmp_path / "run"),
        run=RunConfig(log_every=99, eval_every=0, save_every=0),
    )
    trainer = Trainer(quiet, Accelerator())
    batches = trainer.loader.stream()
    trainer.train_step(next(batches))
    batch = next(batches)

    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("a value is read back: the host waits for the device")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("item", "tolist", "__float__", "__bool__"):
            patch.setattr(torch.Tensor, name, refused)
        trainer.train_step(batch)
    trainer.close()


def test_a_size_that_the_model_cannot_take_is_said_at_once(store: Path, tmp_path: Path) -> None:
    wanted = config(store, tmp_path / "run")
    wanted = replace(
        wanted,
        model=replace(wanted.model, name="test_vit", freeze_epochs=0),
        data=DataConfig(store=store, batch_size=8, image_size=160, start_image_size=100, threads=1),
    )
    with pytest.raises(ConfigError, match=r"--data\.start-image-size 100: test_vit cannot"):
        train(wanted)
    assert not (wanted.out / "config.json").exists()


def test_a_size_on_the_way_that_the_model_cannot_take_is_said_too(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Crops grow from 48 to 112 through 80, which no flag names."""
    base = config(store, tmp_path / "run")
    wanted = replace(base, data=replace(base.data, image_size=112, start_image_size=48))
    place = models.place

    def picky(model: torch.nn.Module, device: torch.device) -> torch.nn.Module:
        def check(_: torch.nn.Module, images: tuple[torch.Tensor]) -> None:
            assert images[0].shape[-1] != 80, "80 is no multiple of 16 and 7"

        placed = place(model, device)
        placed.register_forward_pre_hook(check)
        return placed

    monkeypatch.setattr(models, "place", picky)
    said = r"--data\.start-image-size 48, crops of 80: test_resnet cannot .*\(80 is no"
    with pytest.raises(ConfigError, match=said):
        train(wanted)
    assert not (wanted.out / "config.json").exists()
    short = replace(wanted, optim=replace(wanted.optim, epochs=2))
    assert image_sizes(short) == [
        ("--data.image-size", 112),
        ("--data.eval-image-size", 112),
        ("--data.start-image-size", 48),
    ]
