"""A training in a process of its own that can be killed, and its log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def start(script: Path, directory: Path, log: Path) -> subprocess.Popen[str]:
    """Runs a script that trains and writes what its epochs begin with to a log."""
    return subprocess.Popen(
        [sys.executable, str(script), str(directory), str(log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def lines(log: Path) -> list[tuple[int, int]]:
    """Epoch, and the optimizer's steps before it, of every epoch that began."""
    rows = log.read_text().split("\n")[:-1] if log.exists() else []
    return [(int(epoch), int(steps)) for epoch, steps in (row.split() for row in rows)]
