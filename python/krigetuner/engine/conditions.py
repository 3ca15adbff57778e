"""Conditions under which hyperparameters are active. Names of `keras_tuner.engine.conditions`."""

from __future__ import annotations

from krigetuner.space.conditions import Condition, Parent, deserialize, serialize

__all__ = ["Condition", "Parent", "deserialize", "serialize"]
