"""kill -9 at random moments of a whole search: nothing that was acknowledged is lost, and the end is the same."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("search_script.py")
Rows = list[tuple[object, ...]]


def start(directory: Path, trials: int, oracle: str, *held: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(SCRIPT), str(directory), str(trials), oracle, *held]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def finish(directory: Path, trials: int, oracle: str) -> None:
    process = start(directory, trials, oracle)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()


def ended(directory: Path) -> Rows:
    """(id, status, values, score) of every trial, from the plain table, as somebody with SQL reads it."""
    database = sqlite3.connect(directory / "search" / "study.sqlite")
    try:
        return database.execute(
            "SELECT trial_id, status, hyperparameters, score FROM trials ORDER BY number"
        ).fetchall()
    finally:
        database.close()


def epochs(directory: Path) -> set[tuple[str, int]]:
    """(trial id, step) of every reported epoch."""
    database = sqlite3.connect(directory / "search" / "study.sqlite")
    query = "SELECT trials.trial_id, step FROM measurements JOIN trials USING (number) WHERE name = 'train_loss'"
    try:
        return set(database.execute(query).fetchall())
    finally:
        database.close()


def kill_at_random(directory: Path, trials: int, oracle: str, kills: int, seed: int) -> None:
    """Starts the search, kills it after a random time, again and again; it cannot come to its end meanwhile."""
    clock = random.Random(seed)
    for _ in range(kills):
        before = len(acknowledged(directory))
        process = start(directory, trials, oracle, "held")
        deadline = time.monotonic() + 120
        # the start-up is not what is tested: the clock of the kill runs from the first sign of life
        while len(acknowledged(directory)) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(clock.uniform(0, 0.06))
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, errors.decode()
        check(directory)


def acknowledged(directory: Path) -> list[list[str]]:
    path = directory / "acknowledged"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def check(directory: Path) -> None:
    """Everything that the killed processes were told is recorded, is recorded."""
    lines = acknowledged(directory)
    done = {line[1] for line in lines if line[0] == "done"}
    assert done <= {row[0] for row in ended(directory) if row[1] == "COMPLETED"}
    assert {(line[1], int(line[2])) for line in lines if line[0] == "epoch"} <= epochs(directory)


def campaign(tmp_path: Path, oracle: str, trials: int, kills: int) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    for directory in (undisturbed, killed):
        directory.mkdir()
    finish(undisturbed, trials, oracle)
    kill_at_random(killed, trials, oracle, kills, seed=len(oracle))
    finish(killed, trials, oracle)
    check(killed)
    assert ended(killed) == ended(undisturbed)
    assert len(ended(killed)) == trials


@pytest.mark.parametrize("oracle", ["random", "grid", "bayesian"])
def test_a_killed_search_ends_like_an_undisturbed_one(tmp_path: Path, oracle: str) -> None:
    campaign(tmp_path, oracle, trials=25, kills=3)


@pytest.mark.slow
def test_fifty_kills(tmp_path: Path) -> None:
    campaign(tmp_path, "bayesian", trials=250, kills=50)
