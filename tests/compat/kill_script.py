"""A search that kills itself in its third trial, and once the fifth is recorded: kill_script.py DIRECTORY."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.compat import fault_driver


def killed_once(name: str) -> None:
    mark = Path(sys.argv[1]) / name
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def run(trial: Any) -> float:
    x = trial.hyperparameters.Float("x", -1.0, 1.0)
    if trial.trial_id == "2":
        killed_once("inside")
    return float(x * x)


class Killed(fault_driver.Plain):
    def on_trial_end(self, trial: Any) -> None:
        super().on_trial_end(trial)
        if trial.trial_id == "4":
            killed_once("after")


if __name__ == "__main__":
    tuner = Killed(run, fault_driver.random_oracle(8), directory=sys.argv[1])
    tuner.search(verbose=0)
