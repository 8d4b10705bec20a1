"""Trains like launch/train.py, but rank 1 finds a broken shard before its third batch."""

import sys

from glr_fast.command_exit import run_command
from glr_fast.command_line import parse_train
from glr_fast.data import Batch, StoreError
from glr_fast.trainer import Trainer, train

train_step = Trainer.train_step


def failing(self: Trainer, batch: Batch) -> None:
    """The step itself, but on rank 1 after two of them."""
    if self.step == 2 and self.accelerator.process_index == 1:
        raise StoreError("store/train-000001.tar: Input/output error")
    train_step(self, batch)


def main() -> None:
    """Train with it."""
    Trainer.train_step = failing  # type: ignore[method-assign]
    train(parse_train(sys.argv[1:]))


if __name__ == "__main__":
    run_command(main)
