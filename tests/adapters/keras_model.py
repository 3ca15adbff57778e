"""A Keras model of a few weights and its data, for the tests of Keras trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.classes import RandomSearch

Make = Callable[..., RandomSearch]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 4)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")
FIT = {"validation_data": (X[:16], Y[:16]), "verbose": 0}


def build(hp: HyperParameters) -> Any:
    """A classifier of two classes."""
    layers = [keras.layers.Dense(hp.Int("units", 1, 8), "relu"), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential(layers)  # without an Input: built at the first batch
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"], run_eagerly=True)  # no tracing: faster here
    return model


class Count(keras.callbacks.Callback):
    """Counts what every copy of it sees."""

    epochs: list[int] = []  # noqa: RUF012

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.stop_at = stop_at
        self.own: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        Count.epochs.append(epoch)
        self.own.append(epoch)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.stop_at:
            raise KeyboardInterrupt
