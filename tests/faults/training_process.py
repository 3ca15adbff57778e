"""A training in a process of its own that is killed while an epoch begins, and its log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def start(script: Path, directory: Path, log: Path, held: int = 0) -> subprocess.Popen[str]:
    """Runs a script that trains and writes what its epochs begin with to a log.

    Args:
        script: with `note` as the first thing of each epoch.
        directory: of the project.
        log: the file.
        held: the epoch of this log that does not go on, from 1; 0 for none.
    """
    return subprocess.Popen(
        [sys.executable, str(script), str(directory), str(log), str(held)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def cut(script: Path, directory: Path, log: Path, number: signal.Signals, held: int) -> None:
    """Runs it, and sends a signal when it has begun so many epochs."""
    process, end = start(script, directory, log, held), time.monotonic() + 300
    while len(lines(log)) < held:
        if process.poll() is not None:
            raise AssertionError(process.communicate()[1])
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode != 0


def note(log: Path, epoch: int, steps: int, held: int) -> None:
    """Writes that an epoch begins, with one write; the `held` line is the last one of this process."""
    with log.open("a") as file:
        file.write(f"{epoch} {steps}\n")
    while len(lines(log)) == held:
        time.sleep(0.01)


def lines(log: Path) -> list[tuple[int, int]]:
    """Epoch, and the optimizer's steps before it, of every epoch that began."""
    rows = log.read_text().split("\n")[:-1] if log.exists() else []
    return [(int(epoch), int(steps)) for epoch, steps in (row.split() for row in rows)]
