"""What is believed of the hyperparameters before any result: normal priors on their logarithms.

Log lengthscales are independent but for a shift that they have in common: an objective that is rough in one column is
rough in the others too, more often than not, and few observations tell of all columns together what they cannot tell of
each. Terms of an additive kernel have nothing in common, nor has the boundary between trainings that complete and those
that fail, which may well lie in one column.

theta   (p,) = log lengthscales (d), log variance, log noise variance;  p = d + 2
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from krigetuner.backend.protocol import Family, Prior

NOISE_FLOOR = 1e-8
LENGTH, LENGTH_OF_CATEGORY = 0.4, 0.8
SPREAD, SHARED = 0.8, 0.6
"""Deviations of each log lengthscale, and of the shift of all."""
ALONE = 1.2
"""Deviation of log lengthscales that have nothing in common."""
VARIANCE_SPREAD = 1.0
NOISE, NOISE_SPREAD = 1e-4, 2.5


def prior(
    dimensions: int,
    categorical: npt.NDArray[np.bool_],
    noise_floor: float,
    family: Family = "matern52",
    together: bool = True,
) -> Prior:
    """The prior of a space; lengthscales grow with the square root of the dimensions (Hvarfner et al. 2024).

    A term of an additive kernel has one dimension.

    Args:
        together: whether lengthscales have a shift in common; those of an additive kernel have none.
    """
    root = math.sqrt(dimensions)
    additive = family == "additive52"
    length = LENGTH if additive else LENGTH * root
    spread, shared = (SPREAD, SHARED) if together and not additive else (ALONE, 0.0)
    lengths = np.where(categorical, math.log(LENGTH_OF_CATEGORY * root), math.log(length))
    floor = math.log(max(noise_floor, NOISE_FLOOR))
    mean = np.concatenate([lengths, [0.0, max(math.log(NOISE), floor)]])
    deviation = np.concatenate([np.full(dimensions, spread), [VARIANCE_SPREAD, NOISE_SPREAD]])
    lower = np.concatenate([np.full(dimensions, math.log(0.02)), [math.log(0.02), floor]])
    upper = np.concatenate(
        [np.full(dimensions, math.log(50.0 * root)), [math.log(50.0), max(math.log(0.5), floor + 1e-9)]]
    )
    return Prior(mean, deviation, lower, upper, shared)
