"""The benchmark of many workers counts what it says: trials in the time, and the share of it in which slots work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench.scale import parallel
from bench.scale.sleepers import SEARCHES

ROOT = Path(__file__).resolve().parents[1]


def write(folder: Path, **diaries: str) -> None:
    (folder / "diary").mkdir()
    for name, text in diaries.items():
        (folder / "diary" / name).write_text(text)


def test_busy_is_the_share_of_the_slots_time(tmp_path: Path) -> None:
    write(tmp_path, one="100 101 0.5\n101.5 102.5 0.25\n", two="101 102 0.75\n102 104 1.0\n")
    run = parallel.summarise(parallel.Run("a", workers=2), tmp_path, began=98.0, seconds=60.0)
    assert (run.trials, run.seconds, run.startup, run.best) == (4, 4.0, 2.0, 0.25)
    assert run.busy == pytest.approx(5 / 8)


def test_what_ends_after_the_time_counts_for_the_part_before(tmp_path: Path) -> None:
    write(tmp_path, one="100 101 0.5\n101 103 0.25\n", two="100.5 110 0.1\n", three="100 101 0.0")
    run = parallel.summarise(parallel.Run("a", workers=2), tmp_path, began=100.0, seconds=2.0)
    assert (run.trials, run.seconds, run.best) == (1, 2.0, 0.5)
    assert run.busy == pytest.approx((1 + 1 + 1.5) / 4)


def test_nothing_done_is_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    run = parallel.summarise(parallel.Run("a", workers=2), tmp_path, began=0.0, seconds=1.0)
    assert (run.trials, run.busy) == (0, 0.0)
    assert "| a | 0 |" in parallel.table([run])


@pytest.mark.slow
def test_a_small_run(tmp_path: Path) -> None:
    script, out = ROOT / "bench" / "scale" / "parallel.py", tmp_path / "runs.json"
    options = ["--trials", "8", "--workers", "2", "--nap", "0.2", "--json", str(out)]
    command = [sys.executable, str(script), "--contenders", "krigetuner_random", *options]
    text = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    run = json.loads(out.read_text())
    assert (run["trials"], run["workers"], run["name"]) == (8, 2, "krigetuner_random")
    assert 0 < run["busy"] <= 1
    assert "| krigetuner_random | 8 |" in text
    assert "krigetuner_random" in SEARCHES
