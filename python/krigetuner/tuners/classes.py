"""The ready tuners: an oracle with a Keras tuner around it."""

from __future__ import annotations

from typing import Any

from krigetuner.search.bayesian import DEFAULT_ALPHA
from krigetuner.tuners.builtin_oracles import BayesianOptimizationOracle, GridSearchOracle, RandomSearchOracle
from krigetuner.tuners.tuner import Tuner


class RandomSearch(Tuner):
    """Tries configurations drawn at random, none of them twice, until `max_trials` or the space's end.

    Args:
        hypermodel: a `HyperModel`, or a function `build(hp)`.
        objective: a metric's name, an `Objective`, a list of them, or None when runs return a number to minimise.
        max_trials: trials to run; failed ones count.
        seed: any whole number; 0 is a seed like the others. Training is seeded too when it is given.
        hyperparameters: a space known beforehand; overrides what the hypermodel asks for.
        tune_new_entries: whether names that are not in `hyperparameters` are tuned, or keep their defaults.
        allow_new_entries: whether the hypermodel may ask for names that are not in `hyperparameters`.
        max_retries_per_trial: how often a trial that raised, or returned NaN, is run again.
        max_consecutive_failed_trials: so many failed trials in a row end the search with a RuntimeError.
        max_time: seconds after which no further trial begins.
        target: value of the objective that ends the search.
        **kwargs: of `Tuner` and `BaseTuner`.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = 10,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int | None = 3,
        *,
        max_time: float | None = None,
        target: float | None = None,
        **kwargs: Any,
    ) -> None:
        self.seed = seed
        oracle = RandomSearchOracle(
            objective=objective,
            max_trials=max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
            max_time=max_time,
            target=target,
        )
        super().__init__(oracle, hypermodel, **kwargs)


class GridSearch(Tuner):
    """Tries every configuration once, in order; parameters without a step take their default and ten quantiles.

    Args:
        hypermodel: a `HyperModel`, or a function `build(hp)`.
        objective: a metric's name, an `Objective`, a list of them, or None when runs return a number to minimise.
        max_trials: trials to run; None for all of the grid.
        seed: of the training; the order of the grid does not depend on it.
        hyperparameters, tune_new_entries, allow_new_entries: as for `RandomSearch`.
        max_retries_per_trial, max_consecutive_failed_trials, max_time, target: as for `RandomSearch`.
        **kwargs: of `Tuner` and `BaseTuner`.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = None,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int | None = 3,
        *,
        max_time: float | None = None,
        target: float | None = None,
        **kwargs: Any,
    ) -> None:
        self.seed = seed
        oracle = GridSearchOracle(
            objective=objective,
            max_trials=max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
            max_time=max_time,
            target=target,
        )
        super().__init__(oracle, hypermodel, **kwargs)


class BayesianOptimization(Tuner):
    """Models the objective with a Gaussian process, and tries what promises most.

    Args:
        hypermodel: a `HyperModel`, or a function `build(hp)`.
        objective: a metric's name, an `Objective`, a list of them, or None when runs return a number to minimise.
        max_trials: trials to run; failed ones count.
        num_initial_points: trials before the model takes over; None lets it choose by the space and by `max_trials`.
        alpha: least variance of the noise in the standardised objective; at its default the noise is learned.
        beta: weight of the standard deviation in "ucb".
        seed: any whole number; 0 is a seed like the others. Training is seeded too when it is given.
        hyperparameters, tune_new_entries, allow_new_entries: as for `RandomSearch`.
        max_retries_per_trial, max_consecutive_failed_trials, max_time, target: as for `RandomSearch`.
        acquisition: "auto", "ucb", "ei", "logei", "pi" or "thompson".
        kappa: another name of `beta`.
        xi: improvement below which "ei", "logei" and "pi" do not count, in units of the objective.
        **kwargs: of `Tuner` and `BaseTuner`.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = 10,
        num_initial_points: int | None = None,
        alpha: float = DEFAULT_ALPHA,
        beta: float = 2.6,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int | None = 3,
        *,
        acquisition: str = "auto",
        kappa: float | None = None,
        xi: float = 0.0,
        max_time: float | None = None,
        target: float | None = None,
        **kwargs: Any,
    ) -> None:
        self.seed = seed
        oracle = BayesianOptimizationOracle(
            objective=objective,
            max_trials=max_trials,
            num_initial_points=num_initial_points,
            alpha=alpha,
            beta=beta,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
            acquisition=acquisition,
            kappa=kappa,
            xi=xi,
            max_time=max_time,
            target=target,
        )
        super().__init__(oracle, hypermodel, **kwargs)
