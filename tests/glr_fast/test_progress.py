"""How far it is: a bar on a terminal, a line now and then elsewhere, nothing where silent."""

from __future__ import annotations

import pytest

from glr_fast.progress import Progress, in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (8.4, "8 s"), (59.6, "1 min"), (200, "3 min 20 s"), (18121, "5 h 2 min"),
     (187200, "2 d 4 h"), (3600, "1 h")],
)  # fmt: skip
def test_durations(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_plain_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 10.0, 40.0, 50.0, 100.0])
    monkeypatch.setattr("glr_fast.progress.time.perf_counter", lambda: next(now))
    with Progress(1000, "val", "photos") as progress:
        for _ in range(4):
            progress.update(300)
    assert progress.done == 1000
    assert capsys.readouterr().err == "val: 600 of 1,000 photos, 27 s left\n"


def test_a_bar_with_the_time_left_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with Progress(10, "val", "photos", every_s=0) as progress:
        progress.update(5)
        progress.update(5)
    said = capsys.readouterr().err
    assert "val: 100%" in said
    assert " left" not in said


def test_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(10, None, "photos", silent=True, every_s=0) as progress:
        progress.update(5)
    assert capsys.readouterr().err == ""
