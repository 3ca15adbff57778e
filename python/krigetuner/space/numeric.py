"""Numbers that can vary: Int and Float, on a linear, log or reverse_log scale, with or without steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np

from krigetuner.space.given_numbers import as_float, as_int, indistinct, is_number
from krigetuner.space.grids import (
    LISTED,
    Grid,
    GridValues,
    Sampling,
    continuous_unit,
    continuous_value,
    from_unit,
    to_unit,
)
from krigetuner.space.parameter import Array, HyperParameter

SAMPLINGS = ("linear", "log", "reverse_log")
REMEMBERED = 4096
"""So many answers to "which legal value is this?" are kept by a parameter."""


class Numerical(HyperParameter):
    """A number between two bounds. Arguments as for `Int` and `Float`."""

    min_value: float
    max_value: float
    step: float | None
    sampling: Sampling
    integer: bool

    def _set_range(self, low: float, high: float, step: float | None, sampling: str | None, default: Any) -> None:
        self.min_value, self.max_value, self.step = low, high, step
        where = f"For HyperParameters.{type(self).__name__}(name='{self.name}'), "
        if low > high:
            raise ValueError(f"{where}min_value {low} is greater than the max_value {high}; swap them")
        if not isinstance(sampling, str | None) or (sampling or "linear").lower() not in SAMPLINGS:
            raise ValueError(f"{where}sampling must be one of {SAMPLINGS}, got {sampling!r}")
        self.sampling = cast(Sampling, (sampling or "linear").lower())
        if self.sampling != "linear":
            if low <= 0:
                raise ValueError(
                    f"{where}sampling='{self.sampling}' does not support negative values, found min_value: {low}; "
                    "a logarithmic scale needs min_value > 0"
                )
            if step is not None and step <= 1:
                raise ValueError(
                    f"{where}expected step > 1 with sampling='{self.sampling}'. Received: step={step}; "
                    "it is a factor there"
                )
        elif step is not None and step <= 0:
            raise ValueError(
                f"{where}expected step > 0. Received: step={step}; leave it out for any value in the range"
            )
        if problem := indistinct(low, high, step, self.sampling, self.integer):
            raise ValueError(f"{where}min_value, max_value, step: expected {problem}")
        self._default = self._checked_default(default, where)

    def _checked_default(self, default: Any, where: str) -> float | None:
        if default is None:
            return None
        number = as_int(default, f"{where}default") if self.integer else as_float(default, f"{where}default")
        inside = min(max(number, self.min_value), self.max_value)
        if not self._means(inside, number):
            raise ValueError(
                f"{where}default: expected a value between min_value {self.min_value} and max_value {self.max_value}, "
                f"got {default!r}; widen the range or change the default"
            )
        return inside

    @property
    def default(self) -> Any:
        """The default given, or `min_value`."""
        return self.min_value if self._default is None else self._default

    @property
    def logarithmic(self) -> bool:
        """Whether the values are numbers on a logarithmic scale, from either end."""
        return self.sampling != "linear"

    @cached_property
    def grid(self) -> Grid | None:
        """The stepped numbers; None without a step."""
        if self.step is None:
            return None
        return Grid(self.min_value, self.max_value, self.step, self.sampling, self.integer)

    @cached_property
    def _extra(self) -> int | None:
        """Index of a default that is none of the stepped numbers; it is legal too, and takes a place among them.

        That is one that was given, or `min_value` where the steps of reverse_log, which begin at `max_value`, miss it.
        """
        if self.grid is None:
            return None
        default: float = self.default
        index = self.grid.index(default)
        nearest = self.grid.value(index)
        if self._means(nearest, default):
            return None
        descending = self.sampling == "reverse_log"
        return index + ((default > nearest) != descending)

    @cached_property
    def _canonical(self) -> dict[Any, Any]:
        return {}

    def value_at(self, index: int) -> Any:
        """The number at an index; the order is ascending, or descending with reverse_log and step, as in KerasTuner."""
        if self.grid is None:
            return int(self.min_value) + index
        if self._extra is None:
            return self.grid.value(index)
        if index == self._extra:
            return self.default
        return self.grid.value(index - (index > self._extra))

    def index_of(self, value: Any) -> int:
        """The index of the nearest number."""
        if self.grid is None:
            return int(min(max(round(value), self.min_value), self.max_value) - self.min_value)
        index = self.grid.index(value)
        if self._extra is None:
            return index
        around = [i for i in (index, index + 1, self._extra) if i <= self.grid.count]
        return min(around, key=lambda i: abs(self.value_at(i) - value))

    def canonical(self, value: Any) -> Any:
        """The legal number that `value` means, steps within rounding."""
        known = self._canonical.get(value) if is_number(value) else None
        if known is None:
            known = self._look_up(value)
            if self.count is not None and len(self._canonical) < REMEMBERED:
                self._canonical[value] = known
        return known

    def _look_up(self, value: Any) -> Any:
        number = value.item() if isinstance(value, np.generic) else value
        inside = min(max(number, self.min_value), self.max_value) if is_number(number) else math.nan
        if not self._means(inside, number):
            raise ValueError(f"{self.name}: expected a number from {self.min_value} to {self.max_value}, got {value!r}")
        if self.count is None:
            return float(inside)
        nearest = self.value_at(self.index_of(inside))
        if not self._means(nearest, inside):
            raise ValueError(
                f"{self.name}: expected one of its values, of which {nearest!r} is the nearest, got {value!r}"
            )
        return nearest

    def _means(self, legal: float, value: Any) -> bool:
        """Whether a number is a legal one, for real numbers up to rounding; False for what is no number."""
        if self.integer or not is_number(value):
            return is_number(value) and bool(legal == value)
        width = (self.step or self.max_value - self.min_value) if self.sampling == "linear" else 0.0
        return bool(abs(legal - value) <= 1e-9 * max(abs(legal), width))

    def admitted(self, value: Any) -> Any | None:
        """A number in the range, on a step or not; a whole one where integers are expected."""
        if not is_number(value) or not self.min_value <= value <= self.max_value:
            return None
        if not self.integer:
            return value
        return int(value) if value == int(value) else None

    def _stepped_prob_to_value(self, grid: Grid, prob: float) -> Any:
        return grid.value(min(max(int(prob * grid.count), 0), grid.count - 1))

    def _stepped_value_to_prob(self, grid: Grid, value: float) -> float:
        return (grid.index(value) + 0.5) / grid.count

    @cached_property
    def _all(self) -> Sequence[Any]:
        every = GridValues(cast(Grid, self.grid))
        return every[:] if every.grid.count <= LISTED else every

    @cached_property
    def _quantiles(self) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(self.prob_to_value((i + 0.5) / 10) for i in range(10)))

    def get_config(self) -> dict[str, Any]:
        """KerasTuner's layout."""
        return {
            **super().get_config(),
            "min_value": self.min_value,
            "max_value": self.max_value,
            "step": self.step,
            "sampling": self.sampling,
        }

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(name: '{self.name}', min_value: {self.min_value}, max_value: {self.max_value}, "
            f"step: {self.step}, sampling: {self.sampling}, default: {self.default})"
        )


