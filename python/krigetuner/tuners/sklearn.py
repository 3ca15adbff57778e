"""The scikit-learn tuner under its module path and its name of KerasTuner 1.0."""

from __future__ import annotations

from krigetuner.tuners.sklearn_tuner import SklearnTuner

Sklearn = SklearnTuner

__all__ = ["Sklearn", "SklearnTuner"]
