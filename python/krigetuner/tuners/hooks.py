"""The callbacks that a Keras tuner adds to every fit: its own hooks, and the follower of the training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from krigetuner.adapters.context import present_context
from krigetuner.adapters.function import number_of
from krigetuner.adapters.keras import batch_callback, watching_callback
from krigetuner.adapters.training import Training
from krigetuner.trial.trial import TrialStatus
from krigetuner.tuners import scoring
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.trial import Trial


class Hooked(Protocol):
    """A tuner's hooks, and what they reach."""

    oracle: Oracle

    def save_model(self, trial_id: str, model: Any, step: int = 0) -> None:
        """Saves a trial's model."""

    def on_batch_begin(self, trial: Trial, model: Any, batch: int, logs: Mapping[str, Any] | None) -> None:
        """A training batch begins."""

    def on_batch_end(self, trial: Trial, model: Any, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """A training batch has ended."""

    def on_epoch_begin(self, trial: Trial, model: Any, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """An epoch begins."""

    def on_epoch_end(self, trial: Trial, model: Any, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """An epoch has ended."""


class Hooks:
    """Passes what Keras tells on to a tuner's hooks, then to the training.

    Args:
        tuner: whose hooks are called.
        trial: that runs.
        training: that follows it.
    """

    def __init__(self, tuner: Hooked, trial: Trial, training: Training) -> None:
        self._tuner = tuner
        self._trial = trial
        self._training = training

    def callbacks(self) -> list[Any]:
        """Keras callbacks; the one for batches only where somebody listens, since it makes every batch wait."""
        found = [watching_callback(self)]
        if any(_overridden(self._tuner, name) for name in ("on_batch_begin", "on_batch_end")):
            found.insert(0, batch_callback(self._batch_begin, self._batch_end))
        return found

    def _batch_begin(self, model: Any, batch: int, logs: Any) -> None:
        self._tuner.on_batch_begin(self._trial, model, batch, logs)

    def _batch_end(self, model: Any, batch: int, logs: Any) -> None:
        self._tuner.on_batch_end(self._trial, model, batch, logs)

    def train_begin(self, model: Any) -> None:
        """A fit begins."""
        self._training.train_begin(model)

    def epoch_begin(self, model: Any, epoch: int, logs: Mapping[str, Any]) -> None:
        """An epoch begins."""
        self._training.epoch_begin(model)
        self._tuner.on_epoch_begin(self._trial, model, epoch, logs=logs)

    def epoch_end(self, model: Any, epoch: int, logs: Mapping[str, Any]) -> None:
        """An epoch has ended."""
        self._tuner.on_epoch_end(self._trial, model, epoch, logs=logs)
        self._training.epoch_end(model, epoch, logs)

    def train_end(self, model: Any) -> None:
        """A fit has ended."""
        self._training.train_end(model)


def report_epoch(tuner: Hooked, trial: Trial, model: Any, epoch: int, logs: Mapping[str, Any] | None) -> None:
    """What `on_epoch_end` does in a training loop that calls it by hand, as in KerasTuner 1.0.

    The metrics are recorded; with the objective among them they count as the trial's, should `run_trial` neither return
    any nor give any to the oracle. The model is saved, and told to stop where the oracle's `update_trial` answers
    STOPPED. Outside of the trial's own run it does nothing.

    Args:
        tuner: whose `run_trial` has the loop.
        trial: that runs.
        model: any object; Keras models are saved, others when the tuner has a `save_model` of its own.
        epoch: counts from 0.
        logs: metrics of the epoch; what is no single number is left out.
    """
    context = present_context()
    if context is None or context.number != trial.number:
        return
    numbers = {name: number for name, value in (logs or {}).items() if (number := number_of(value)) is not None}
    stopped = False
    if tuner.oracle.objective.has_value(numbers):
        told: Any = tuner.oracle.update_trial(trial.trial_id, numbers, step=epoch)
        stopped = TrialStatus.STOPPED in (told, getattr(told, "status", None))
        context.by_hooks |= scoring.last_places(trial, scoring.reported(numbers, tuner.oracle.objective), epoch)
    elif numbers:
        context.report(epoch, numbers)
    if hasattr(model, "stop_training") and (stopped or context.should_stop()):
        model.stop_training = True
    if _overridden(tuner, "save_model") or getattr(model, "built", False):
        tuner.save_model(trial.trial_id, model, step=epoch)


def _overridden(tuner: Hooked, name: str) -> bool:
    """Whether a subclass, or the object itself, defines the hook."""
    if name in vars(tuner):
        return True
    owner = next(c for c in type(tuner).__mro__ if name in vars(c))
    return not owner.__module__.startswith("krigetuner.")
