"""The tuner of Keras models. Names of `keras_tuner.engine.tuner`."""

from __future__ import annotations

from krigetuner.adapters.keras import in_scope as maybe_distribute
from krigetuner.tuners.tuner import Tuner

__all__ = ["Tuner", "maybe_distribute"]
