"""Fine-tune a landmark recognizer on a store (``glr-train``, ``launch/train.py``)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from glr_fast.command_exit import run_command
from glr_fast.command_line import DEFAULT_RECIPE, parse_train
from glr_fast.recipes import RECIPES


def main() -> None:
    """Run the command and end the process."""
    run_command(_train)


def _train() -> None:
    arguments = [item for item in sys.argv[1:] if item != "--json"]
    config = parse_train(arguments)

    from glr_fast.early_checks import check_training

    check_training(config, arguments)
    _say_what_is_taken(arguments)

    from glr_fast.trainer import train

    trainer = train(config)
    if "--json" in sys.argv[1:] and trainer.accelerator.is_main_process:
        print(json.dumps(trainer.summary()))


def _say_what_is_taken(arguments: Sequence[str]) -> None:
    """Nobody should train another model than they think."""
    named = {item.partition("=")[0] for item in arguments}
    if not named & {"--recipe", "--config", "--resume"} and os.environ.get("RANK", "0") == "0":
        print(
            f"no --recipe: taking {DEFAULT_RECIPE}; there are {', '.join(RECIPES)} (--help)",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
