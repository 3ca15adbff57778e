"""Numbers as users give them: what is taken, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


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


def countable(width: float, step: float) -> bool:
    """Whether a float can count the steps of a range."""
    try:
        return math.isfinite(width / step)
    except OverflowError:
        return False


def is_number(value: Any) -> bool:
    """Whether it is a Python or numpy number."""
    return isinstance(value, int | float | np.integer | np.floating)  # True is 1, as for conditions
