"""The five kinds of hyperparameters, and their plain-data form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from krigetuner.space.categorical import Boolean, Choice, Fixed
from krigetuner.space.numeric import Float, Int
from krigetuner.space.parameter import HyperParameter

__all__ = ["Boolean", "Choice", "Fixed", "Float", "HyperParameter", "Int", "deserialize", "serialize"]

_CLASSES: dict[str, type[HyperParameter]] = {c.__name__: c for c in (Fixed, Float, Int, Choice, Boolean)}


def serialize(obj: HyperParameter) -> dict[str, Any]:
    """KerasTuner's layout: class name and configuration."""
    return {"class_name": type(obj).__name__, "config": obj.get_config()}


def deserialize(config: Mapping[str, Any]) -> HyperParameter:
    """The parameter that `serialize` described.

    Raises:
        ValueError: a class that is none of the five.
    """
    name = config.get("class_name")
    if name not in _CLASSES:
        raise ValueError(f"class_name: expected one of {sorted(_CLASSES)}, got {name!r}; only these can be stored")
    made: HyperParameter = _CLASSES[name].from_config(config["config"])
    return made
