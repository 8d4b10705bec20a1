"""How a command ends when the system says no: one line and 2; faults of ours keep their traces."""

from __future__ import annotations

import errno
import os

import pytest

from glr_fast.command_exit import run_command


@pytest.mark.parametrize(
    ("number", "file", "said"),
    [
        (errno.EACCES, "a/b", "error: a/b: Permission denied\n"),
        (errno.ENOSPC, "a/b", "error: a/b: No space left on device\n"),
        (
            errno.ENOSPC,
            None,
            "error: the disk is full (No space left on device); make room, then run this again\n",
        ),
    ],
)
def test_what_the_system_refuses_is_one_line(
    number: int, file: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        raise OSError(number, os.strerror(number), file)

    with pytest.raises(SystemExit) as ended:
        run_command(work)
    assert ended.value.code == 2
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("error", [OSError(errno.EBADF, "Bad file descriptor"), ValueError("x")])
def test_faults_of_ours_keep_their_traces(error: Exception) -> None:
    def work() -> None:
        raise error

    with pytest.raises(type(error)):
        run_command(work)
