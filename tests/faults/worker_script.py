"""A search of several processes that tests start, kill and look at; the role comes from KERASTUNER_TUNER_ID.

    python worker_script.py DIRECTORY MODE MAX_TRIALS

Every process appends lines to DIRECTORY/diary: `begin <worker> <trial> <x>` and `done <worker> <trial>` for each trial,
and `end <worker> <what>` when its search has returned. Modes: "quick" has short trials; "hold" keeps each trial running
until DIRECTORY/go exists; "crash" fails every trial; "fatal" has w1's first trial raise a fatal error.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import krigetuner as kt


class Script(kt.BaseTuner):
    """Knows its space only while a trial runs."""

    def __init__(self, oracle: Any, folder: Path, mode: str, **kwargs: Any) -> None:
        self.folder, self.mode = folder, mode
        super().__init__(oracle, directory=folder, project_name="search", **kwargs)

    def write(self, line: str) -> None:
        """Appends a line with one write, so that it is there whole or not at all."""
        handle = os.open(self.folder / "diary", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{line}\n".encode())
        os.close(handle)

    def run_trial(self, trial: Any, *_: Any, **__: Any) -> float:
        x = trial.hyperparameters.Float("x", -1.0, 1.0)
        kind = trial.hyperparameters.Choice("kind", ["a", "b"])
        self.write(f"begin {self.tuner_id} {trial.trial_id} {x!r}")
        if self.mode == "crash":
            raise ZeroDivisionError("the user's own mistake")
        if self.mode == "fatal" and self.tuner_id == "w1":
            raise kt.errors.FatalValueError("nobody can run this")
        for epoch in range(3):
            self.oracle.report(trial.trial_id, epoch, {"loss": x + 1 / 3 + epoch, "odd": float("inf")})
            time.sleep(0.02)
        while self.mode == "hold" and not (self.folder / "go").exists():
            time.sleep(0.02)
        self.write(f"done {self.tuner_id} {trial.trial_id}")
        return x * x + (kind == "b")


def main(directory: str, mode: str, max_trials: str) -> None:
    """Searches in the role that the environment gives."""
    oracle = kt.oracles.RandomSearchOracle(kt.Objective("loss", "min"), max_trials=int(max_trials), seed=5)
    tuner = Script(oracle, Path(directory), mode)
    try:
        tuner.search(verbose=0)
    except BaseException as error:
        tuner.write(f"end {tuner.tuner_id} {type(error).__name__}")
        raise
    best = tuner.get_best_hyperparameters()[0].values["x"]
    tuner.write(f"end {tuner.tuner_id} {len(tuner.oracle.trials)} {best!r} {tuner.oracle.seed}")


if __name__ == "__main__":
    main(*sys.argv[1:])
