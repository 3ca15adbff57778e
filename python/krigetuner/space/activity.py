"""Which parameters are active in which rows: the conditions of a space, compiled once.

A parameter is active where its conditions hold and no earlier parameter of the same name is active; a parent of a
condition is the active parameter of that name. Everything is resolved parent first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from krigetuner.space.conditions import Condition, Parent
from krigetuner.space.parameter import Array, HyperParameter

Mask = npt.NDArray[np.bool_]

TABLED = 1024
"""Of at most so many cells it is looked up whether they are wanted."""


def parent_names(parameter: HyperParameter) -> list[str]:
    """The names that a parameter's conditions look at."""
    return [c.name for c in parameter.conditions if isinstance(c, Parent)]


def parents_first(parameters: Sequence[HyperParameter]) -> list[int]:
    """Indices of parameters such that parents come before children, otherwise in the order given.

    Of parameters that are conditions of each other, the one given first comes first: the others cannot make it active.
    """
    last = {p.name: i for i, p in enumerate(parameters)}
    if all(last.get(name, -1) < i for i, p in enumerate(parameters) for name in parent_names(p)):
        return list(range(len(parameters)))
    order: list[int] = []
    waiting = list(range(len(parameters)))
    while waiting:
        names = {parameters[i].name for i in waiting}
        foremost = {parameters[i].name: i for i in reversed(waiting)}  # of one name, the first keeps its precedence
        ready = (i for i in foremost.values() if not names & set(parent_names(parameters[i])))
        first = min(ready, default=waiting[0])
        order.append(first)
        waiting.remove(first)
    return order


def meets(parameter: HyperParameter, values: Mapping[str, Any]) -> bool:
    """Whether the conditions of a parameter hold for these values."""
    return not parameter.conditions or all(c.is_active(values) for c in parameter.conditions)


class Activity:
    """Evaluates activity on encoded rows.

    Args:
        parameters: all of them, parents before children.
        columns: for each parameter its column, or None where it is constant.
    """

    def __init__(self, parameters: Sequence[HyperParameter], columns: Sequence[int | None]) -> None:
        self._parameters = tuple(parameters)
        self._columns = tuple(columns)
        self._same_name: dict[str, list[int]] = {}
        for i, p in enumerate(parameters):
            self._same_name.setdefault(p.name, []).append(i)
        self._wanted: dict[tuple[int, Condition], npt.NDArray[Any]] = {}
        self.always = not any(p.conditions or len(self._same_name[p.name]) > 1 for p in parameters)

    def of_rows(self, rows: Array) -> list[Mask | None]:
        """For each parameter a mask (m,) of the rows in which it is active, None for all of them.

        Rows (m, d) must be snapped in the columns of parents.
        """
        masks: list[Mask | None] = []
        for i, parameter in enumerate(self._parameters):
            mask: Mask | None = None
            for condition in parameter.conditions:
                mask = _both(mask, self._holds(condition, rows, masks))
            for earlier in self._same_name[parameter.name]:
                if earlier < i:
                    taken = masks[earlier]
                    mask = _both(mask, np.zeros(len(rows), dtype=bool) if taken is None else ~taken)
            masks.append(mask)
        return masks

    def _holds(self, condition: Condition, rows: Array, masks: list[Mask | None]) -> Mask:
        total = np.zeros(len(rows), dtype=bool)
        if not isinstance(condition, Parent):
            return total
        for i in self._same_name.get(condition.name, ()):
            if i >= len(masks):
                break  # a parameter that waits for this one
            hit = self._has_value(i, condition, rows)
            mask = masks[i]
            total |= hit if mask is None else hit & mask
        return total

    def _has_value(self, index: int, condition: Parent, rows: Array) -> Mask:
        parameter, column = self._parameters[index], self._columns[index]
        if column is None:
            return np.full(len(rows), parameter.value_at(0) in condition.values)
        key, count = (index, condition), parameter.count or 0
        tabled = parameter.even and 0 < count <= TABLED
        if key not in self._wanted:
            units = np.array(_units(parameter, condition))
            self._wanted[key] = np.isin(np.arange(count), (units * count).astype(np.intp)) if tabled else units
        wanted = self._wanted[key]
        if tabled:
            return np.asarray(wanted[np.clip((rows[:, column] * count).astype(np.intp), 0, count - 1)])
        # Snapped coordinates are equal up to rounding.
        return np.asarray((np.abs(rows[:, column, None] - wanted) <= 1e-12).any(axis=1))


def has(parameter: HyperParameter, value: Any) -> bool:
    """Whether a parameter can have a value that equals `value`, as conditions compare: without rounding."""
    try:
        return bool(parameter.canonical(value) == value)
    except ValueError:
        return False


def _units(parameter: HyperParameter, condition: Parent) -> list[float]:
    return [parameter.encode(value) for value in condition.values if has(parameter, value)]


def _both(mask: Mask | None, other: Mask) -> Mask:
    return other if mask is None else mask & other
