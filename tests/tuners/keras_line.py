"""A small Keras model for worker processes, which import this module."""

from __future__ import annotations

from typing import Any

import keras

from krigetuner.space.recorder import HyperParameters

EPSILON = 1e-5


def build(hp: HyperParameters) -> Any:
    """A line; fails where the script's settings have not arrived."""
    assert keras.config.epsilon() == EPSILON
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(hp.Int("units", 1, 4)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(hp.Float("rate", 0.01, 0.3)), "mse")
    return model
