"""The search of a fault campaign: cheap trials, some of which fail by themselves; every process keeps a diary.

    python campaign_script.py DIRECTORY ORACLE MAX_TRIALS WORKERS [STORAGE]

WORKERS is 0 for a search in this process (or the role that KERASTUNER_TUNER_ID gives it), else the `workers` of
`search`. A process writes DIRECTORY/diary/<its number>, a line per entry: nanoseconds, then
`begin TRIAL ATTEMPT VALUES`, `epoch TRIAL ATTEMPT STEP LOSS` once the epoch is reported, `ran TRIAL ATTEMPT` before the
result is returned, and `ended TRIAL STATUS` once the end is recorded.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import krigetuner as kt

EPOCHS = 3
NAP, LONGER_NAP = 0.004, 0.02
"""Seconds of an epoch, and those where workers run them: then suggestions are worked out ahead."""
SEED = 7
DATA = np.arange(20_000.0)
"""What every trial is given; large enough to be shared as a file."""


def hyperparameters() -> kt.HyperParameters:
    """What is known before the first trial; `bumps` is discovered by trials."""
    hp = kt.HyperParameters()
    hp.Float("x", -5.0, 10.0, step=0.25)
    hp.Float("y", 0.0, 15.0)
    hp.Choice("kind", ["plain", "bumpy", "steep"])
    return hp


def make_oracle(name: str, max_trials: int, **options: Any) -> Any:
    """An oracle by its short name, with one retry for a trial that fails."""
    goal = kt.Objective("loss", "min")
    chosen = {
        "objective": goal,
        "hyperparameters": hyperparameters(),
        "seed": SEED,
        "max_retries_per_trial": 1,
        "max_consecutive_failed_trials": None,
        **options,
    }
    if name == "hyperband":
        return kt.oracles.HyperbandOracle(max_epochs=9, factor=3, hyperband_iterations=max_trials // 20 + 1, **chosen)
    kinds = {"random": "RandomSearchOracle", "grid": "GridSearchOracle", "bayesian": "BayesianOptimizationOracle"}
    return getattr(kt.oracles, kinds[name])(max_trials=max_trials, **chosen)


def loss(values: Mapping[str, Any]) -> float:
    """Branin with a category."""
    x, y = values["x"], values["y"]
    value = (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x)
    return float(value + {"plain": 0.0, "bumpy": math.sin(values.get("bumps") or 0), "steep": abs(x)}[values["kind"]])


def own_failure(values: Mapping[str, Any]) -> str:
    """How the trial fails by itself, every time: "raise", "nan", or "" for not at all."""
    if values["kind"] == "steep" and values["x"] > 7:
        return "raise"
    return "nan" if values["kind"] == "bumpy" and values["y"] < 1.5 else ""


class Script(kt.BaseTuner):
    """Runs the function above."""

    diary: Path
    nap = NAP

    def note(self, line: str) -> None:
        """Appends a line with one write, so that it is there whole or not at all, also when the process is killed."""
        handle = os.open(self.diary / str(os.getpid()), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{time.monotonic_ns()} {line}\n".encode())
        os.close(handle)

    def run_trial(self, trial: Any, data: Any, **_: Any) -> float:
        if data[-1] != len(data) - 1:
            raise kt.errors.FatalValueError("the data are not those that search() was given")
        hp, name = trial.hyperparameters, f"{trial.trial_id} {trial.attempt}"
        hp.Int("bumps", 1, 5, parent_name="kind", parent_values=["bumpy"])
        values = {key: value for key, value in hp.values.items() if not key.startswith("tuner/")}
        self.note(f"begin {name} {json.dumps(values, sort_keys=True)}")
        value = loss(values)
        for epoch in range(EPOCHS):
            time.sleep(self.nap * (1 + abs(values["x"]) / 5))
            self.oracle.report(trial.trial_id, epoch, {"train_loss": value + 3 - epoch})
            self.note(f"epoch {name} {epoch} {value + 3 - epoch!r}")
        if own_failure(values) == "raise":
            raise ArithmeticError("too steep")
        self.note(f"ran {name}")
        return math.nan if own_failure(values) else value

    def on_trial_end(self, trial: Any) -> None:
        super().on_trial_end(trial)
        self.note(f"ended {trial.trial_id} {self.oracle.get_trial(trial.trial_id).status}")


def main(directory: str, oracle: str, max_trials: str, workers: str, storage: str | None = None) -> None:
    """Starts the search or goes on with it."""
    warnings.simplefilter("ignore", kt.errors.KrigeTunerWarning)  # a campaign ends with another max_trials
    Script.diary = Path(directory) / "diary"
    Script.diary.mkdir(parents=True, exist_ok=True)
    Script.nap = LONGER_NAP if int(workers) else NAP
    made = make_oracle(oracle, int(max_trials), storage=storage)
    tuner = Script(made, directory=directory, project_name="search")
    options: dict[str, Any] = {"workers": int(workers)} if int(workers) else {}
    tuner.search(DATA, verbose=0, **options)


if __name__ == "__main__":
    main(*sys.argv[1:])
