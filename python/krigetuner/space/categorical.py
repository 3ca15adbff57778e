"""Values from a list: Choice, Boolean and Fixed."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from krigetuner.space.conditions import Value, as_list
from krigetuner.space.parameter import HyperParameter


class Choice(HyperParameter):
    """One of several values of one type: int, float, str or bool.

    Args:
        name: its name.
        values: the values, all different.
        ordered: whether their order means something; None for yes with numbers and no with text.
        default: the value before any search, the first when None.
        conditions: what must hold for it to be active.

    Raises:
        ValueError: no values, equal values, a default that is none of them, `ordered` with text.
        TypeError: values of several types, or of another type.
    """

    def __init__(
        self, name: str, values: Any, ordered: bool | None = None, default: Value | None = None, conditions: Any = None
    ) -> None:
        super().__init__(name, conditions=conditions)
        self._values = _checked_choices(name, values)
        self._ranks = {v: i for i, v in enumerate(self._values)}
        if isinstance(self._values[0], str) and default is not None:
            default = str(default)
        if default is not None and default not in self._ranks:
            raise ValueError(
                f"The default value should be one of the choices. You passed: values={self._values}, "
                f"default={default!r} for Choice(name='{name}')"
            )
        self._default = None if default is None else self.canonical(default)
        numeric = isinstance(self._values[0], int | float)
        if ordered and not numeric:
            raise ValueError(
                f"`ordered` must be `False` for non-numeric types. Choice(name='{name}') has {self._values}"
            )
        self.ordered = numeric if ordered is None else bool(ordered)

    @property
    def values(self) -> list[Any]:
        """The values, in the order given."""
        return self._values

    @property
    def default(self) -> Any:
        """The default given, or the first value."""
        return self._values[0] if self._default is None else self._default

    @property
    def count(self) -> int:
        """How many values."""
        return len(self._values)

    @property
    def categorical(self) -> bool:
        """True for text, booleans, and numbers that are said to have no order."""
        return not self.ordered or isinstance(self._values[0], str | bool)

    @cached_property
    def _sorted(self) -> list[Any]:
        return self._values if self.categorical else sorted(self._values)

    @cached_property
    def _indices(self) -> dict[Any, int]:
        return {v: i for i, v in enumerate(self._sorted)}

    def value_at(self, index: int) -> Any:
        """The value at an index: by rank where values are ordered numbers, else in the order given."""
        return self._sorted[index]

    def index_of(self, value: Any) -> int:
        """The index of the value, of the nearest one for ordered numbers.

        Raises:
            ValueError: none of the values, and they have no order.
        """
        index = self._indices.get(value)
        if index is not None:
            return index
        if self.categorical or not isinstance(value, int | float):
            return self._indices[self.canonical(value)]
        return min(range(self.count), key=lambda i: abs(self._sorted[i] - value))

    def canonical(self, value: Any) -> Any:
        """The value of the list that equals `value`."""
        found = self._ranks.get(value) if isinstance(value, int | float | str | np.generic) else None
        if found is None:
            raise ValueError(f"{self.name}: expected one of {self._values}, got {value!r}")
        return self._values[found]

    def prob_to_value(self, prob: float) -> Any:
        """Each value has an equal share, in the order given."""
        return self._values[min(max(int(prob * self.count), 0), self.count - 1)]

    def value_to_prob(self, value: Any) -> float:
        """The middle of the value's share."""
        return (self._ranks[self.canonical(value)] + 0.5) / self.count

    def get_config(self) -> dict[str, Any]:
        """KerasTuner's layout."""
        return {**super().get_config(), "values": list(self._values), "ordered": self.ordered}

    def __repr__(self) -> str:
        return f"Choice(name: '{self.name}', values: {self._values}, ordered: {self.ordered}, default: {self.default})"


