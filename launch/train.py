"""Fine-tune a landmark recognizer on a store.

    accelerate launch launch/train.py --recipe resnet50_ce --data.store STORE --out runs/a

Also: ``python launch/train.py ...`` for one process, ``--config_file launch/accelerate/*.yaml``
for one GPU, several GPUs or two CPU processes. ``--help`` lists every option; the recipes are in
glr_fast/recipes.py. ``--resume`` continues a stopped run.
"""

import sys

from glr_fast.command_line import parse_train, run_command


def main() -> None:
    """Parse, train."""
    config = parse_train(sys.argv[1:])

    from glr_fast.trainer import train

    train(config)


if __name__ == "__main__":
    run_command(main)
