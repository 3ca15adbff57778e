"""Tuners that train nothing, and a space of one number, for the tests of tuners."""

from __future__ import annotations

from typing import Any

from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.base_tuner import BaseTuner
from krigetuner.tuners.classes import RandomSearch
from krigetuner.tuners.trial import Trial


class Parabola(RandomSearch):
    """Minimises (x - 0.3)^2."""

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        return (trial.hyperparameters.Float("x", -1.0, 1.0) - 0.3) ** 2


class Plain(BaseTuner):
    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        return 1.0


def space() -> HyperParameters:
    """One number."""
    hp = HyperParameters()
    hp.Float("x", -1.0, 1.0)
    return hp
