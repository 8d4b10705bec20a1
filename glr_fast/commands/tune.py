"""Search for hyperparameters (``glr-tune``, ``launch/tune.py``)."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from glr_fast.command_exit import run_command
from glr_fast.command_line import parse_tune


def main() -> None:
    """Run the command and end the process."""
    run_command(_tune)


def _tune() -> None:
    options, config = parse_tune([item for item in sys.argv[1:] if item != "--json"])

    from glr_fast.early_checks import check_store

    check_store(config.data.store, "--data.store")

    from glr_fast.tuning import tune
    from glr_fast.tuning.worker import in_words

    study = tune(options, config)
    if "--json" in sys.argv[1:]:
        found = asdict(study) | {"run": study.run}
        print(json.dumps(found, indent=1, default=str))
        return
    print(
        f"{study.finished} trials finished, {study.pruned} of them pruned, {study.failed} failed"
        + (f"; {study.running} still running in other workers" if study.running else "")
    )
    if study.best is not None:
        print(f"best: trial {study.best}, {study.monitor} {study.value:.4f} on val")
        print(f"  {in_words(study.params)}")
        print(f"  its run: {study.run}; its options: {study.folder / 'best.json'}")
    print(f"charts: {study.folder / 'study.html'}")


if __name__ == "__main__":
    main()
