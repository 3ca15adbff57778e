"""kill -9 and SIGTERM in the middle of a Keras training: nothing is lost, and the trial goes on from its last epoch."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from tests.faults.training_process import cut, lines, start

SCRIPT = Path(__file__).with_name("keras_script.py")
EPOCHS, STEPS = 4, 2


@pytest.mark.slow
@pytest.mark.parametrize(("number", "begun"), [(signal.SIGKILL, 3), (signal.SIGTERM, EPOCHS + 2)])
def test_a_killed_training_goes_on_from_its_last_epoch(tmp_path: Path, number: signal.Signals, begun: int) -> None:
    log = tmp_path / "log"
    cut(SCRIPT, tmp_path, log, number, held=begun)
    before = lines(log)

    process = start(SCRIPT, tmp_path, log)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    after = lines(log)[len(before) :]
    result = json.loads(out)
    # the interrupted trial goes on with the epoch that was cut, and with the optimizer's count of steps
    assert after[0] == before[-1] == (before[-1][0], STEPS * before[-1][0])
    assert [epoch for epoch, _ in before[:-1] + after] == list(range(EPOCHS)) * 2
    # nothing is lost: both trials are complete, every epoch is recorded, the score is the best of all its epochs
    assert [t["status"] for t in result["trials"].values()] == ["COMPLETED"] * 2
    assert [t["attempt"] for t in result["trials"].values()] == ([1, 0] if begun <= EPOCHS else [0, 1])
    losses = {(n, step): loss for n, step, loss in result["epochs"]}
    assert sorted(losses) == [(n, step) for n in range(2) for step in range(EPOCHS)]
    for n, trial in enumerate(result["trials"].values()):
        assert trial["score"] == pytest.approx(min(losses[n, step] for step in range(EPOCHS)))
    assert result["best_loss"] == pytest.approx(min(losses.values()), rel=1e-5)
    assert not list(tmp_path.rglob("training*"))
