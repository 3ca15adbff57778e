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


def start(directory: Path, trials: int, oracle: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(SCRIPT), str(directory), str(trials), oracle], stderr=subprocess.PIPE)


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


def kill_at_random(directory: Path, trials: int, oracle: str, kills: int, seed: int) -> int:
    """Starts the search, kills it after a random time, again and again; returns how many kills hit it running."""
    clock, hits = random.Random(seed), 0
    for _ in range(kills):
        process = start(directory, trials, oracle)
        before = len(acknowledged(directory))
        deadline = time.monotonic() + 60
        # the start-up is not what is tested: the clock of the kill runs from the first sign of life
        while len(acknowledged(directory)) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(clock.uniform(0, 0.06))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        hits += process.returncode == -signal.SIGKILL
        check(directory)
    return hits


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
    hits = kill_at_random(killed, trials, oracle, kills, seed=len(oracle))
    assert hits == kills, "the search was too short: it ended before the last kill"
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
