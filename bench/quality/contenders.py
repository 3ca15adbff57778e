"""Who searches: KrigeTuner's oracles and the peers, behind one pair of verbs.

ask() -> ticket, values     what to try; several tickets may be open at once
tell(ticket, loss)          what it gave: finite, inf (diverged) or NaN (failed)
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Protocol

from bench.quality.tasks import Task

Values = Mapping[str, Any]
UNLIMITED = 10**6


class Contender(Protocol):
    """One search on one task, never asked for more than `batch` configurations before it is told."""

    def ask(self) -> tuple[Any, Values]: ...

    def tell(self, ticket: Any, loss: float) -> None: ...


@dataclass(frozen=True)
class Source:
    """Where a contender comes from.

    Attributes:
        modules: that must be importable; they are imported when the contender is made.
        distribution: whose version is printed.
        make: takes the task, a seed, the batch size and how many trials there will be.
    """

    modules: tuple[str, ...]
    distribution: str
    make: Callable[[Task, int, int, int], Contender]

    @property
    def absent(self) -> list[str]:
        """The modules that are not installed."""
        return [module for module in self.modules if importlib.util.find_spec(module) is None]

    @property
    def version(self) -> str | None:
        """The installed version; None where a module is absent."""
        if self.absent:
            return None
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return "not installed as a package"


class Krige:
    """One of KrigeTuner's oracles with its defaults, in memory."""

    def __init__(self, task: Task, seed: int, oracle: str) -> None:
        import krigetuner as kt

        hp = kt.HyperParameters()
        task.define(hp)
        self._oracle = getattr(kt.oracles, oracle)(
            objective=kt.Objective("loss", "min"),
            max_trials=UNLIMITED,
            max_consecutive_failed_trials=UNLIMITED,
            seed=seed,
            hyperparameters=hp,
            allow_new_entries=False,
        )
        self._oracle.verbose = 0
        self._asked = 0

    def ask(self) -> tuple[Any, Values]:
        self._asked += 1
        trial = self._oracle.create_trial(f"tuner{self._asked}")
        if trial.status != "RUNNING":
            raise RuntimeError(f"the oracle has nothing to try: {trial.status}")
        return trial, trial.hyperparameters.values

    def tell(self, ticket: Any, loss: float) -> None:
        if math.isnan(loss):
            ticket.status = "INVALID"
        else:
            self._oracle.update_trial(ticket.trial_id, {"loss": loss})
            ticket.status = "COMPLETED"
        self._oracle.end_trial(ticket)


def _peer(name: str, **options: Any) -> Callable[[Task, int, int, int], Contender]:
    """A class of bench/quality/peers.py, looked up when it is needed."""

    def make(task: Task, seed: int, batch: int, trials: int) -> Contender:
        from bench.quality import peers

        contender: Contender = getattr(peers, name)(task, seed, batch, trials, **options)
        return contender

    return make


CONTENDERS = {
    "krigetuner": Source(("krigetuner",), "krigetuner", lambda t, s, *_: Krige(t, s, "BayesianOptimizationOracle")),
    "random": Source(("krigetuner",), "krigetuner", lambda t, s, *_: Krige(t, s, "RandomSearchOracle")),
    "optuna-tpe": Source(("optuna",), "optuna", _peer("Optuna", sampler="tpe")),
    "optuna-gp": Source(("optuna", "torch"), "optuna", _peer("Optuna", sampler="gp")),
    "kerastuner": Source(("keras_tuner",), "keras-tuner", _peer("KerasTuner")),
    "skopt": Source(("skopt",), "scikit-optimize", _peer("ScikitOptimize")),
    "botorch": Source(("botorch",), "botorch", _peer("BoTorch")),
    "smac": Source(("smac",), "smac", _peer("Smac", facade="HyperparameterOptimizationFacade")),
    "smac-gp": Source(("smac",), "smac", _peer("Smac", facade="BlackBoxFacade")),
    "hebo": Source(("hebo",), "HEBO", _peer("Hebo")),
}
