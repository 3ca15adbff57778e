"""kill -9 while events are recorded as fast as possible: all that was acknowledged is there, in order, and whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.contracts.store import portrait, same_reports
from tests.faults.append_script import checksum

from krigetuner.store.database import DatabaseStore
from krigetuner.store.replay import fold

SCRIPT = Path(__file__).with_name("append_script.py")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")


def run_and_kill(path: Path, events: int, after: float) -> list[tuple[int, int]]:
    """Starts the script, kills it `after` seconds from so many events, and returns what it acknowledged."""
    log = path.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, str(SCRIPT), str(path)], stdout=out, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 120
        while log.read_bytes().count(b"\n") < events and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(after)
        process.kill()
        _, errors = process.communicate()
    assert process.returncode == -9, errors.decode()
    found = []
    for line in log.read_text().splitlines():
        position, _, check = line.partition(" ")
        found.append((int(position), int(check)))
    return found


def campaign(path: Path, kills: int, seed: int) -> None:
    clock, told = random.Random(seed), []
    for _ in range(kills):
        told += run_and_kill(path, clock.randint(1, 60), clock.uniform(0, 0.02))
        store = DatabaseStore(path)  # at once: the holder of the lease is known to be dead
        recorded = list(store.read())
        assert [position for position, _ in recorded] == list(range(1, len(recorded) + 1))
        assert len(recorded) - len(told) in range(kills + 1)  # at most one event a life that was not acknowledged yet
        checks = {position: checksum(event) for position, event in recorded}
        assert all(checks[position] == check for position, check in told)
        state = store.state()
        assert portrait(state) == portrait(fold(recorded))
        reports = [event for _, event in recorded if type(event).__name__ == "TrialReported"]
        assert same_reports(store.measurements(), sorted(reports, key=lambda r: r.number))
        store.close()
    assert [position for position, _ in told] == sorted({position for position, _ in told})
    assert len(told) > 10 * kills


def test_ten_kills(tmp_path: Path) -> None:
    campaign(tmp_path / "study.sqlite", kills=10, seed=0)


@pytest.mark.slow
def test_fifty_kills(tmp_path: Path) -> None:
    campaign(tmp_path / "study.sqlite", kills=50, seed=1)


FULL = """
import resource, sys, itertools
from tests.faults.append_script import acknowledge, story
from krigetuner.errors import StoreError
from krigetuner.store.database import DatabaseStore
store = DatabaseStore(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))
count, refused = 0, 0
for event in story(0):
    try:
        count = store.append(event)
    except StoreError as error:
        refused += 1
        if refused == 1:
            sys.stderr.write(str(error))
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            assert store.append(event) == count + 1  # goes on when there is room again
            break
sys.stdout.write(str(count + 1))
"""


def test_a_file_that_may_not_grow_refuses_and_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    path = tmp_path / "study.sqlite"
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", FULL, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "study.sqlite: expected to write the study, got '" in done.stderr
    assert "run the same script again" in done.stderr
    store = DatabaseStore(path)
    recorded = list(store.read())
    assert len(recorded) == int(done.stdout) > 50
    assert portrait(store.state()) == portrait(fold(recorded))
    store.close()
