"""A search that tests kill: Branin with a category and an integer, three reports a trial, acknowledged in a file.

    python search_script.py DIRECTORY MAX_TRIALS ORACLE [held]

A held search does not come to its end: its last trial waits to be killed. Every finished trial is acknowledged, after
the tuner has recorded it, by one line in DIRECTORY/acknowledged.
"""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import krigetuner as kt

ORACLES = {
    "random": kt.oracles.RandomSearchOracle,
    "grid": kt.oracles.GridSearchOracle,
    "bayesian": kt.oracles.BayesianOptimizationOracle,
}


class Script(kt.BaseTuner):
    """Runs the function below without Keras."""

    def run_trial(self, trial: Any, path: Path, **_: Any) -> float:
        hp = trial.hyperparameters
        x, y = hp.Float("x", -5.0, 10.0, step=0.25), hp.Float("y", 0.0, 15.0)
        kind = hp.Choice("kind", ["plain", "bumpy", "steep"])
        bumps = hp.Int("bumps", 1, 5, parent_name="kind", parent_values=["bumpy"])
        value = (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2 + 10 * (
            1 - 1 / (8 * math.pi)
        ) * math.cos(x)
        for epoch in range(3):
            time.sleep(0.002)
            self.oracle.report(trial.trial_id, epoch, {"train_loss": value + 3 - epoch})
            acknowledge(path, f"epoch {trial.trial_id} {epoch}")
        while trial.number == self.held:
            time.sleep(0.01)
        return value + {"plain": 0.0, "bumpy": math.sin(bumps or 0), "steep": abs(x)}[kind]

    def on_trial_end(self, trial: Any) -> None:
        super().on_trial_end(trial)
        acknowledge(self.acknowledged, f"done {trial.trial_id}")

    acknowledged: Path
    held: int | None = None


def acknowledge(path: Path, line: str) -> None:
    """Appends a line with one write, so that it is there whole or not at all, also when the process is killed."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{line}\n".encode())
    os.close(handle)


def main(directory: str, max_trials: str, oracle: str, held: str = "") -> None:
    """Starts the search or goes on with it."""
    made = ORACLES[oracle](objective=kt.Objective("loss", "min"), max_trials=int(max_trials), seed=3)
    tuner = Script(made, directory=directory, project_name="search")
    tuner.acknowledged = Path(directory) / "acknowledged"
    tuner.held = int(max_trials) - 1 if held else None
    tuner.search(tuner.acknowledged, verbose=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
