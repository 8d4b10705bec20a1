"""What can be wrong with a command line, found in a fraction of a second, before torch is loaded.

Everything here is checked again where it is used; a store in an object store only there.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from glr_fast.config import Config, flat
from glr_fast.errors import ConfigError
from glr_fast.run_lock import LOCK
from shard_tools.errors import StoreError
from shard_tools.files.remote import is_remote, location
from shard_tools.sampling import parse_policy
from shard_tools.store import Store


def check_training(config: Config, arguments: Sequence[str]) -> None:
    """Check the paths of a training, its sampling policy, and whether its options fit together.

    Args:
        config: what the command line asks for.
        arguments: the command line, for the flags that were given.

    Raises:
        ConfigError: one of them is wrong.
    """
    check_flags(config, arguments)
    data, weights = config.data, config.model.weights
    if weights is not None and not weights.is_file():
        raise ConfigError(f"--model.weights {weights}: no such file")
    try:
        parse_policy(data.policy)
    except StoreError as error:
        raise ConfigError(f"--data.policy: {error}") from None
    check_store(data.store, "--data.store")
    if data.index is not None and not is_remote(location(data.store)):
        folder = data.store / "index"
        if not (folder / data.index).is_dir():
            have = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
            raise ConfigError(
                f"--data.index {data.index}: the store has no such index (it has "
                f"{', '.join(have) or 'none'}); make one with glr-shard index "
                f"{shlex.quote(str(data.store))}"
            )
    # Beside other processes the folder may be theirs: there the main one checks, with torch.
    if not config.resume and os.environ.get("WORLD_SIZE", "1") == "1":
        check_new(config.out)


def check_new(run: Path) -> None:
    """Make sure that a folder can become a new run's: it is empty, or a start has failed there.

    Raises:
        ConfigError: it holds something.
    """
    if run.exists() and not run.is_dir():
        raise ConfigError(f"--out {run}: not a folder")
    if run.is_dir() and {path.name for path in run.iterdir()} - {LOCK}:
        known = (run / "config.json").is_file()
        weights = (run / "best" / "model.safetensors", *run.glob("checkpoints/step-*"))
        if known and not any(path.exists() for path in weights):
            return  # the trainer says so, and starts
        if not known:
            raise ConfigError(f"--out {run} is not empty, and holds no run; give another folder")
        raise ConfigError(
            f"--out {run} already holds a run; continue it with --resume, or give another"
        )


def check_store(
    store: Path | str, flag: str = "--store", instead: Path | str | None = None
) -> None:
    """Make sure that a store of this machine can be opened.

    Args:
        store: its folder; a URL is left alone.
        flag: that names it.
        instead: the store that is taken without the flag, for the message of one that is not there.

    Raises:
        ConfigError: no store there, or one of another version.
    """
    try:
        if not is_remote(location(store)):
            Store.open(store, check=False)
    except (StoreError, OSError) as error:
        advice = ""
        if instead is not None and Path(instead).exists() and not Path(store).exists():
            advice = f"; the run was trained on {instead}, which is taken without {flag}"
        raise ConfigError(f"{flag} {error}{advice}") from None


#: Flag -> whether it has an effect, and what it would take.
NEEDS: dict[str, tuple[Callable[[Config], bool], str]] = {
    "optim.momentum": (lambda c: c.optim.name == "sgd", "it needs --optim.name sgd"),
    "loss.max-margin": (
        lambda c: "ldam" in c.loss.name and c.loss.margin_constant is None,
        "it needs --loss.name ldam, and no --loss.margin-constant",
    ),
    "loss.margin-constant": (lambda c: "ldam" in c.loss.name, "it needs --loss.name ldam"),
    "loss.tau": (
        lambda c: c.loss.name == "logit_adjustment",
        "it needs --loss.name logit_adjustment",
    ),
    "loss.angular-margin": (lambda c: c.loss.name == "arcface", "it needs --loss.name arcface"),
    "model.sub-centers": (lambda c: c.model.head == "subcenter", "it needs --model.head subcenter"),
    "model.float32-head": (lambda c: c.model.head == "linear", "it is for --model.head linear"),
    "loss.reweight-beta": (
        lambda c: c.loss.reweight_from is not None,
        "it needs --loss.reweight-from",
    ),
    "data.cache": (lambda c: is_remote(location(c.data.store)), "it is for a remote store"),
    "data.cache-gib": (lambda c: is_remote(location(c.data.store)), "it is for a remote store"),
    "data.policy": (
        lambda c: c.data.index is None or c.data.policy == "natural",
        "--data.index replaces it; give one of them",
    ),
    "data.start-image-size": (
        lambda c: c.data.start_image_size is None or c.optim.epochs > 1,
        "the last epoch is at the full size, and --optim.epochs 1 has no other",
    ),
    "run.monitor": (lambda c: c.run.eval_every > 0, "--run.eval-every 0 never evaluates"),
}


def check_flags(config: Config, arguments: Sequence[str]) -> None:
    """Make sure that every flag that was given has an effect.

    Raises:
        ConfigError: one has none, with the other options as they are.
    """
    values = flat(config)
    for item in arguments:
        name = item.partition("=")[0].removeprefix("--").replace("_", "-")
        if name in NEEDS and item.startswith("--"):
            has_effect, why = NEEDS[name]
            if not has_effect(config):
                raise ConfigError(f"--{name} {values[name]} would be ignored: {why}")
    model = config.model
    from_noise = not model.pretrained and model.weights is None and config.init_from is None
    if model.fix_batch_norm and from_noise:
        raise ConfigError(
            "--model.fix-batch-norm keeps the statistics of pretrained weights, and "
            "--model.no-pretrained has none; leave out one of them, or give --model.weights FILE"
        )
    if config.data.index is not None and config.data.policy != "natural":
        raise ConfigError(
            f"--data.index {config.data.index} would replace the policy {config.data.policy} of "
            "the recipe; add --data.policy natural, or leave out --data.index"
        )
