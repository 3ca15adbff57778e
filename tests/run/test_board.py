"""What the chief shows of its workers."""

from __future__ import annotations

import pytest
from rich.console import Console

from krigetuner.run.board import Board
from krigetuner.run.progress import Progress, Shown


def drawn(board: Board, width: int = 120) -> str:
    console = Console(width=width, record=True, force_terminal=False)
    with console.capture() as capture:
        console.print(board.progress.picture())
    return capture.get()


def test_the_live_display_has_a_row_for_every_worker() -> None:
    board = Board(Progress("live", Shown("loss", total=20, ended=3)))
    board.started("04", "w1", {"x": 0.25, "kind": "a"}, 20)
    board.started("05", "w2", {"x": 0.5}, 20)
    board.reported("05", 6, {"accuracy": 0.5, "loss": 0.125})
    board.reported("99", 1, {"loss": 1.0})  # nobody runs it
    board.progress.best(0.0625, "02", {"x": 1.0})
    text = drawn(board)
    assert "Trial 5 of 20" in text
    assert "best loss 0.0625 (trial 02)" in text
    rows = {line.split()[0]: line for line in text.splitlines() if line.startswith("w")}
    assert "x=0.25, kind=a" in rows["w1"]
    assert "loss 0.125  accuracy 0.5" in rows["w2"]
    board.known("05", {"x": 0.5, "late": 7})
    assert "x=0.5, late=7" in drawn(board)
    board.ended("05", "COMPLETED", 0.125, None)
    assert "w2" not in drawn(board)


def test_a_narrow_terminal_shows_who_runs_what_in_one_line_each() -> None:
    board = Board(Progress("live", Shown("loss", total=20)))
    for trial_id, worker in (("0011", "tuner0-1"), ("0012", "tuner0-2")):
        board.started(trial_id, worker, {f"a_long_name_{i}": 0.123 for i in range(9)}, 20)
        board.reported(trial_id, 6, {"loss": 0.125, "accuracy": 0.5, "mean_absolute_error": 0.25})
    lines = drawn(board, width=76).splitlines()
    assert len(lines) == 4
    assert [line.split()[:2] for line in lines[1:]] == [["worker", "trial"], ["tuner0-1", "0011"], ["tuner0-2", "0012"]]
    assert all("loss 0.125" in line and "a_long_name_0" in line and "…" in line for line in lines[2:])


def test_plain_lines_name_the_worker(capsys: pytest.CaptureFixture[str]) -> None:
    board = Board(Progress("plain", Shown("loss")))
    board.started("0", "w1", {"x": 0.25}, None)
    board.started("1", "w2", {"x": 0.5}, None)
    board.ended("0", "FAILED", None, "Traceback (most recent call last)\n  File\nValueError: no")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Trial 0 on w1: x=0.25", "Trial 1 on w2: x=0.5"]
    assert lines[2].startswith("Trial 0 failed after 0.")
    assert lines[3] == "Trial 0 failed: ValueError: no"


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    board = Board(Progress("silent", Shown("loss")))
    board.started("0", "w1", {}, 1)
    board.ended("0", "FAILED", None, "no")
    assert capsys.readouterr().out == ""
