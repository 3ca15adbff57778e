"""Objects whose state can be kept in a file. Names of `keras_tuner.engine.stateful`."""

from __future__ import annotations

from krigetuner.tuners.stateful import Stateful

__all__ = ["Stateful"]
