"""What is tuned. Names of `keras_tuner.engine.hypermodel`."""

from __future__ import annotations

from krigetuner.tuners.hypermodel import DefaultHyperModel, HyperModel
from krigetuner.tuners.hypermodel import as_hypermodel as get_hypermodel

__all__ = ["DefaultHyperModel", "HyperModel", "get_hypermodel"]
