"""Tuners whose trials do what trials should not, for worker processes, which import this module."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from typing import Any

import numpy as np
from tests.tuners.parabola import Parabola

from krigetuner.tuners.base_tuner import BaseTuner
from krigetuner.tuners.trial import Trial


class Branches(BaseTuner):
    """Asks for more in one branch, and reports epochs."""

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        hp = trial.hyperparameters
        x = hp.Float("x", -1.0, 1.0)
        if hp.Choice("kind", ["a", "b"]) == "b":
            x += hp.Int("k", 0, 5) / 5
        if x > 1.5:
            raise ValueError("too large")
        for epoch in range(3):
            self.oracle.report(trial.trial_id, epoch, {"loss": x / (epoch + 1)})
        return {"loss": (x - 0.3) ** 2, "other": x}


def story(tuner: BaseTuner) -> list[Any]:
    """All that was recorded of the trials, and the space."""
    records = tuner.oracle._ledger.state.trials.values()
    told = [
        (r.trial_id, r.values, r.status, r.score, r.best_step, r.metrics, r.executions, r.attempt, r.unasked)
        for r in records
    ]
    return [told, tuner.history().to_dict("records"), tuner.oracle.get_space().get_config()]


class Dies(Parabola):
    """Trials 0, 1, ... end in as many ways."""

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        score = super().run_trial(trial)
        sys.stdout.write(f"trial {trial.trial_id} says hello\n")
        way = args[0][trial.number] if trial.attempt == 0 else ""
        if way == "segfault":
            ctypes.string_at(0)
        elif way == "exit":
            os._exit(3)
        elif way == "hang":
            time.sleep(300)
        return score


class Sums(BaseTuner):
    """Sees whether the data are there, and one copy of them."""

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        x, names = args
        assert names["x"] is x
        assert isinstance(x.base, np.memmap | memoryview) or not x.flags.owndata
        trial.hyperparameters.Float("rate", 0.0, 1.0)
        return float(x.sum())


class Hoards(Parabola):
    """Takes 40 MB that it never gives back."""

    hoard: Any = ()

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        self.hoard = [*self.hoard, np.ones(5_000_000)]
        return {"default_objective": super().run_trial(trial), "process": os.getpid(), "kept": len(self.hoard)}
