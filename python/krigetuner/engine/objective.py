"""What a search minimises or maximises. Names of `keras_tuner.engine.objective`."""

from __future__ import annotations

from krigetuner.trial.objective import DefaultObjective, MultiObjective, Objective, create_objective

__all__ = ["DefaultObjective", "MultiObjective", "Objective", "create_objective"]
