"""The base class of oracles, and the objective beside it. Names of `keras_tuner.engine.oracle`."""

from __future__ import annotations

from krigetuner.trial.objective import Objective
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.synchronized import synchronized

__all__ = ["Objective", "Oracle", "synchronized"]
