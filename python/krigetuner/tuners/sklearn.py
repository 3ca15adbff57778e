"""The scikit-learn tuner under its module path and its name of KerasTuner 1.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Sklearn: Any
    SklearnTuner: Any

__all__ = ["Sklearn", "SklearnTuner"]


def __getattr__(name: str) -> Any:
    """`Sklearn` and `SklearnTuner` are one class."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from krigetuner.tuners import sklearn_tuner

    return sklearn_tuner.SklearnTuner
