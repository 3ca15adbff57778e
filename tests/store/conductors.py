"""Another process that conducts a study until it is told to end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONDUCTOR = """
import sys
from krigetuner.store.database import DatabaseStore
store = DatabaseStore(sys.argv[1])
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.readline()
if sys.argv[2] == "close":
    store.close()
"""


def conductor(path: Path, ending: str = "close") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", CONDUCTOR, str(path), ending], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finish(process: subprocess.Popen[str]) -> None:
    process.communicate("go\n")
