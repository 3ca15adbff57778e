"""What a conductor keeps in memory does not grow with the epochs that its trials report."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

import krigetuner as kt

TRIALS = 4
FEW, MANY = 50, 350


class Epochs(kt.BaseTuner):
    """Reports as many epochs as it is told to."""

    def run_trial(self, trial: Any, epochs: int, **_: Any) -> dict[str, float]:
        trial.hyperparameters.Float("x", 0.0, 1.0)
        for epoch in range(epochs):
            self.oracle.report(trial.trial_id, epoch, {"loss": epoch + 0.5, "accuracy": 1 / (epoch + 1)})
        return {"loss": 1.0}


def kept(folder: Path, epochs: int, **options: Any) -> int:
    """Bytes that a search of a few trials leaves in this process while its oracle lives."""
    oracle = kt.oracles.RandomSearchOracle(kt.Objective("loss", "min"), max_trials=TRIALS, seed=1)
    tuner = Epochs(oracle, directory=folder, project_name=str(epochs))
    gc.collect()
    tracemalloc.start()
    try:
        tuner.search(epochs, verbose=0, **options)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        assert sum(1 for _ in oracle._ledger.measurements()) == TRIALS * epochs
        oracle.close()


@pytest.mark.parametrize("options", [{}, pytest.param({"workers": 1}, marks=pytest.mark.slow)], ids=str)
def test_epochs_leave_nothing_behind(tmp_path: Path, options: dict[str, Any]) -> None:
    kept(tmp_path, 1, **options)  # what is imported and compiled at the first use
    few, many = kept(tmp_path, FEW, **options), kept(tmp_path, MANY, **options)
    assert (many - few) / (TRIALS * (MANY - FEW)) < 40.0  # bytes; a report that is kept has some hundred
