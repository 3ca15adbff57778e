"""The two searches for maxima over a `likelihood` and a `score`: the twin of cpp/src/maxima.cpp."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from krigetuner.backend.descent import minimise
from krigetuner.backend.protocol import Array, Effort, Family, KernelHyper, Likelihood, Penalty, Prior

Likelihoods = Callable[[Array, Array, Array, Sequence[KernelHyper]], Likelihood]
"""The verb `likelihood`; its arguments need no check."""
Scores = Callable[[Array], tuple[Array, Array | None]]
"""The verb `score` of one posterior and acquisition, with gradients."""


def unpack(theta: Array, categorical: npt.NDArray[np.bool_], family: Family) -> tuple[KernelHyper, float]:
    """Kernel hyperparameters and noise variance of theta (p + 1,)."""
    values = np.exp(theta)
    return KernelHyper(values[:-2].copy(), float(values[-2]), categorical, family), float(values[-1])


def most_likely(
    likelihood: Likelihoods,
    x: Array,
    y: Array,
    noise: Array,
    categorical: npt.NDArray[np.bool_],
    family: Family,
    prior: Prior,
    starts: Array,
    effort: Effort,
) -> tuple[Array, Array]:
    """See `Backend.most_likely`."""
    if not len(starts):
        return starts.copy(), np.empty(0)

    def negative(theta: Array) -> tuple[Array, Array]:
        unpacked = [unpack(t, categorical, family) for t in theta]
        learned = np.array([n for _, n in unpacked])
        value, gradient, by_noise = likelihood(x, y, noise + learned[:, None], [h for h, _ in unpacked])
        density, slope = prior.log_density(theta)
        slope[:, :-1] += gradient
        slope[:, -1] += by_noise.sum(axis=1) * learned
        return -(value + density), -slope

    theta, value = minimise(negative, starts, prior.lower, prior.upper, effort)
    return theta, -value


def ascend(
    score: Scores, starts: Array, lower: Array, upper: Array, effort: Effort, penalty: Penalty | None = None
) -> tuple[Array, Array]:
    """See `Backend.ascend`."""
    if not len(starts):
        return starts.copy(), np.empty(0)

    def negative(rows: Array) -> tuple[Array, Array]:
        values, gradients = score(rows)
        slopes = np.zeros_like(rows) if gradients is None else -gradients
        if penalty is None:
            return -values, slopes
        taken, steepness = penalty.log_weight(rows, True)
        return -values - taken, slopes if steepness is None else slopes - steepness

    rows, value = minimise(negative, starts, lower, upper, effort)
    return rows, -value