class Int(Numerical):
    """A whole number from `min_value` to `max_value`, both included.

    Args:
        name: its name.
        min_value, max_value: the bounds.
        step: distance of neighbouring values, or their factor on the logarithmic scales; None for every integer.
        sampling: "linear", "log" or "reverse_log", upper or lower case.
        default: the value before any search, `min_value` when None; between the bounds.
        conditions: what must hold for it to be active.

    Raises:
        ValueError: reversed bounds, a fraction, a step that is not positive, a logarithmic scale that starts at or
            below 0, bounds beyond float64, or integers that it cannot tell apart on a logarithmic scale.
        TypeError: a bound that is no number.
    """

    integer = True
    min_value: int
    max_value: int

    def __init__(
        self,
        name: str,
        min_value: int,
        max_value: int,
        step: int | None = None,
        sampling: str | None = "linear",
        default: int | None = None,
        conditions: Any = None,
    ) -> None:
        super().__init__(name, conditions=conditions)
        where = f"For HyperParameters.Int(name='{name}'), "
        low, high = as_int(min_value, f"{where}min_value"), as_int(max_value, f"{where}max_value")
        whole = None if step is None else as_int(step, f"{where}step")
        if whole is None and (not isinstance(sampling, str) or sampling.lower() == "linear"):
            whole = 1
        self._set_range(low, high, whole, sampling, default)

    @property
    def even(self) -> bool:  # type: ignore[override]
        """False on a logarithmic scale without steps, where a large integer has a small share."""
        return self.step is not None

    @property
    def count(self) -> int:
        """How many integers."""
        if self.grid is None:
            return self.max_value - self.min_value + 1
        return self.grid.count + (self._extra is not None)

    @property
    def values(self) -> Sequence[int]:
        """All values; without a step on a logarithmic scale, up to ten quantiles in ascending order."""
        if self.grid is None:
            return self._quantiles
        if self.sampling == "linear":
            return range(self.min_value, self.max_value + 1, int(self.step or 1))
        return self._all

    @property
    def listed(self) -> Sequence[int]:
        """Without a step every integer, on any scale."""
        return self.values if self.step is not None else range(self.min_value, self.max_value + 1)

    def prob_to_value(self, prob: float) -> int:
        """Without steps, integers share [0, 1) as the reals from min_value to max_value + 1 do."""
        if self.grid is not None:
            return int(self._stepped_prob_to_value(self.grid, prob))
        real = from_unit(self.sampling, self.min_value, self.max_value + 1, prob)
        return min(max(int(real), self.min_value), self.max_value)

    def value_to_prob(self, value: float) -> float:
        """The middle of the value's share."""
        if self.grid is not None:
            return self._stepped_value_to_prob(self.grid, value)
        return to_unit(self.sampling, self.min_value, self.max_value + 1, value + 0.5)

    def encode(self, value: float) -> float:
        """As `value_to_prob` without steps, else the middle of an equal cell."""
        return super().encode(value) if self.even else self.value_to_prob(self.index_of(value) + self.min_value)

    def decode(self, unit: float) -> int:
        """The integer at a coordinate."""
        return int(super().decode(unit)) if self.even else self.prob_to_value(unit)

    def snap(self, units: Array) -> Array:
        """The coordinates of the integers at many coordinates (m,)."""
        if self.even:
            return super().snap(units)
        low, end = self.min_value, self.max_value + 1
        span = math.log(end / low)
        if self.sampling == "log":
            centres = np.clip(np.floor(low * np.exp(units * span)), low, self.max_value) + 0.5
            return np.asarray(np.log(centres / low) / span, dtype=np.float64)
        centres = np.clip(np.floor(end + low - low * np.exp((1 - units) * span)), low, self.max_value) + 0.5
        return np.asarray(1.0 - np.log((end + low - centres) / low) / span, dtype=np.float64)

    def get_config(self) -> dict[str, Any]:
        """KerasTuner's layout; the default as it was given, None included."""
        return {**super().get_config(), "default": self._default}


