"""Oracles: KerasTuner's names, and those of the version 1.0 interface (`RandomSearch` is `RandomSearchOracle`, ...)."""

from __future__ import annotations

from krigetuner.tuners.builtin_oracles import BayesianOptimizationOracle, GridSearchOracle, RandomSearchOracle
from krigetuner.tuners.oracle import Oracle

BayesianOptimization = BayesianOptimizationOracle
GridSearch = GridSearchOracle
RandomSearch = RandomSearchOracle

__all__ = [
    "BayesianOptimization",
    "BayesianOptimizationOracle",
    "GridSearch",
    "GridSearchOracle",
    "Oracle",
    "RandomSearch",
    "RandomSearchOracle",
]
