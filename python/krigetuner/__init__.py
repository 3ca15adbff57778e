"""KrigeTuner: a hyperparameter tuner with KerasTuner's interface and a Gaussian-process core.

`import krigetuner as kt` loads no framework and no native code; names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from krigetuner import applications, compat, config, distribute, engine, errors, oracles, tuners, utils
    from krigetuner.errors import FailedTrialError, KrigeTunerWarning
    from krigetuner.run.local.processes import ProcessExecutor
    from krigetuner.run.ray.executor import RayExecutor
    from krigetuner.space.parameter import HyperParameter
    from krigetuner.space.recorder import HyperParameters
    from krigetuner.trial.objective import Objective
    from krigetuner.tuners.base_tuner import BaseTuner
    from krigetuner.tuners.classes import BayesianOptimization, GridSearch, RandomSearch
    from krigetuner.tuners.hyperband import Hyperband
    from krigetuner.tuners.hypermodel import HyperModel
    from krigetuner.tuners.logger import Logger
    from krigetuner.tuners.oracle import Oracle
    from krigetuner.tuners.sklearn_tuner import SklearnTuner
    from krigetuner.tuners.synchronized import synchronized
    from krigetuner.tuners.trial import Trial
    from krigetuner.tuners.tuner import Tuner
    from krigetuner.versions import show_versions

    __version__: str

__all__ = [
    "BaseTuner",
    "BayesianOptimization",
    "FailedTrialError",
    "GridSearch",
    "HyperModel",
    "HyperParameter",
    "HyperParameters",
    "Hyperband",
    "KrigeTunerWarning",
    "Logger",
    "Objective",
    "Oracle",
    "ProcessExecutor",
    "RandomSearch",
    "RayExecutor",
    "SklearnTuner",
    "Trial",
    "Tuner",
    "__version__",
    "applications",
    "compat",
    "config",
    "distribute",
    "engine",
    "errors",
    "oracles",
    "show_versions",
    "synchronized",
    "tuners",
    "utils",
]

_MODULES = {
    "BaseTuner": "tuners.base_tuner",
    "BayesianOptimization": "tuners.classes",
    "FailedTrialError": "errors",
    "GridSearch": "tuners.classes",
    "HyperModel": "tuners.hypermodel",
    "HyperParameter": "space.parameter",
    "HyperParameters": "space.recorder",
    "Hyperband": "tuners.hyperband",
    "KrigeTunerWarning": "errors",
    "Logger": "tuners.logger",
    "Objective": "trial.objective",
    "Oracle": "tuners.oracle",
    "ProcessExecutor": "run.local.processes",
    "RandomSearch": "tuners.classes",
    "RayExecutor": "run.ray.executor",
    "SklearnTuner": "tuners.sklearn_tuner",
    "Trial": "tuners.trial",
    "Tuner": "tuners.tuner",
    "show_versions": "versions",
    "synchronized": "tuners.synchronized",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used."""
    if name == "__version__":
        value: Any = importlib.import_module(f"{__name__}.run.version").version()
    elif name in _MODULES:
        value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    elif name in __all__:
        value = importlib.import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
