"""When a parameter is active: conditions on the values of other parameters.

A parameter is active when all its conditions hold, each of which asks that a parent is active and has one of some
values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from krigetuner.protos import conversion

Value = bool | int | float | str


def as_list(values: Any) -> list[Any]:
    """A list of what was given: lists and tuples item by item, numpy values as Python's, anything else as one item."""
    if isinstance(values, np.ndarray):
        return list(values.tolist()) if values.ndim else [values.item()]
    items = list(values) if isinstance(values, list | tuple | range) else [values]
    return [v.item() if isinstance(v, np.generic) else v for v in items]


class Condition(ABC):
    """Something that must hold for a parameter to be active."""

    @abstractmethod
    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Whether it holds, given the values of the active parameters."""

    @abstractmethod
    def __eq__(self, other: object) -> bool: ...

    @abstractmethod
    def __hash__(self) -> int: ...

    @abstractmethod
    def get_config(self) -> dict[str, Any]:
        """Plain data that `from_config` turns back into an equal condition."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Condition:
        """The condition that `get_config` described."""
        return cls(**config)

    def to_proto(self) -> Any:
        """The condition as a message of KerasTuner's protocol."""
        return conversion.condition_message(serialize(self))

    @classmethod
    def from_proto(cls, proto: Any) -> Condition:
        """The condition that `to_proto` described."""
        return deserialize(conversion.condition_config(proto))


class Parent(Condition):
    """Holds when the parameter `name` is active and its value is one of `values`.

    Args:
        name: full name of the parent, name scopes included.
        values: one value or several, of one type: str, int, float or bool.

    Raises:
        ValueError: no values.
        TypeError: values of another type.
    """

    def __init__(self, name: str, values: Any) -> None:
        self.name = name
        self.values: list[Value] = _standardise(name, as_list(values))

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Whether the parent has a value, and one of the wanted ones."""
        return self.name in values and values[self.name] in self.values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parent) and other.name == self.name and other.values == self.values

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.values)))

    def __repr__(self) -> str:
        return f"Parent(name={self.name!r}, values={self.values!r})"

    def get_config(self) -> dict[str, Any]:
        """Name and values."""
        return {"name": self.name, "values": list(self.values)}


def _standardise(name: str, values: list[Any]) -> list[Value]:
    if not values:
        raise ValueError(
            f"parent_values: expected at least one value of {name!r}, got {values!r}; "
            "name the values that make it active"
        )
    first = values[0]
    if isinstance(first, str):
        return [str(v) for v in values]
    if isinstance(first, bool):
        return values
    if isinstance(first, int):
        return [int(v) for v in values]
    if isinstance(first, float):
        return values
    raise TypeError(
        f"parent_values: Can contain only `int`, `float`, `str`, or `bool`, found values: {values} "
        f"with types: {type(first)} for parent {name!r}"
    )


def serialize(condition: Condition) -> dict[str, Any]:
    """KerasTuner's layout: class name and configuration."""
    return {"class_name": type(condition).__name__, "config": condition.get_config()}


def deserialize(config: Mapping[str, Any] | Condition) -> Condition:
    """The condition that `serialize` described; a condition passes through.

    Raises:
        ValueError: another class than Parent.
    """
    if isinstance(config, Condition):
        return config
    if config.get("class_name") != "Parent":
        raise ValueError(
            f"conditions: expected class_name 'Parent', got {config.get('class_name')!r}; only parents are known"
        )
    return Parent.from_config(config["config"])
