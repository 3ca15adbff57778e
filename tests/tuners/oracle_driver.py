"""What the tests of oracles share: spaces, and a loop that drives an oracle as a tuner would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from krigetuner.oracles import BayesianOptimizationOracle, GridSearchOracle, RandomSearchOracle
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.objective import Objective
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.trial import Trial

ORACLES = [RandomSearchOracle, GridSearchOracle, BayesianOptimizationOracle]
MIN = Objective("loss", "min")


def mixed() -> HyperParameters:
    """Numbers, choices and a branch."""
    hp = HyperParameters()
    hp.Float("rate", 1e-4, 1.0, sampling="log")
    hp.Int("units", 8, 64, step=8)
    hp.Choice("kind", ["a", "b"])
    hp.Boolean("flag", parent_name="kind", parent_values=["b"])
    return hp


def points_18() -> HyperParameters:
    """Eighteen configurations."""
    hp = HyperParameters()
    hp.Choice("a", [1, 2, 3])
    hp.Choice("b", ["x", "y", "z"])
    hp.Boolean("c")
    return hp


def finish(oracle: Oracle, trial: Trial, metrics: Mapping[str, Any] | float) -> Trial:
    """Ends a running trial as completed."""
    numbers = metrics if isinstance(metrics, Mapping) else {oracle.objective.name: metrics}
    oracle.update_trial(trial.trial_id, numbers)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    return trial


def fail(oracle: Oracle, trial: Trial, status: str = "INVALID", message: str = "it broke") -> Trial:
    """Ends a running trial as failed."""
    trial.status, trial.message = status, message
    oracle.end_trial(trial)
    return trial


def score(values: Mapping[str, Any]) -> float:
    """Any function of the values."""
    return sum(
        len(repr(v)) * (i + 1) + (float(v) if not isinstance(v, str) else 0.0) for i, v in enumerate(values.values())
    )


def drive(
    oracle: Oracle, trials: int | None = None, result: Callable[[Mapping[str, Any]], Any] = score
) -> list[dict[str, Any]]:
    """Runs trials one after the other until the oracle stops, or that many; returns their values."""
    seen: list[dict[str, Any]] = []
    while trials is None or len(seen) < trials:
        trial = oracle.create_trial("tuner0")
        if trial.status == "STOPPED":
            break
        assert trial.status == "RUNNING"
        seen.append(dict(trial.hyperparameters.values))
        finish(oracle, trial, result(trial.hyperparameters.values))
    return seen


def random_oracle(**options: Any) -> RandomSearchOracle:
    """Random search over eighteen configurations, in memory."""
    return RandomSearchOracle(**{"objective": MIN, "hyperparameters": points_18(), "seed": 1, **options})


def opened(path: Path, make: Any = RandomSearchOracle, overwrite: bool = False, **options: Any) -> Any:
    """An oracle in a project directory."""
    oracle = make(**{"objective": MIN, "max_trials": 12, "hyperparameters": mixed(), "seed": 4, **options})
    oracle._set_project_dir(path, "project", overwrite=overwrite)
    return oracle
