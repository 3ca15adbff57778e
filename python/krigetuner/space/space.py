"""A search space as a cube: configurations to rows in [0, 1]^d and back, exactly.

Columns belong to the parameters that have more than one value. A continuum uses its own scale; N discrete values have N
cells of equal width and lie in their centres (i + 0.5) / N, numbers in their order and categories in the order given;
an integer on a logarithmic scale without steps has a cell as wide as its share. Where a parameter is inactive its
column holds INACTIVE, so that it can make no difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from krigetuner.space import order
from krigetuner.space.activity import Activity, Mask, meets, parents_first
from krigetuner.space.conditions import Value
from krigetuner.space.counting import count_configurations
from krigetuner.space.parameter import Array, HyperParameter

INACTIVE = 0.5
"""The coordinate of an inactive parameter."""


class Space:
    """An immutable set of parameters with their conditions.

    Args:
        parameters: in the order of registration; parents are resolved before children wherever they stand.
    """

    def __init__(self, parameters: Sequence[HyperParameter] = ()) -> None:
        self.parameters: tuple[HyperParameter, ...] = tuple(parameters)
        self._sorted = tuple(self.parameters[i] for i in parents_first(self.parameters))
        self._tunable = tuple(p for p in self._sorted if p.count != 1)
        column = {id(p): j for j, p in enumerate(self._tunable)}
        self._columns = tuple(column.get(id(p)) for p in self._sorted)
        self._activity = Activity(self._sorted, self._columns)

    @property
    def columns(self) -> tuple[HyperParameter, ...]:
        """The parameters that have a column each: those with more than one value."""
        return self._tunable

    @property
    def dimensions(self) -> int:
        """The number of columns d."""
        return len(self._tunable)

    @cached_property
    def categorical(self) -> npt.NDArray[np.bool_]:
        """(d,) True where a column holds unordered categories."""
        return np.array([p.categorical for p in self._tunable], dtype=bool)

    @cached_property
    def logarithmic(self) -> npt.NDArray[np.bool_]:
        """(d,) True where a column holds numbers on a logarithmic scale."""
        return np.array([p.logarithmic for p in self._tunable], dtype=bool)

    @cached_property
    def first_guess(self) -> Array:
        """The row (d,) of defaults that were given; elsewhere the middle of a range, or the first choice."""
        given = [p.encode(p.default) if p.default_given or p.categorical else 0.5 for p in self._tunable]
        return self.encode(self.decode(self.snap(np.array([given]))[0]))

    @cached_property
    def size(self) -> int | None:
        """How many different configurations there are; None when there is a continuum or they are more than 2^53."""
        return count_configurations(self._sorted)

    def __repr__(self) -> str:
        return f"Space({list(self.parameters)})"

    # Configurations

    def active_parameters(self, values: Mapping[str, Any]) -> dict[str, HyperParameter]:
        """The parameters that are active with these values, by name; values of inactive ones are ignored."""
        found: dict[str, HyperParameter] = {}
        known: dict[str, Any] = {}
        for p in self._sorted:
            if p.name not in found and meets(p, known):
                found[p.name] = p
                if p.name in values:
                    known[p.name] = values[p.name]
        return found

    def complete(self, values: Mapping[str, Any]) -> dict[str, Value]:
        """The active values, with defaults for those that are missing; inactive and unknown ones are dropped.

        Raises:
            ValueError: a value that its parameter cannot have.
        """
        full: dict[str, Value] = {}
        for p in self._sorted:
            if p.name not in full and meets(p, full):
                full[p.name] = p.canonical(values[p.name]) if p.name in values else p.default
        return full

    def defaults(self) -> dict[str, Value]:
        """The active values before any search."""
        return self.complete({})

    def contains(self, values: Mapping[str, Any]) -> bool:
        """Whether the active ones of these values are legal; missing ones count as defaults, and others are ignored."""
        try:
            self.complete(values)
        except ValueError:
            return False
        return True

    def key(self, values: Mapping[str, Any]) -> str:
        """The identity of a configuration: its active values, defaults for missing ones, whatever else is given.

        Raises:
            ValueError: a value that its parameter cannot have.
        """
        return "\n".join(f"{name}={value!r}" for name, value in sorted(self.complete(values).items()))

    # Rows

    def encode(self, values: Mapping[str, Any]) -> Array:
        """The row (d,) of a configuration; a value between legal ones goes to the nearest.

        A missing active value counts as its default. Values of inactive parameters are ignored.
        """
        row = np.full(self.dimensions, INACTIVE)
        known: dict[str, Any] = {}
        for p, column in zip(self._sorted, self._columns, strict=True):
            if p.name in known or not meets(p, known):
                continue
            known[p.name] = values.get(p.name, p.default)
            if column is not None:
                row[column] = p.encode(known[p.name])
        return row

    def encode_many(self, configurations: Sequence[Mapping[str, Any]]) -> Array:
        """The rows (n, d) of configurations."""
        rows = np.empty((len(configurations), self.dimensions))
        for i, values in enumerate(configurations):
            rows[i] = self.encode(values)
        return rows

    def decode(self, row: npt.ArrayLike) -> dict[str, Value]:
        """The active values at a row (d,), constant parameters included; the row need not be snapped."""
        units = np.asarray(row, dtype=np.float64).tolist()
        values: dict[str, Value] = {}
        for p, column in zip(self._sorted, self._columns, strict=True):
            if p.name not in values and meets(p, values):
                values[p.name] = p.value_at(0) if column is None else p.decode(units[column])
        return values

    def snap(self, rows: npt.ArrayLike) -> Array:
        """The legal rows (m, d) nearest to any rows (m, d); inactive columns become INACTIVE."""
        snapped = np.clip(np.asarray(rows, dtype=np.float64), 0.0, 1.0)
        cells, counts, uneven = self._cells
        if len(cells):
            inside = np.minimum(np.floor(snapped[:, cells] * counts), counts - 1.0)
            snapped[:, cells] = (inside + 0.5) / counts
        for column in uneven:
            snapped[:, column] = self._tunable[column].snap(snapped[:, column])
        if not self._activity.always:
            for column, mask in self._column_masks(snapped):
                snapped[~mask, column] = INACTIVE
        return snapped

    def sample(self, uniforms: npt.ArrayLike) -> Array:
        """Random legal rows (m, d) from uniform numbers (m, d): every active value has its fair share of [0, 1]."""
        return self.snap(uniforms)

    def activity(self, rows: Array) -> Mask:
        """(m, d) True where a column of snapped rows (m, d) is active."""
        table = np.ones(rows.shape, dtype=bool)
        for column, mask in self._column_masks(rows):
            table[:, column] = mask
        return table

    def row_keys(self, rows: Array) -> list[bytes]:
        """The identities of snapped rows (m, d)."""
        contiguous = np.ascontiguousarray(rows, dtype=np.float64)
        width = contiguous.shape[1] * contiguous.itemsize
        data = contiguous.tobytes()
        return [data[i * width : (i + 1) * width] for i in range(len(contiguous))]

    def neighbours(self, row: Array) -> Array:
        """The legal rows (k, d) that differ from a snapped row (d,) in one discrete parameter.

        Ordered ones move to the adjacent values, unordered ones to every other. What becomes active by it takes its
        default.
        """
        always = self._activity.always
        active = None if always else self.activity(row[None, :])[0]
        units = row.tolist()
        columns: list[int] = []
        moved: list[float] = []
        for column, count, p in self._discrete:
            if active is not None and not active[column]:
                continue
            here = min(int(units[column] * count), count - 1) if p.even else p.index_of(p.decode(units[column]))
            near = range(count) if p.categorical else range(max(here - 1, 0), min(here + 2, count))
            others = [i for i in near if i != here]
            columns += [column] * len(others)
            moved += [(i + 0.5) / count if p.even else p.encode(p.value_at(i)) for i in others]
        rows = np.repeat(row[None, :], len(columns), axis=0)
        rows[np.arange(len(columns)), columns] = moved
        if always:
            return rows
        born = ~self.activity(row[None, :]) & np.ones(rows.shape, dtype=bool)
        return self.snap(np.where(born, self._default_units, rows))

    @cached_property
    def _default_units(self) -> Array:
        return np.array([p.encode(p.default) for p in self._tunable])

    @cached_property
    def _discrete(self) -> list[tuple[int, int, HyperParameter]]:
        """Column, number of values and parameter of each that is no continuum."""
        return [(j, p.count, p) for j, p in enumerate(self._tunable) if p.count is not None]

    @cached_property
    def _cells(self) -> tuple[npt.NDArray[np.intp], Array, list[int]]:
        even = [j for j, p in enumerate(self._tunable) if p.count is not None and p.even]
        uneven = [j for j, p in enumerate(self._tunable) if p.count is not None and not p.even]
        return np.array(even, dtype=np.intp), np.array([float(self._tunable[j].count or 1) for j in even]), uneven

    def _column_masks(self, rows: Array) -> Iterator[tuple[int, Mask]]:
        for column, mask in zip(self._columns, self._activity.of_rows(rows), strict=True):
            if column is not None and mask is not None:
                yield column, mask

    # Grid order

    def enumerate(self, everything: bool = False) -> Iterator[dict[str, Value]]:
        """Every configuration in KerasTuner's grid order; of a continuum, its default and ten quantiles.

        First the defaults; the parameter registered last varies fastest; of each, the default first and then the others
        in the order of `.values`; a conditional branch only where it is active.

        Args:
            everything: whether integers on a logarithmic scale without steps, of which a grid visits quantiles too, are
                all taken: then a space of finite `size` has as many.
        """
        values: dict[str, Value] | None = self.defaults()
        while values is not None:
            yield dict(values)
            values = order.successor(self._sorted, values, everything)

    def successor(self, values: Mapping[str, Any]) -> dict[str, Value] | None:
        """The configuration after this one in the order of `enumerate`; None after the last.

        Raises:
            ValueError: a value that a grid does not visit.
        """
        return order.successor(self._sorted, values)
