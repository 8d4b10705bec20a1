"""Several batches to an update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from glr_fast.run_start import open_accelerator
from glr_fast.trainer import Trainer
from tests.integration.test_train import config


def test_the_same_batch_twice_makes_the_update_of_once(store: Path, tmp_path: Path) -> None:
    """Accumulated gradients are those of the mean over the batches: the rate need not change."""
    found = []
    for accumulate in (1, 2):
        base = config(store, tmp_path / f"run-{accumulate}")
        wanted = replace(
            base,
            model=replace(base.model, freeze_epochs=0, dropout=0.0),
            optim=replace(base.optim, accumulate_steps=accumulate, clip_norm=None),
        )
        trainer = Trainer(wanted, open_accelerator(wanted))
        update = trainer._update

        def kept(trainer: Trainer = trainer, update: Callable[[], None] = update) -> None:
            found.append([p.grad.clone() for p in trainer.model.parameters() if p.grad is not None])
            update()

        trainer._update = kept  # type: ignore[method-assign]
        batch = next(trainer.loader.stream())
        for _ in range(accumulate):
            trainer.train_step(batch)
        trainer.close()
    once, twice = found
    assert len(once) == len(list(trainer.model.parameters()))
    for one, two in zip(once, twice, strict=True):
        torch.testing.assert_close(one, two)
