"""Trains like launch/train.py and writes what this rank saw to OUT/seen-RANK.json."""

import hashlib
import json
import os
import sys

import torch
import torch.distributed

from glr_fast.command_exit import run_command
from glr_fast.command_line import parse_train
from glr_fast.data import Batch
from glr_fast.run_start import open_accelerator
from glr_fast.trainer import Trainer


def main() -> None:
    config = parse_train(sys.argv[1:])
    trainer = Trainer(config, open_accelerator(config))
    rows: list[list[int]] = []
    step = trainer.train_step

    def spy(batch: Batch) -> None:
        rows.append(batch.rows.tolist())
        step(batch)

    trainer.train_step = spy  # type: ignore[method-assign]
    trainer.fit()
    digest = hashlib.sha256()
    for parameter in trainer.bare_model.parameters():
        digest.update(parameter.detach().contiguous().numpy().tobytes())
    accelerator = trainer.accelerator
    started = torch.distributed.is_initialized()
    seen = {
        "rank": accelerator.process_index,
        "world_size": torch.distributed.get_world_size() if started else 1,
        "backend": torch.distributed.get_backend() if started else None,
        "pid": os.getpid(),
        "rows": rows,
        "weights_sha256": digest.hexdigest(),
    }
    (config.out / f"seen-{accelerator.process_index}.json").write_text(json.dumps(seen))
    trainer.close()


if __name__ == "__main__":
    run_command(main)
