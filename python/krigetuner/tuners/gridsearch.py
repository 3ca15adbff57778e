"""Grid search under the module path of KerasTuner's."""

from __future__ import annotations

from krigetuner.tuners.builtin_oracles import GridSearchOracle
from krigetuner.tuners.classes import GridSearch

__all__ = ["GridSearch", "GridSearchOracle"]
