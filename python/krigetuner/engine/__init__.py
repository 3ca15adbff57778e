"""KerasTuner's module paths: `krigetuner.engine.trial.TrialStatus` and the like; nothing is defined here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from krigetuner.engine import (
        base_tuner,
        conditions,
        hypermodel,
        hyperparameters,
        logger,
        metrics_tracking,
        multi_execution_tuner,
        objective,
        oracle,
        stateful,
        trial,
        tuner,
        tuner_utils,
    )

__all__ = [
    "base_tuner",
    "conditions",
    "hypermodel",
    "hyperparameters",
    "logger",
    "metrics_tracking",
    "multi_execution_tuner",
    "objective",
    "oracle",
    "stateful",
    "trial",
    "tuner",
    "tuner_utils",
]


def __getattr__(name: str) -> Any:
    """Imports a module when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
