"""Exact arithmetic of ranges: grids of stepped numbers, and the scales of continuous ones.

Stepped numbers are computed in decimal from what the user wrote, so that the third of `0, 0.1, 0.2, 0.3` is 0.3 and the
last of `Float(0, 1, step=0.1)` is 1.0. Scales (p in [0, 1], KerasTuner's definitions):

    linear       low + p (high - low)
    log          low (high / low)^p
    reverse_log  high + low - low (high / low)^(1 - p)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cached_property
from typing import Literal, overload

from krigetuner.space.given_numbers import is_number

Sampling = Literal["linear", "log", "reverse_log"]

TABLED = 512
"""Grids of at most so many numbers are computed once."""
LISTED = 100_000
"""Grids of at most so many numbers are listed as a tuple."""
_EXACT = Context(prec=60)
_TOLERANCE = Decimal("1e-9")
"""Relative slack for steps that no decimal holds, such as 1/3: the range's end is still reached."""


@dataclass(frozen=True)
class Grid:
    """The numbers low, low + step, ... up to high (linear), low step^k (log), or high + low - low step^k (reverse_log).

    Args:
        low, high: bounds, both included where the steps reach them.
        step: positive; above 1 for the logarithmic scales.
        sampling: the scale.
        integer: whether values are `int`.
    """

    low: float
    high: float
    step: float
    sampling: Sampling
    integer: bool

    @cached_property
    def _exact(self) -> tuple[Decimal, Decimal, Decimal]:
        low, high, step = (Decimal(repr(v)) for v in (self.low, self.high, self.step))
        if self.sampling == "linear" and not self.integer:
            ratio = _EXACT.divide(_EXACT.subtract(high, low), step)
            whole = ratio.to_integral_value()
            if whole > 0 and abs(ratio - whole) <= _TOLERANCE * whole and ratio != whole:
                step = _EXACT.divide(_EXACT.subtract(high, low), whole)
        return low, high, step

    @cached_property
    def _log_step(self) -> float:
        return float(_EXACT.ln(self._exact[2]))

    @cached_property
    def count(self) -> int:
        """How many numbers there are, at least 1."""
        if self.sampling == "linear" and self.integer:
            return int((self.high - self.low) // self.step) + 1
        low, high, step = self._exact
        if self.sampling == "linear":
            return int(_EXACT.divide(_EXACT.subtract(high, low), step) * (1 + Decimal("1e-30"))) + 1
        limit = high * (1 + _TOLERANCE)
        top = int(math.log(self.high / self.low) / self._log_step)
        while self._power(top + 1) <= limit:
            top += 1
        while top > 0 and self._power(top) > limit:
            top -= 1
        return top + 1

    def _power(self, exponent: int) -> Decimal:
        low, _, step = self._exact
        return _EXACT.multiply(low, _EXACT.power(step, exponent))

    def value(self, index: int) -> float:
        """The number at an index in [0, count)."""
        if self.sampling == "linear" and self.integer:
            return int(self.low) + index * int(self.step)
        return self._table[index] if self.count <= TABLED else self._computed(index)

    @cached_property
    def _table(self) -> tuple[float, ...]:
        return tuple(self._computed(i) for i in range(self.count))

    def _computed(self, index: int) -> float:
        low, high, step = self._exact
        if self.sampling == "linear":
            exact = _EXACT.add(low, _EXACT.multiply(step, Decimal(index)))
        elif self.sampling == "log":
            exact = self._power(index)
        else:
            exact = _EXACT.subtract(_EXACT.add(high, low), self._power(index))
        if self.integer:
            return int(exact)
        return min(max(float(exact), self.low), self.high)

    def index(self, value: float) -> int:
        """The index of the number nearest to `value`."""
        if self.sampling == "linear":
            if self.integer and isinstance(value, int):
                below, left = divmod(value - int(self.low), int(self.step))  # exact for integers of any size
                return min(max(below + (2 * left > self.step), 0), self.count - 1)
            guess = (value - self.low) / self.step
        else:
            inside = min(max(value, self.low), self.high)
            power = inside if self.sampling == "log" else self.high + self.low - inside
            guess = math.log(power / self.low) / self._log_step
        near = min(max(round(max(guess, -1.0)), 0), self.count - 1)
        if self.value(near) == value:
            return near
        around = range(max(near - 1, 0), min(near + 2, self.count))
        return min(around, key=lambda i: abs(self.value(i) - value))


class GridValues(Sequence[float]):
    """All numbers of a grid, each computed when it is asked for: a fine grid has more than fit into memory."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def __len__(self) -> int:
        return self.grid.count

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[float, ...]: ...
    def __getitem__(self, index: int | slice) -> float | tuple[float, ...]:
        if isinstance(index, slice):
            return tuple(self.grid.value(i) for i in range(self.grid.count)[index])
        return self.grid.value(range(self.grid.count)[index])  # range refuses an index beyond the end

    def index(self, value: float, start: int = 0, stop: int | None = None) -> int:
        """Where a number is; ValueError where it is none of them."""
        found = self._find(value)
        if found is None or found not in range(self.grid.count)[start:stop]:
            raise ValueError(f"{value!r} is not among the numbers of {self.grid}")
        return found

    def _find(self, value: object) -> int | None:
        if not is_number(value) or not self.grid.low <= value <= self.grid.high:
            return None
        found = self.grid.index(value)
        return found if self.grid.value(found) == value else None

    def __contains__(self, value: object) -> bool:
        return self._find(value) is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GridValues) and other.grid == self.grid

    def __hash__(self) -> int:
        return hash(self.grid)

    def __repr__(self) -> str:
        return f"GridValues({self.grid})"


def from_unit(sampling: Sampling, low: float, high: float, p: float) -> float:
    """The number at p of a scale."""
    if sampling == "linear":
        return p * (high - low) + low
    if sampling == "log":
        return low * math.pow(high / low, p)
    return high + low - low * math.pow(high / low, 1 - p)


def to_unit(sampling: Sampling, low: float, high: float, value: float) -> float:
    """Where on a scale a number lies; 0.5 when the range is a single number."""
    if low == high:
        return 0.5
    if sampling == "linear":
        return (value - low) / (high - low)
    if sampling == "log":
        return math.log(value / low) / math.log(high / low)
    return 1.0 - math.log((high + low - value) / low) / math.log(high / low)


def tidy(sampling: Sampling, low: float, high: float, value: float) -> float:
    """`value` to 12 digits: significant ones on the log scale, else counted from the size of the range."""
    if sampling == "log":
        return float(f"{value:.11e}")
    return round(value, 12 - math.ceil(math.log10(high - low)))


def continuous_unit(sampling: Sampling, low: float, high: float, value: float) -> float:
    """Where a number of a continuous range lies, in [0, 1]: exactly 0 and 1 at its ends."""
    if value <= low:
        return 0.5 if low == high else 0.0
    return 1.0 if value >= high else min(max(to_unit(sampling, low, high, value), 0.0), 1.0)


def continuous_value(sampling: Sampling, low: float, high: float, p: float) -> float:
    """The number at p of a continuous range, such that `continuous_unit` and this function take it back to itself.

    A number of at most 12 digits is preferred among those that mean p, so that 0.001 comes back as 0.001. Where no
    float means p exactly, a p next to it is taken.
    """
    for _ in range(8):
        if p <= 0.0 or low == high:
            return low
        if p >= 1.0:
            return high
        raw = min(max(from_unit(sampling, low, high, p), low), high)
        up, down = math.nextafter(raw, math.inf), math.nextafter(raw, -math.inf)
        for candidate in (tidy(sampling, low, high, raw), raw, up, down):
            if low <= candidate <= high and continuous_unit(sampling, low, high, candidate) == p:
                return candidate
        p = continuous_unit(sampling, low, high, raw)
    return raw
