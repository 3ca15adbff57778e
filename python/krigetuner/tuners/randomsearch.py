"""Random search under the module path of KerasTuner's."""

from __future__ import annotations

from krigetuner.tuners.builtin_oracles import RandomSearchOracle
from krigetuner.tuners.classes import RandomSearch

__all__ = ["RandomSearch", "RandomSearchOracle"]
