"""The framework-free base class of tuners. Names of `keras_tuner.engine.base_tuner`."""

from __future__ import annotations

from krigetuner.tuners.base_tuner import BaseTuner

__all__ = ["BaseTuner"]
