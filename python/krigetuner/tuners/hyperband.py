"""Hyperband: the Keras tuner that goes on with the trainings that were promoted; its oracle is named here too."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from krigetuner.adapters import keras as adapter
from krigetuner.adapters.training import Training
from krigetuner.errors import KrigeTunerWarning
from krigetuner.run.progress import show
from krigetuner.trial import budget
from krigetuner.tuners.hyperband_oracle import HyperbandOracle
from krigetuner.tuners.trial import Trial
from krigetuner.tuners.tuner import Tuner

__all__ = ["Hyperband", "HyperbandOracle"]


class Hyperband(Tuner):
    """Trains many configurations for a few epochs, and goes on with the best of them (Li et al. 2018).

    One iteration with the defaults runs 254 trials of 2672 epochs together; `search_space_summary()` shows the schedule
    of any others before the search. With e = max_epochs and f = factor, brackets s = floor(log_f(e)), ..., 1, 0 run one
    after the other. A bracket has the rounds r = 0 ... s: ceil(ceil(1 + log_f(e)) f^(s-r) / (s + 1)) trials that train
    to epoch ceil(e / f^(s-r)); those of round 0 are random, the others are the best of the round before.

    A promoted trial goes on where its parent ended: with its last weights and its optimizer's state, execution by
    execution and fold by fold, as if there had been no break. Where they are gone it goes on from the parent's best
    weights, and where these are gone too it trains from its first epoch; a warning says so. `epochs=` given to `search`
    has no effect.

    Args:
        hypermodel: a `HyperModel`, or a function `build(hp)`.
        objective: a metric's name, an `Objective`, a list of them, or None when runs return a number to minimise.
        max_epochs: epochs of the longest training; a little more than it takes to converge.
        factor: the share of a round that goes on is one in so many, and trains so many times as long; at least 2.
        hyperband_iterations: how often all brackets run; None for no end.
        seed: any whole number; 0 is a seed like the others. Training is seeded too when it is given.
        hyperparameters, tune_new_entries, allow_new_entries: as for `RandomSearch`.
        max_retries_per_trial, max_consecutive_failed_trials, max_time, target: as for `RandomSearch`.
        max_trials: a limit beside the schedule; None for none.
        **kwargs: of `Tuner` and `BaseTuner`.
    """

    oracle: HyperbandOracle

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_epochs: int = 100,
        factor: int = 3,
        hyperband_iterations: int | None = 1,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int | None = 3,
        *,
        max_trials: int | None = None,
        max_time: float | None = None,
        target: float | None = None,
        **kwargs: Any,
    ) -> None:
        self.seed = seed
        self._restoring = False
        self._at_once = True
        oracle = HyperbandOracle(
            objective=objective,
            max_epochs=max_epochs,
            factor=factor,
            hyperband_iterations=hyperband_iterations,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
            max_trials=max_trials,
            max_time=max_time,
            target=target,
        )
        super().__init__(oracle, hypermodel, **kwargs)

    def search_space_summary(self, extended: bool = False) -> None:
        """Shows the search space, then how many trials and epochs the search runs; see `BaseTuner`."""
        super().search_space_summary(extended)
        show("\n".join(self.oracle.schedule.describe()))

    # --- how long, and from where

    def _budget(self, trial: Trial, training: Training, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The epoch to train to, and the one to begin with."""
        values = trial.hyperparameters._values
        if budget.EPOCHS not in values:
            return {}
        if kwargs.get("epochs") not in (None, values[budget.EPOCHS]):
            self._tell_epochs(kwargs["epochs"])
        training.continued = values.get(budget.ROUND, 0) < values.get(budget.BRACKET, 0)
        parent, first = budget.parent_of(values), int(values.get(budget.INITIAL_EPOCH, 0))
        if parent is not None and self._start(parent, training) is None:
            _warn(
                f"trial {trial.trial_id}: expected weights of trial {parent}, which it goes on from, in "
                f"{self._files(parent).directory}, got none that can be loaded; it trains from its first epoch"
            )
            first = 0
        return {"epochs": int(values[budget.EPOCHS]), "initial_epoch": first}

    def _tell_epochs(self, epochs: Any) -> None:
        """Says once that the schedule decides."""
        if not self._told:
            self._told = True
            _warn(
                f"epochs: expected none in search(), since Hyperband decides how long each trial trains, got "
                f"{epochs!r}, which has no effect; the longest training has max_epochs={self.oracle.max_epochs} epochs"
            )

    def _start(self, parent: str, training: Training | None) -> Path | None:
        """The weights that an execution starts from; None when they are gone.

        The best weights of a trial under cross-validation are of one fold, and have seen what others validate with. A
        model that only data can build cannot be given weights before it trains.
        """
        files, execution, layout = self._files(parent), 0, ""
        if not self._at_once and not files.build.exists():
            return None
        if training is not None:
            execution, layout = training.execution, training.layout
        last = files.last(execution, layout)
        return last if last is not None or layout or not files.best.exists() else files.best

    def _build_hypermodel(self, hp: Any) -> Any:
        """One model, with the weights and the optimizer's state that a promoted trial goes on from."""
        model = super()._build_hypermodel(hp)
        parent, training = budget.parent_of(hp._values), self._training
        if not isinstance(model, adapter.keras_module().Model):
            return model
        self._at_once = bool(model.built)
        if parent is None or self._restoring:
            return model
        weights, files = self._start(parent, training), self._files(parent)
        if weights is None:
            return model
        if weights == files.best and training is not None:
            _warn(
                f"trial {parent}: expected the weights that its training ended with, got its best weights only; "
                "the trial that was promoted goes on from these"
            )
        try:
            with adapter.in_scope(self.distribution_strategy):
                files.load(model, weights)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(
                f"{weights}: expected weights that fit the model of the promoted trial, got {error}; the model must be "
                "built from the hyperparameters alone, and as it was when they were saved"
            ) from error
        return model

    def load_model(self, trial: Trial) -> Any:
        """The trial's model with its own best weights, compiled; see `Tuner.load_model`."""
        self._restoring = True
        try:
            return super().load_model(trial)
        finally:
            self._restoring = False


def _warn(text: str) -> None:
    warnings.warn(text, KrigeTunerWarning, stacklevel=2)
