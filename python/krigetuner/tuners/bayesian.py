"""Bayesian optimization under the module path of KerasTuner's."""

from __future__ import annotations

from krigetuner.tuners.builtin_oracles import BayesianOptimizationOracle
from krigetuner.tuners.classes import BayesianOptimization

__all__ = ["BayesianOptimization", "BayesianOptimizationOracle"]
