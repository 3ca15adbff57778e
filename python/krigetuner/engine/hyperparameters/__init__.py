"""Hyperparameters, and the recorder that `build` asks for them. Names of `keras_tuner.engine.hyperparameters`."""

from __future__ import annotations

from krigetuner.space.parameters import Boolean, Choice, Fixed, Float, HyperParameter, Int, serialize
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.recorder import deserialize_any as deserialize

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