class Float(Numerical):
    """A real number from `min_value` to `max_value`, both included.

    Args:
        name: its name.
        min_value, max_value: the bounds.
        step: distance of neighbouring values, or their factor on the logarithmic scales; None for a continuum.
        sampling: "linear", "log" or "reverse_log", upper or lower case.
        default: the value before any search, `min_value` when None; between the bounds.
        conditions: what must hold for it to be active.

    Raises:
        ValueError: reversed or infinite bounds, a step that is not positive or that float64 cannot tell from none, a
            logarithmic scale that starts at or below 0.
        TypeError: a bound that is no number.
    """

    integer = False

    def __init__(
        self,
        name: str,
        min_value: float,
        max_value: float,
        step: float | None = None,
        sampling: str | None = "linear",
        default: float | None = None,
        conditions: Any = None,
    ) -> None:
        super().__init__(name, conditions=conditions)
        where = f"For HyperParameters.Float(name='{name}'), "
        low, high = as_float(min_value, f"{where}min_value"), as_float(max_value, f"{where}max_value")
        self._set_range(low, high, None if step is None else as_float(step, f"{where}step"), sampling, default)

    @property
    def count(self) -> int | None:
        """How many numbers; None without a step, unless the bounds are equal."""
        if self.grid is None:
            return 1 if self.min_value == self.max_value else None
        return self.grid.count + (self._extra is not None)

    def value_at(self, index: int) -> float:
        """The number at an index."""
        return self.min_value if self.grid is None else float(super().value_at(index))

    def index_of(self, value: float) -> int:
        """The index of the nearest number."""
        return 0 if self.grid is None else super().index_of(value)

    @property
    def values(self) -> Sequence[float]:
        """All values; without a step, up to ten quantiles in ascending order."""
        if self.grid is None:
            return self._quantiles
        return self._all

    def prob_to_value(self, prob: float) -> float:
        """The number at a cumulative probability."""
        if self.grid is None:
            return continuous_value(self.sampling, self.min_value, self.max_value, prob)
        return float(self._stepped_prob_to_value(self.grid, prob))

    def value_to_prob(self, value: float) -> float:
        """Where the number lies, in [0, 1]."""
        if self.grid is not None:
            return self._stepped_value_to_prob(self.grid, value)
        return continuous_unit(self.sampling, self.min_value, self.max_value, float(value))
