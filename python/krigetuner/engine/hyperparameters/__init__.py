"""Hyperparameters, and the recorder that `build` asks for them. Names of `keras_tuner.engine.hyperparameters`."""

from __future__ import annotations

from krigetuner.space.parameters import Boolean, Choice, Fixed, Float, HyperParameter, Int, deserialize, serialize
from krigetuner.space.recorder import HyperParameters

__all__ = [
    "Boolean",
    "Choice",
    "Fixed",
    "Float",
    "HyperParameter",
    "HyperParameters",
    "Int",
    "deserialize",
    "serialize",
]
