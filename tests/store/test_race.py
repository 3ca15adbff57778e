"""Several processes open the same new study at one moment: one conducts it, the others are told so."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import sys, time
from krigetuner.errors import StudyLocked
from krigetuner.store.database import DatabaseStore
DatabaseStore("sqlite://").close()  # everything is imported before the signal
sys.stdout.write("ready\\n")
sys.stdout.flush()
start = float(sys.stdin.readline())
time.sleep(max(0.0, start - time.time()))
try:
    store = DatabaseStore(sys.argv[1])
    sys.stdout.write("conducts\\n")
except StudyLocked:
    sys.stdout.write("locked\\n")
sys.stdout.flush()
sys.stdin.readline()
"""


@pytest.mark.slow
def test_one_of_several_conducts(tmp_path: Path) -> None:
    for turn in range(3):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / f"{turn}.sqlite")]
        made = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        for process in made:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        start = time.time() + 0.2
        for process in made:
            assert process.stdin is not None
            process.stdin.write(f"{start}\n")
            process.stdin.flush()
        answers = [process.stdout.readline().strip() for process in made if process.stdout is not None]
        for process in made:
            process.communicate("\n")
        assert sorted(answers) == ["conducts", "locked", "locked"]
