"""kill -9 in the middle of a rung: the search that goes on is the one that was never killed."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.faults.training_process import cut, lines, start

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras beside numpy 2
SCRIPT = Path(__file__).with_name("hyperband_script.py")
STEPS = 1  # of the optimizer in an epoch


@pytest.mark.slow
def test_a_killed_bracket_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    from tests.faults.hyperband_script import search

    log, killed = tmp_path / "log", tmp_path / "killed"
    cut(SCRIPT, killed, log, signal.SIGKILL, held=8)  # the second epoch of the last round
    process = start(SCRIPT, killed, log)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    resumed: dict[str, Any] = json.loads(out)
    undisturbed = search(tmp_path / "undisturbed")

    assert [values for _, _, values in resumed["trials"]] == [values for _, _, values in undisturbed["trials"]]
    assert {status for status, _, _ in resumed["trials"]} == {"COMPLETED"}
    assert [attempt for _, attempt, _ in resumed["trials"]] == [0, 0, 0, 0, 0, 0, 1]
    assert resumed["brackets"] == undisturbed["brackets"]
    # the trial that was cut went on with the epoch that was cut
    assert [epoch for epoch, _ in lines(log)] == [0, 0, 0, 0, 1, 1, 2, 3, 3]
    assert [steps for _, steps in lines(log)] == [STEPS * epoch for epoch, _ in lines(log)]
    assert resumed["epochs"] == pytest.approx(undisturbed["epochs"], rel=1e-4)
    assert resumed["best"] == pytest.approx(undisturbed["best"], rel=1e-4)
    assert not list(killed.rglob("last-*"))
