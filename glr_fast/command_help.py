"""What ``--help`` shows beyond the options: what a command is for, the recipes, examples.

Everything that is shown here is text or comes from the recipes themselves, so that help needs
neither torch nor a store.
"""

from __future__ import annotations

import importlib.metadata
import textwrap
from dataclasses import dataclass

from glr_fast.config import Config, flat
from glr_fast.recipes import RECIPES

WIDTH = 100


@dataclass(frozen=True)
class CommandHelp:
    """The texts of one command."""

    name: str
    """As it is typed, such as ``glr-train``."""
    about: str | None
    """Head of the help; None takes the docstring of the options."""
    examples: tuple[tuple[str, str], ...]
    """Command lines, each with what it does."""
    recipes: bool = False
    """List the recipes."""

    def epilogue(self) -> str:
        """What follows the list of options."""
        parts = [recipe_table()] if self.recipes else []
        parts.append("examples:")
        for line, does in self.examples:
            parts += [f"  # {does}", f"  {line}"]
        return "\n".join(parts)


def recipe_table() -> str:
    """The recipes: what each is, and the flags that it sets."""
    lines = ["recipes (--recipe NAME), and what each sets; flags change more:"]
    for name, recipe in RECIPES.items():
        subject = (recipe.__doc__ or "").partition("\n\n")[0]
        lines.append(f"  {name}: {' '.join(subject.split())}")
        lines += textwrap.wrap(
            " ".join(settings_of(recipe())),
            WIDTH,
            initial_indent="      ",
            subsequent_indent="      ",
            break_on_hyphens=False,
            break_long_words=False,
        )
    return "\n".join(lines)


def settings_of(config: Config) -> list[str]:
    """The flags that make a configuration out of the defaults; the model's name always."""
    default = flat(Config())
    return [
        _flag(name, value)
        for name, value in flat(config).items()
        if value != default[name] or name == "model.name"
    ]


def _flag(name: str, value: object) -> str:
    if not isinstance(value, bool):
        return f"--{name} {value}"
    group, dot, field = name.rpartition(".")
    return f"--{name}" if value else f"--{group}{dot}no-{field}"


def version() -> str:
    """The installed version of glr-fast."""
    try:
        return importlib.metadata.version("glr-fast")
    except importlib.metadata.PackageNotFoundError:
        return "of a clone that is not installed"


TRAIN = CommandHelp(
    name="glr-train",
    about="""Fine-tune a landmark recognizer on a store.

--recipe NAME gives the defaults (without it: resnet50_ce), or --config FILE: the best.json of
glr-tune, or the config.json of a run. --resume alone takes those of the run in --out. What each
recipe sets, and examples, are at the end. Every run writes runs/NAME.""",
    examples=(
        ("glr-train --recipe resnet50_ldam --data.store store", "one GPU, or the CPU"),
        (
            "glr-train --recipe efficientnet_b0_ce --data.image-size 160 --data.batch-size 32 "
            "--model.fix-batch-norm",
            "few photos, or no GPU: smaller images and batches, pretrained statistics kept",
        ),
        ("glr-train --resume --out runs/resnet50_ldam", "go on where a run was stopped"),
    ),
    recipes=True,
)

EVALUATE = CommandHelp(
    name="glr-evaluate",
    about=None,
    examples=(
        ("glr-evaluate", "the newest run in runs/, on the test photos of its store"),
        ("glr-evaluate --run runs/a --split val", "what glr-compare wants"),
        ("glr-evaluate --run best --store other-store", "an export, on another store"),
    ),
)

COMPARE = CommandHelp(
    name="glr-compare",
    about=None,
    examples=(
        ("glr-compare", "all runs in runs/ that were evaluated on val"),
        ("glr-compare runs/a runs/b --out best", "elect one, and write it as an export"),
        ("glr-compare runs/a runs/b --by accuracy --json", "figures for a script"),
    ),
)

PREDICT = CommandHelp(
    name="glr-predict",
    about=None,
    examples=(
        ("glr-predict holiday", "a folder of photos, by the newest run in runs/"),
        ("glr-predict --model best holiday more.zip --gallery page", "a page by landmark"),
        ("glr-predict --model best holiday --out answers.jsonl", "answers for a script"),
        ("glr-predict --model best holiday --sort-into albums", "a folder for each landmark"),
    ),
)

TUNE = CommandHelp(
    name="glr-tune",
    about="""Search for the options that give the best validation figure (--run.monitor).

Takes all options of glr-train as well, --recipe and --config among them, for what is not searched;
glr-train --help lists them.""",
    examples=(
        (
            "glr-tune --recipe resnet50_ldam --data.store store --search optim.lr=log:1e-4:1e-2 "
            "--search loss.name=ce,ldam --trials 20",
            "twenty trials",
        ),
        ("glr-tune --search optim.lr=log:1e-4:1e-2 --trials 8 --optim.epochs 3", "short trials"),
    ),
)

EXPORT = CommandHelp(
    name="glr-export",
    about=None,
    examples=(
        ("glr-export --out best", "the newest run in runs/"),
        ("glr-export --model runs/a --out best --formats onnx,torch-export", "for other programs"),
    ),
)

DOCTOR = CommandHelp(
    name="glr-doctor",
    about=None,
    examples=(
        ("glr-doctor", "what an issue should contain"),
        ("glr-doctor --folder /data --json", "the disk of a store; figures for a script"),
    ),
)

COMMANDS = (TRAIN, EVALUATE, COMPARE, PREDICT, TUNE, EXPORT, DOCTOR)