class Boolean(HyperParameter):
    """True or False.

    Args:
        name: its name.
        default: the value before any search.
        conditions: what must hold for it to be active.

    Raises:
        ValueError: a default that is no boolean.
    """

    def __init__(self, name: str, default: bool = False, conditions: Any = None) -> None:
        if not isinstance(default, bool | int | float | np.bool_) or default not in (True, False):
            raise ValueError(
                f"`default` must be a Python boolean. You passed: default={default!r} for Boolean(name='{name}')"
            )
        super().__init__(name, bool(default), conditions)

    @property
    def values(self) -> tuple[bool, bool]:
        """True first, as in KerasTuner."""
        return (True, False)

    @property
    def count(self) -> int:
        """Two."""
        return 2

    @property
    def categorical(self) -> bool:
        """Always."""
        return True

    def value_at(self, index: int) -> bool:
        """False is 0, True is 1."""
        return bool(index)

    def index_of(self, value: Any) -> int:
        """False is 0, True is 1."""
        return int(bool(value))

    def canonical(self, value: Any) -> bool:
        """`True` or `False`; 1 and 0 are taken for them."""
        if not isinstance(value, bool | int | float | np.bool_) or value not in (True, False):
            raise ValueError(f"{self.name}: expected True or False, got {value!r}")
        return bool(value)

    def prob_to_value(self, prob: float) -> bool:
        """True from one half on."""
        return bool(prob >= 0.5)

    def value_to_prob(self, value: Any) -> float:
        """The middle of the value's half."""
        return 0.75 if value else 0.25

    def __repr__(self) -> str:
        return f'Boolean(name: "{self.name}", default: {self.default})'


class Fixed(HyperParameter):
    """A value that is not tuned.

    Args:
        name: its name.
        value: an int, float, str or bool.
        conditions: what must hold for it to be active.

    Raises:
        ValueError: a value of another type.
    """

    def __init__(self, name: str, value: Value, conditions: Any = None) -> None:
        plain = value.item() if isinstance(value, np.generic) else value
        if not isinstance(plain, bool | int | float | str):
            raise ValueError(
                f"`Fixed` value must be an `int`, `float`, `str`, or `bool`, found {value!r} for Fixed(name='{name}')"
            )
        super().__init__(name, plain, conditions)
        self.value: Value = plain

    @property
    def values(self) -> tuple[Value]:
        """The value alone."""
        return (self.value,)

    @property
    def count(self) -> int:
        """One."""
        return 1

    def value_at(self, index: int) -> Value:
        """The value."""
        return self.value

    def index_of(self, value: Any) -> int:
        """Zero."""
        return 0

    def canonical(self, value: Any) -> Value:
        """The value, if `value` equals it."""
        if value != self.value:
            raise ValueError(f"{self.name}: expected {self.value!r}, which is fixed, got {value!r}")
        return self.value

    def prob_to_value(self, prob: float) -> Value:
        """The value."""
        return self.value

    def value_to_prob(self, value: Any) -> float:
        """One half."""
        return 0.5

    def get_config(self) -> dict[str, Any]:
        """KerasTuner's layout: `value` in place of a default."""
        config = super().get_config()
        del config["default"]
        return {**config, "value": self.value}

    def __repr__(self) -> str:
        return f"Fixed(name: {self.name}, value: {self.value})"


def _checked_choices(name: str, values: Any) -> list[Any]:
    items = list(values) if isinstance(values, str) else as_list(values)  # KerasTuner takes text letter by letter
    if values is None or not items:
        raise ValueError(
            f"`values` must be provided for `Choice`. Choice(name='{name}') got {values!r}; give at least one"
        )
    types = {str if isinstance(v, str) else type(v) for v in items}
    if len(types) > 1:
        raise TypeError(
            f"A `Choice` can contain only one type of value, found values: {items} with types {types} "
            f"for Choice(name='{name}')"
        )
    if not isinstance(items[0], bool | int | float | str):
        raise TypeError(
            f"A `Choice` can contain only `int`, `float`, `str`, or `bool`, found values: {items} "
            f"with types: {type(items[0])} for Choice(name='{name}')"
        )
    if isinstance(items[0], str):
        items = [str(v) for v in items]
    repeated = sorted({v for v in items if items.count(v) > 1}, key=items.index)
    if repeated or any(v != v for v in items):
        raise ValueError(
            f"values: expected different values for Choice(name='{name}'), got {items}; "
            + (f"list {repeated} once" if repeated else "NaN equals nothing, not even itself")
        )
    return items
