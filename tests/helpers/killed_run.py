"""Trains like launch/train.py, and kills itself (SIGKILL) before a step or inside a write.

python -m tests.helpers.killed_run WHEN FLAGS: WHEN is a step, or ``write:N`` for the Nth write.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from glr_fast.command_exit import run_command
from glr_fast.command_line import parse_train


def main() -> None:
    when, *flags = sys.argv[1:]
    config = parse_train(flags)

    from glr_fast import checkpoint_writer
    from glr_fast.data import Batch
    from glr_fast.trainer import Trainer, train

    step_of_trainer, digest = Trainer.train_step, checkpoint_writer.digest_of_file
    files = 0

    def train_step(self: Trainer, batch: Batch) -> None:
        if when == str(self.step):
            os.kill(os.getpid(), signal.SIGKILL)
        step_of_trainer(self, batch)

    def digest_of_file(file: Path) -> str:
        nonlocal files
        files += 1
        if when == f"write:{files}":  # in the middle of a checkpoint's files
            file.write_bytes(file.read_bytes()[:100])
            os.kill(os.getpid(), signal.SIGKILL)
        return digest(file)

    spied: Any = Trainer
    spied.train_step = train_step
    checkpoint_writer.digest_of_file = digest_of_file
    train(config)


if __name__ == "__main__":
    run_command(main)
