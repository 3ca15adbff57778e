"""Tuners, with KerasTuner's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from krigetuner.tuners.classes import BayesianOptimization, GridSearch, RandomSearch
    from krigetuner.tuners.tuner import Tuner

__all__ = ["BayesianOptimization", "GridSearch", "RandomSearch", "Tuner"]

_MODULES = {"BayesianOptimization": "classes", "GridSearch": "classes", "RandomSearch": "classes", "Tuner": "tuner"}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used; modules of this room import each other directly."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
