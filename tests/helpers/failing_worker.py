"""Trains like launch/train.py, but rank 1 finds broken shards.

That of the photos it evaluates, or that of its third batch, whichever comes first.
"""

import sys

from glr_fast.command_exit import run_command
from glr_fast.command_line import parse_train
from glr_fast.data import Batch, StoreError
from glr_fast.stop_signals import StopSignals
from glr_fast.trainer import Trainer, train

train_step = Trainer.train_step
evaluate = Trainer.evaluate


def failing_step(self: Trainer, batch: Batch) -> None:
    """The step itself, but on rank 1 after two of them."""
    if self.step == 2 and self.accelerator.process_index == 1:
        raise StoreError("store/train-000001.tar: Input/output error")
    train_step(self, batch)


def failing_evaluation(self: Trainer, stop: StopSignals | None = None) -> None:
    """The evaluation itself, but on rank 0 alone."""
    if self.accelerator.process_index == 1:
        raise StoreError("store/val-000000.tar: Input/output error")
    evaluate(self, stop)


def main() -> None:
    """Train with them."""
    Trainer.train_step = failing_step  # type: ignore[method-assign]
    Trainer.evaluate = failing_evaluation  # type: ignore[method-assign]
    train(parse_train(sys.argv[1:]))


if __name__ == "__main__":
    run_command(main)
