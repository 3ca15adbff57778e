"""Callbacks for subclasses that fit models by themselves, as KerasTuner has them in `engine.tuner_utils`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from krigetuner.adapters.keras import keras_module
from krigetuner.trial.objective import Objective

MODULE = "krigetuner.engine.tuner_utils"


@functools.cache
def tuner_callback() -> type:
    """The class `TunerCallback(tuner, trial)`: it calls the tuner's hooks on_epoch_* and on_batch_*."""
    keras = keras_module()

    class TunerCallback(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        """Calls a tuner's hooks for a trial."""

        def __init__(self, tuner: Any, trial: Any) -> None:
            super().__init__()
            self.tuner = tuner
            self.trial = trial

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            """An epoch begins."""
            self.tuner.on_epoch_begin(self.trial, self.model, epoch, logs=logs)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            """An epoch has ended."""
            self.tuner.on_epoch_end(self.trial, self.model, epoch, logs=logs)

        def on_batch_begin(self, batch: int, logs: Any = None) -> None:
            """A training batch begins."""
            self.tuner.on_batch_begin(self.trial, self.model, batch, logs)

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            """A training batch has ended."""
            self.tuner.on_batch_end(self.trial, self.model, batch, logs)

    return _named(TunerCallback)


@functools.cache
def save_best_epoch() -> type:
    """The class `SaveBestEpoch(objective, filepath)`: it saves the weights of the best epoch that it has seen."""
    keras = keras_module()

    class SaveBestEpoch(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        """Saves the weights when the objective is better than ever; after every epoch that lacks it."""

        def __init__(self, objective: Objective, filepath: str | Path) -> None:
            super().__init__()
            self.objective = objective
            self.filepath = str(filepath)
            self.best_value = objective.worst

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            """Saves, or does not."""
            logs = logs or {}
            if self.objective.has_value(logs):
                value = float(self.objective.get_value(logs))
                if not self.objective.better_than(value, self.best_value):
                    return
                self.best_value = value
            Path(self.filepath).parent.mkdir(parents=True, exist_ok=True)
            self.model.save_weights(self.filepath)

    return _named(SaveBestEpoch)


def _named(kind: type) -> type:
    """The class under the path that it is found at, so that its objects can be pickled."""
    kind.__module__, kind.__qualname__ = MODULE, kind.__name__
    return kind
