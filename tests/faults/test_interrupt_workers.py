"""Signals while workers run trials: no process stays, nothing is lost, and interrupted trials come first."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

SCRIPT = Path(__file__).with_name("workers_script.py")
PATIENCE = 120.0


def rows(directory: Path, query: str) -> list[Any]:
    path = directory / "search" / "study.sqlite"
    if not path.exists():
        return []
    database = sqlite3.connect(path)
    try:
        return database.execute(query).fetchall()
    except sqlite3.OperationalError:  # not written yet
        return []
    finally:
        database.close()


def started(directory: Path) -> int:
    return len(rows(directory, "SELECT 1 FROM events WHERE kind = 'TrialReported'"))


def start(directory: Path, trials: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), str(directory), str(trials)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


def cut(directory: Path, signals: list[signal.Signals]) -> str:
    """Sends signals to the terminal's process group while trials run; returns what the search had to say."""
    before, process = started(directory), start(directory, 12)
    end = time.monotonic() + PATIENCE
    while started(directory) < before + 3:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) >= 1
    for number in signals:
        os.killpg(process.pid, number)
        time.sleep(0.02)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
    assert not alive
    return said


@pytest.mark.slow
def test_a_search_that_is_cut_again_and_again_comes_to_its_end(tmp_path: Path) -> None:
    said = cut(tmp_path, [signal.SIGINT])
    assert " recorded as interrupted and will run first" in said
    last = "SELECT number, status FROM trials WHERE status = 'INTERRUPTED'"
    assert rows(tmp_path, last)
    cut(tmp_path, [signal.SIGTERM])
    cut(tmp_path, [signal.SIGINT, signal.SIGINT])
    cut(tmp_path, [signal.SIGKILL])
    (tmp_path / "go").touch()
    process = start(tmp_path, 12)
    _, said = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 0, said
    assert rows(tmp_path, "SELECT status, count(*) FROM trials GROUP BY 1") == [("COMPLETED", 12)]
    epochs = rows(
        tmp_path,
        "SELECT number, attempt, step FROM measurements m WHERE name = 'loss' AND "
        "attempt = (SELECT max(attempt) FROM measurements WHERE number = m.number)",
    )
    assert len({(n, s) for n, _, s in epochs}) == len(epochs) == 60
    finished = rows(tmp_path, "SELECT count(*) FROM events WHERE kind = 'TrialFinished'")
    assert finished == [(12,)]
