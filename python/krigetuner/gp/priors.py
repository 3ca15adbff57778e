"""What is believed of the hyperparameters before any result: independent normal priors on their logarithms.

theta   (p,) = log lengthscales (d), log variance, log noise variance;  p = d + 2
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from krigetuner.backend.protocol import Family, Prior

NOISE_FLOOR = 1e-8
LENGTH, LENGTH_OF_CATEGORY, LENGTH_SPREAD = 0.4, 0.8, 1.2
VARIANCE_SPREAD = 1.0
NOISE, NOISE_SPREAD = 1e-4, 2.5


def prior(
    dimensions: int, categorical: npt.NDArray[np.bool_], noise_floor: float, family: Family = "matern52"
) -> Prior:
    """The prior of a space; lengthscales grow with the square root of the dimensions (Hvarfner et al. 2024).

    A term of an additive kernel has one dimension.
    """
    root = math.sqrt(dimensions)
    length = LENGTH if family == "additive52" else LENGTH * root
    lengths = np.where(categorical, math.log(LENGTH_OF_CATEGORY * root), math.log(length))
    floor = math.log(max(noise_floor, NOISE_FLOOR))
    mean = np.concatenate([lengths, [0.0, max(math.log(NOISE), floor)]])
    deviation = np.concatenate([np.full(dimensions, LENGTH_SPREAD), [VARIANCE_SPREAD, NOISE_SPREAD]])
    lower = np.concatenate([np.full(dimensions, math.log(0.02)), [math.log(0.02), floor]])
    upper = np.concatenate(
        [np.full(dimensions, math.log(50.0 * root)), [math.log(50.0), max(math.log(0.5), floor + 1e-9)]]
    )
    return Prior(mean, deviation, lower, upper)
