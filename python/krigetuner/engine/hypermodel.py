"""What is tuned. Names of `keras_tuner.engine.hypermodel`."""

from __future__ import annotations

from krigetuner.tuners.hypermodel import HyperModel

__all__ = ["HyperModel"]
