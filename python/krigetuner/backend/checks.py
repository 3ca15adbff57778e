"""What may cross the seam to a backend, checked once; an error names the argument, what was expected and what came."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from krigetuner.backend.protocol import AcquisitionKind, AcquisitionSpec, Family, KernelHyper, Penalty, Prior
from krigetuner.errors import NotPositiveDefinite

FAMILIES: tuple[str, ...] = get_args(Family)
ACQUISITIONS: tuple[str, ...] = get_args(AcquisitionKind)
GRADIENTS = ("none", "hyper", "query")
PRECISIONS = (32, 64)


def array(name: str, value: Any, shape: tuple[int | str, ...]) -> None:
    """Refuses anything but a finite, C-contiguous float64 array of a shape.

    Args:
        name: of the argument, for the message.
        shape: one entry per axis: a length, or the letter under which any length is allowed.

    Raises:
        TypeError: not a numpy array, or not of float64.
        ValueError: the shape, the memory layout or an entry is wrong.
    """
    if not isinstance(value, np.ndarray):
        raise TypeError(
            f"{name}: expected a numpy array of float64, got {type(value).__name__}; "
            "convert it with np.array(..., dtype=np.float64)"
        )
    if value.dtype != np.float64:
        raise TypeError(f"{name}: expected dtype float64, got {value.dtype}; use .astype(np.float64)")
    fits = value.ndim == len(shape) and all(
        isinstance(w, str) or w == s for w, s in zip(shape, value.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
        raise ValueError(f"{name}: expected shape ({wanted}), got {value.shape}; pass one row for each point")
    if not value.flags.c_contiguous:
        raise ValueError(f"{name}: expected a C-contiguous array, got strides {value.strides}; copy it")
    if not np.isfinite(value).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
        where = f"row {place[0]}" + (f", column {place[1]}" if len(place) > 1 else "")
        raise ValueError(f"{name}: expected finite numbers, got {value[place]} at {where}; leave such rows out")


def points(name: str, value: Any, dimensions: int, at_least: int = 0) -> None:
    """Refuses anything but rows (m, d) of numbers, at least so many of them."""
    array(name, value, ("m", dimensions))
    if value.shape[0] < at_least:
        raise ValueError(f"{name}: expected at least {at_least} row, got {value.shape[0]}; none can be fitted")


def noise(value: Any, shape: tuple[int, ...]) -> None:
    """Refuses anything but finite noise variances of a shape, none of them negative."""
    array("noise", value, shape)
    if value.size and value.min() < 0:
        row = int(np.argwhere(value < 0)[0][-1])
        raise ValueError(f"noise: expected variances of at least 0, got {value.min()} at row {row}; pass squares")


def one_of(name: str, value: Any, allowed: Sequence[Any]) -> None:
    """Refuses a value that is not in a short list."""
    if value not in allowed:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, allowed))}, got {value!r}; choose one of these")


def number(name: str, value: Any, positive: bool = False) -> None:
    """Refuses anything but a finite number that is not negative, or positive."""
    try:
        fine = math.isfinite(value) and (value > 0 or (value == 0 and not positive))
    except TypeError:
        fine = False
    if not fine:
        kind = "a positive finite number" if positive else "a finite number of at least 0"
        raise ValueError(f"{name}: expected {kind}, got {value!r}; choose another")


def hyper(value: KernelHyper, dimensions: int | None = None) -> int:
    """Refuses kernel hyperparameters that mean nothing; returns their number of dimensions d."""
    array("lengthscales", value.lengthscales, ("d" if dimensions is None else dimensions,))
    count = int(value.lengthscales.shape[0])
    if count == 0:
        raise ValueError("lengthscales: expected at least one dimension, got none; a space without one needs no model")
    if not value.lengthscales.min() > 0:
        at = int(np.argmin(value.lengthscales))
        raise ValueError(
            f"lengthscales: expected positive numbers, got {value.lengthscales[at]} at row {at}; pass exp of their logs"
        )
    number("variance", value.variance, positive=True)
    flags = value.categorical
    if not isinstance(flags, np.ndarray) or flags.dtype != np.bool_ or not flags.flags.c_contiguous:
        got = f"dtype {flags.dtype}" if isinstance(flags, np.ndarray) else type(flags).__name__
        raise TypeError(f"categorical: expected a contiguous array of bool, got {got}; use np.array(..., dtype=bool)")
    if flags.shape != (count,):
        raise ValueError(f"categorical: expected shape ({count},), got {flags.shape}; one flag for each lengthscale")
    one_of("family", value.family, FAMILIES)
    return count


def acquisition(value: AcquisitionSpec) -> None:
    """Refuses an unknown acquisition function and parameters out of their range."""
    one_of("acquisition", value.kind, ACQUISITIONS)
    number("beta", value.beta)
    number("xi", value.xi)
    if not math.isfinite(value.best):
        raise ValueError(f"best: expected a finite number, got {value.best!r}; pass the lowest finite y")


def prior(value: Prior, size: int) -> None:
    """Refuses a prior of another size, or one that is not finite, or whose shift has a negative deviation."""
    for name in ("mean", "deviation", "lower", "upper"):
        array(f"prior.{name}", getattr(value, name), (size,))
    number("prior.shared", value.shared)


def penalty(value: Penalty | None, dimensions: int) -> None:
    """Refuses a penalty whose box has another width, or whose strength is no number of at least 0."""
    if value is not None:
        array("penalty.lower", value.lower, (dimensions,))
        array("penalty.upper", value.upper, (dimensions,))
        number("penalty.strength", value.strength)


def not_positive_definite(pivot: int, jitter: float) -> NotPositiveDefinite:
    """The error for a kernel matrix whose factor has a pivot that is not positive, at that row."""
    return NotPositiveDefinite(
        "K: expected a positive definite matrix, got a pivot that is not positive "
        f"at row {pivot} with jitter {jitter:g}; raise the noise or the jitter",
        pivot,
    )
