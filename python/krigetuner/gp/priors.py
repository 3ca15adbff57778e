"""What is believed of the hyperparameters before any result: normal priors on their logarithms.

Log lengthscales are independent but for a shift that they have in common: an objective that is rough in one column is
rough in the others too, more often than not, and few observations tell of all columns together what they cannot tell of
each. Terms of an additive kernel have nothing in common, nor has the boundary between trainings that complete and those
that fail, which may well lie in one column.

Whoever gives a range a logarithmic scale expects effects over its orders of magnitude: lengthscales of such columns are
believed to be no longer where there are more columns. In an additive kernel those of no column are.

theta   (p,) = log lengthscales (d), log variance, log noise variance;  p = d + 2
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from krigetuner.backend.protocol import Family, Prior
from krigetuner.space.space import Space

Mask = npt.NDArray[np.bool_]

NOISE_FLOOR = 1e-8
LENGTH, LENGTH_OF_CATEGORY = 0.4, 0.8
"""Of numbers on a linear scale and of categories, times the square root of the dimensions (Hvarfner et al. 2024)."""
LENGTH_OF_LOGARITHM = 0.5
"""At most, of numbers on a logarithmic scale."""
SPREAD, SHARED = 0.8, 0.6
"""Deviations of each log lengthscale, and of the shift of all."""
ALONE = 1.2
"""Deviation of log lengthscales that have nothing in common."""
VARIANCE_SPREAD = 1.0
NOISE, NOISE_SPREAD = 1e-4, 2.5


@dataclass(frozen=True)
class Columns:
    """What rows consist of.

    Attributes:
        categorical: (d,) where a column holds categories.
        logarithmic: (d,) where it holds numbers on a logarithmic scale.
    """

    categorical: Mask
    logarithmic: Mask

    @classmethod
    def linear(cls, dimensions: int) -> Columns:
        """Numbers on linear scales only."""
        return cls(np.zeros(dimensions, dtype=bool), np.zeros(dimensions, dtype=bool))

    @property
    def key(self) -> bytes:
        """Equal where all columns are."""
        return self.categorical.tobytes() + self.logarithmic.tobytes()


def columns_of(space: Space) -> Columns:
    """The columns of a space."""
    return Columns(space.categorical, space.logarithmic)


def prior(
    columns: Columns,
    noise_floor: float,
    family: Family = "matern52",
    together: bool = True,
) -> Prior:
    """The prior of a space; a term of an additive kernel has one dimension.

    Args:
        columns: what rows consist of.
        noise_floor: least noise variance.
        family: of the kernel.
        together: whether lengthscales have a shift in common; those of an additive kernel have none.
    """
    dimensions = len(columns.categorical)
    root, additive = math.sqrt(dimensions), family == "additive52"
    spread, shared = (SPREAD, SHARED) if together and not additive else (ALONE, 0.0)
    lengths = np.log(np.where(columns.categorical, LENGTH_OF_CATEGORY * root, LENGTH if additive else LENGTH * root))
    if not additive:
        lengths[columns.logarithmic] = math.log(min(LENGTH_OF_LOGARITHM, LENGTH * root))
    floor = math.log(max(noise_floor, NOISE_FLOOR))
    mean = np.concatenate([lengths, [0.0, max(math.log(NOISE), floor)]])
    deviation = np.concatenate([np.full(dimensions, spread), [VARIANCE_SPREAD, NOISE_SPREAD]])
    lower = np.concatenate([np.full(dimensions, math.log(0.02)), [math.log(0.02), floor]])
    upper = np.concatenate(
        [np.full(dimensions, math.log(50.0 * root)), [math.log(50.0), max(math.log(0.5), floor + 1e-9)]]
    )
    return Prior(mean, deviation, lower, upper, shared)
