"""What comes from user code is turned into plain data here, once, before it is recorded."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from krigetuner.store.events import from_json, storable, to_json
from krigetuner.trial.history import Value

now = time.time
"""Seconds since 1970."""

text = storable
"""Text as a record may hold it."""


def scalar(value: Any) -> float | None:
    """A number as float, from a number, an array or a tensor with one element, or a list of one number.

    Returns:
        None where there are several numbers, or none, as of a metric that has one value per class.

    Raises:
        TypeError, ValueError: it holds no numbers.
    """
    if isinstance(value, list | tuple):
        numbers = [scalar(v) for v in value]
        return numbers[0] if len(numbers) == 1 else None
    shape = getattr(value, "shape", ())
    if not len(shape):
        return float(value)
    return float(value[(0,) * len(shape)]) if math.prod(shape) == 1 else None


def metrics(given: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as floats; numpy scalars and one-element tensors are welcome.

    Raises:
        TypeError: something in it is not a number.
    """
    result: dict[str, float] = {}
    for name, value in given.items():
        try:
            number = scalar(value)
        except (TypeError, ValueError, OverflowError):
            number = None
        if number is None:
            raise TypeError(
                f"metrics: expected a number for {name!r}, got {type(value).__name__} ({value!r:.80}); "
                "report scalars only"
            )
        result[text(str(name))] = number
    return result


def step(given: Any) -> int:
    """The step (epoch) that metrics belong to as an int; whole floats, numpy scalars and tensors are welcome.

    Raises:
        TypeError: it is not a number.
        ValueError: it is not a whole one.
    """
    try:
        whole = int(given)
        if whole == given:
            return whole
        kind: type[Exception] = ValueError
    except (TypeError, ValueError, OverflowError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
    raise kind(f"step: expected a whole number, such as the epoch, got {given!r:.80}; leave it out for step 0")


def values(given: Mapping[str, Any]) -> dict[str, Value]:
    """Hyperparameter values as bool, int, float or str.

    Raises:
        TypeError: a value is of another type.
    """
    result: dict[str, Value] = {}
    for name, value in given.items():
        plain = value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value
        if not isinstance(plain, bool | int | float | str):
            raise TypeError(
                f"values: expected a bool, int, float or str for {name!r}, got {type(value).__name__} "
                f"({value!r:.80}); hyperparameters hold plain values only"
            )
        result[str(name)] = plain
    return result


def names(given: Sequence[str] | None) -> tuple[str, ...] | None:
    """Names as a tuple; None for None."""
    return None if given is None else tuple(str(name) for name in given)


def data(given: Mapping[str, Any]) -> dict[str, Any]:
    """JSON data as it will be read back: tuples become lists, keys become strings.

    Raises:
        TypeError: something in it has no JSON.
    """
    result: dict[str, Any] = from_json(to_json(dict(given)))
    return result
