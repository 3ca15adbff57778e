"""Numbers as users give them: what is taken, and what is refused."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

import numpy as np

FINEST_FACTOR = 1.00000001
"""The least step of a logarithmic scale: its end is reached up to a billionth."""


def as_int(value: Any, argument: str) -> int:
    """A whole number as an `int`.

    Raises:
        ValueError: a fraction, a non-finite number or text.
        TypeError: something else that is no number.
    """
    try:
        whole = int(value)
    except (ValueError, OverflowError):
        whole = None  # NaN, infinite, or text: refused below
    except TypeError as error:
        raise TypeError(f"{argument} must be an int, Received: {value!r} of type {type(value)}.") from error
    if whole is None or whole != value:
        raise ValueError(f"{argument} must be an int, Received: {value!r} of type {type(value)}.")
    return whole


def as_float(value: Any, argument: str) -> float:
    """A finite number as a `float`; text that spells one is taken, as in KerasTuner.

    Raises:
        ValueError: not finite, or text that is no number.
        TypeError: something else that is no number.
    """
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{argument}: expected a number, got {value!r}") from error
    except TypeError as error:
        raise TypeError(f"{argument}: expected a number, got {value!r} of type {type(value)}") from error
    if not math.isfinite(number):
        raise ValueError(f"{argument}: expected a finite number, got {value!r}")
    return number


def indistinct(low: float, high: float, step: float | None, sampling: str, integer: bool) -> str | None:
    """What was expected of a range whose numbers float64 cannot tell apart; None where it can.

    Args:
        low, high: finite bounds, in their order.
        step: distance or factor of neighbours; above 1 for the logarithmic scales. None without one.
        sampling: "linear", "log" or "reverse_log".
        integer: whether the numbers are whole; on the linear scale these are counted exactly.
    """
    try:
        finite = math.isfinite(float(high) + (float(low) if sampling == "reverse_log" else -float(low)))
    except OverflowError:
        finite = False
    if not finite:
        got = "" if integer else f", got {low} to {high}"  # of an integer that large not even the digits are shown
        return f"bounds that float64 can hold, both together too{got}; narrow the range"
    if sampling != "linear" and not math.isfinite(high / low):
        return f"a ratio that float64 can hold with sampling='{sampling}', got {low} to {high}; narrow the range"
    spacing = math.ulp(max(abs(low), abs(high)))
    if integer:
        crowded = sampling != "linear" and step is None and high > low and high - low < 16 * spacing
        return (
            f"integers that float64 can tell apart on a {sampling} scale; take sampling='linear'" if crowded else None
        )
    if step is None or high == low:
        return None
    if sampling != "linear" and step < FINEST_FACTOR:
        return f"a factor of at least {FINEST_FACTOR} as the step, got {step}; leave it out for any value in the range"
    closest = step if sampling == "linear" else low * min(step - 1, 1.0)
    if sampling != "log" and closest < spacing:
        return (
            f"steps that float64 can tell apart, but near {high} it knows no difference of {closest}; "
            "take a larger step, or none for any value in the range"
        )
    return None


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a Python or numpy number."""
    return isinstance(value, int | float | np.integer | np.floating)  # True is 1, as for conditions
