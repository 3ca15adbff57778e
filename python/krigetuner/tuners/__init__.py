"""Tuners, with KerasTuner's names; and its modules of tuners, `krigetuner.tuners.bayesian` and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from krigetuner.tuners import bayesian, gridsearch, hyperband, randomsearch, sklearn, sklearn_tuner
    from krigetuner.tuners.classes import BayesianOptimization, GridSearch, RandomSearch
    from krigetuner.tuners.hyperband import Hyperband
    from krigetuner.tuners.sklearn_tuner import SklearnTuner
    from krigetuner.tuners.tuner import Tuner

    Sklearn = SklearnTuner

__all__ = [
    "BayesianOptimization",
    "GridSearch",
    "Hyperband",
    "RandomSearch",
    "Sklearn",
    "SklearnTuner",
    "Tuner",
    "bayesian",
    "gridsearch",
    "hyperband",
    "randomsearch",
    "sklearn",
    "sklearn_tuner",
]

_MODULES = {
    "BayesianOptimization": "classes",
    "GridSearch": "classes",
    "Hyperband": "hyperband",
    "RandomSearch": "classes",
    "Sklearn": "sklearn",
    "SklearnTuner": "sklearn_tuner",
    "Tuner": "tuner",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used; modules of this room import each other directly."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module(f"{__name__}.{_MODULES.get(name, name)}")
    return getattr(module, name) if name in _MODULES else module


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
