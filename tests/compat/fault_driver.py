"""What the tests of KerasTuner's faults share: a tuner of a plain function, and an oracle that is driven by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import krigetuner as kt

LOSS = kt.Objective("loss", "min")
Function = Callable[[Any], Any]
"""Takes the trial, returns its result."""


class Plain(kt.BaseTuner):
    """Runs a function; no Keras."""

    def __init__(self, function: Function, oracle: kt.Oracle, **options: Any) -> None:
        self.function = function
        super().__init__(oracle, **options)

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        return self.function(trial)


def searched(function: Function, oracle: kt.Oracle, directory: Path, **options: Any) -> Plain:
    """The tuner after its search, its record closed."""
    tuner = Plain(function, oracle, directory=directory, **options)
    try:
        tuner.search(verbose=0)
    finally:
        tuner.oracle.close()
    return tuner


def random_oracle(max_trials: int = 3, **options: Any) -> kt.Oracle:
    return kt.oracles.RandomSearchOracle(**{"objective": LOSS, "max_trials": max_trials, "seed": 1, **options})


def grid_of_six(trial: Any) -> float:
    """Six configurations, known from the first trial on only."""
    hp = trial.hyperparameters
    return float(hp.Int("a", 0, 2) * 10 + hp.Choice("b", [1, 2]))


def values(tuner: Any) -> list[dict[str, Any]]:
    """Values of every trial, in the order in which they began."""
    oracle = getattr(tuner, "oracle", tuner)
    return [dict(oracle.trials[i].hyperparameters.values) for i in oracle.start_order]


def statuses(tuner: Any) -> list[str]:
    return [tuner.oracle.trials[i].status for i in tuner.oracle.start_order]


def driven(oracle: kt.Oracle, loss: Callable[[dict[str, Any]], float], trials: int = 1000) -> list[dict[str, Any]]:
    """Runs trials until the oracle stops, or so many; returns their values."""
    seen: list[dict[str, Any]] = []
    while len(seen) < trials:
        trial = oracle.create_trial("tuner0")
        if trial.status == "STOPPED":
            break
        seen.append(dict(trial.hyperparameters.values))
        oracle.update_trial(trial.trial_id, {"loss": loss(seen[-1])})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return seen
