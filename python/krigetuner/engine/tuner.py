"""The tuner of Keras models. Names of `keras_tuner.engine.tuner`."""

from __future__ import annotations

from krigetuner.tuners.tuner import Tuner

__all__ = ["Tuner"]
