"""Running commands of ``glr-shard`` in this process."""

from __future__ import annotations

import pytest

from shard_tools.cli import main


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr of a command that ends with exit code 2."""
    try:
        code = main(arguments)
    except SystemExit as end:  # argparse ends by itself
        code = end.code
    captured = capsys.readouterr()
    assert code == 2
    assert not captured.out or captured.out.startswith("layout ")  # what a build understood
    assert captured.err.startswith("glr-shard: error: ")
    assert captured.err.count("\n") == 1
    return captured.err
