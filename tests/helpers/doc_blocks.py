"""The code blocks of README.md and docs/, and typing their commands in this process."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from glr_fast.command_line import parse, parse_train, parse_tune
from glr_fast.commands import compare, doctor, evaluate, export, predict, train, tune
from shard_tools.cli.main import _parser
from shard_tools.cli.main import main as glr_shard
from tests.conftest import REPOSITORY

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: Added to what trains, so that it takes a second: the flags that a page gives come first.
TINY = [
    *("--model.name", "test_resnet", "--model.no-pretrained", "--tracker", "none"),
    *("--data.image-size", "32", "--data.batch-size", "8", "--data.threads", "1"),
    *("--optim.epochs", "1"),
]

MAINS: dict[str, Callable[[], None]] = {
    "glr-train": train.main,
    "glr-evaluate": evaluate.main,
    "glr-compare": compare.main,
    "glr-predict": predict.main,
    "glr-tune": tune.main,
    "glr-export": export.main,
    "glr-doctor": doctor.main,
}
KINDS = {"glr-evaluate": evaluate.EvaluateCommand, "glr-export": export.ExportCommand}
#: The scripts of a clone are the same commands.
SCRIPTS = {f"launch/{name.removeprefix('glr-')}.py": name for name in MAINS if "doctor" not in name}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The command lines of a bash block, without comments."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def pages() -> list[str]:
    """README.md and every page of docs/, by path."""
    found = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    return [str(path.relative_to(REPOSITORY)) for path in found]


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in order."""
    text = (REPOSITORY / page).read_text()
    return [Block(page, language, body) for language, body in FENCE.findall(text)]


def our_words(command: str) -> list[str]:
    """A command of ours as its words, whatever starts it; none if it is another program's."""
    words = shlex.split(command, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    if words[:2] == ["accelerate", "launch"] or words[:1] in (["python"], ["glr-launch"]):
        at = next((i for i, word in enumerate(words) if word in SCRIPTS), None)
        return [] if at is None else [SCRIPTS[words[at]], *words[at + 1 :]]
    return words if words and words[0] in (*MAINS, "glr-shard") else []


def check_flags(words: list[str]) -> None:
    """Parse a command of ours, without running it."""
    program, *arguments = words
    if program == "glr-shard":
        _parser().parse_args(arguments)
    elif program == "glr-train":
        while "--config" in arguments:  # a file that is not there
            at = arguments.index("--config")
            arguments = arguments[:at] + arguments[at + 2 :]
        parse_train(arguments)
    elif program == "glr-tune":
        parse_tune(arguments)
    else:
        parse(KINDS[program], arguments, KINDS[program]())


def typed(words: list[str], monkeypatch: pytest.MonkeyPatch, report: bool) -> str:
    """Run a command of ours; what it printed. ``report``: evaluations draw theirs.

    Raises:
        AssertionError: it ended with another exit code than 0.
    """
    program, *arguments = words
    asks = {"--help", "--version", "--print-completion"} & set(arguments)
    if program == "glr-train" and not asks:
        arguments += TINY if "--resume" not in arguments else []
        # The tiny network has no pretrained statistics to keep.
        arguments = [word for word in arguments if word != "--model.fix-batch-norm"]
    if program == "glr-evaluate" and not report:
        arguments += ["--resamples", "100", "--no-report"]
    out, said = io.StringIO(), io.StringIO()
    code: Any = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        try:
            if program == "glr-shard":
                code = glr_shard(arguments)
            else:
                monkeypatch.setattr(sys, "argv", [program, *arguments])
                MAINS[program]()
        except SystemExit as end:
            code = end.code
    assert not code, f"{shlex.join(words)}: exit code {code}: {said.getvalue()}"
    return out.getvalue()


def reason_for(command: str, not_run: Mapping[str, str]) -> str | None:
    """Why a command is not run, by how it begins; None if it is to be run."""
    return next((why for start, why in not_run.items() if command.startswith(start)), None)
