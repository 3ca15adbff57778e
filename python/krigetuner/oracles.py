"""Oracles: KerasTuner's names, and those of the version 1.0 interface (`RandomSearch` is `RandomSearchOracle`, ...)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from krigetuner.tuners.builtin_oracles import BayesianOptimizationOracle, GridSearchOracle, RandomSearchOracle
    from krigetuner.tuners.hyperband import HyperbandOracle
    from krigetuner.tuners.oracle import Oracle

    BayesianOptimization = BayesianOptimizationOracle
    GridSearch = GridSearchOracle
    RandomSearch = RandomSearchOracle
    Hyperband = HyperbandOracle

__all__ = [
    "BayesianOptimization",
    "BayesianOptimizationOracle",
    "GridSearch",
    "GridSearchOracle",
    "Hyperband",
    "HyperbandOracle",
    "Oracle",
    "RandomSearch",
    "RandomSearchOracle",
]

_MODULES = {
    "BayesianOptimizationOracle": "builtin_oracles",
    "GridSearchOracle": "builtin_oracles",
    "HyperbandOracle": "hyperband",
    "Oracle": "oracle",
    "RandomSearchOracle": "builtin_oracles",
}


def __getattr__(name: str) -> Any:
    """Imports an oracle when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    kind = name if name in _MODULES else f"{name}Oracle"
    return getattr(importlib.import_module(f"krigetuner.tuners.{_MODULES[kind]}"), kind)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
