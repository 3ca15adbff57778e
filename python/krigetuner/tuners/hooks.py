"""The callbacks that a Keras tuner adds to every fit: its own hooks, and the follower of the training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from krigetuner.adapters.keras import batch_callback, watching_callback
from krigetuner.adapters.training import Training
from krigetuner.tuners.trial import Trial


class Hooked(Protocol):
    """A tuner's hooks."""

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


def _overridden(tuner: Hooked, name: str) -> bool:
    """Whether a subclass, or the object itself, defines the hook."""
    if name in vars(tuner):
        return True
    owner = next(c for c in type(tuner).__mro__ if name in vars(c))
    return not owner.__module__.startswith("krigetuner.")
