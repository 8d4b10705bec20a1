"""The process that trains for one trial: ``python -m glr_fast.tuning.trial_process FLAGS``.

It is ``launch/train.py`` that ends when its worker dies: the worker holds the other end of its
standard input. A process of its own keeps what a trial does to memory, GPU and the state of
libraries away from the next one, and lets a trial die of lack of memory alone.
"""

from __future__ import annotations

import os
import sys
import threading

from glr_fast.command_exit import INTERRUPTED, run_command
from glr_fast.command_line import parse_train


def main() -> None:
    """Train as the flags say, and end the process."""
    threading.Thread(target=_end_with_worker, daemon=True).start()
    run_command(_train)


def _train() -> None:
    config = parse_train(sys.argv[1:])

    from glr_fast.trainer import train

    trainer = train(config)
    if trainer.step < trainer.schedule.last:  # a signal has ended it: the trial goes on later
        sys.exit(INTERRUPTED)


def _end_with_worker() -> None:
    while os.read(sys.stdin.fileno(), 1):  # empty when the other end is closed
        pass
    os._exit(INTERRUPTED)  # at once: checkpoints appear whole or not at all


if __name__ == "__main__":
    main()
