"""Hyperparameters by maximum a posteriori, with the analytic gradients of the backend's `likelihood`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from krigetuner.backend.maxima import unpack
from krigetuner.backend.protocol import Array, Backend, Effort, Family, KernelHyper, Prior

FAMILY: Family = "matern52"
ADDITIVE: Family = "additive52"
EFFORT = Effort(iterations=40, tolerance=1e-4)
MORE = Effort(iterations=5, tolerance=1e-4)
"""From hyperparameters that were found with fewer observations."""


@dataclass(frozen=True)
class Hyperparameters:
    """What a fit found.

    Attributes:
        hyper: of the kernel.
        noise: learned noise variance, added to what is known of each output.
        log_posterior: log likelihood plus log prior density, up to a constant.
    """

    hyper: KernelHyper
    noise: float
    log_posterior: float


def fit(
    backend: Backend,
    x: Array,
    y: Array,
    known: Array,
    prior: Prior,
    categorical: npt.NDArray[np.bool_],
    earlier: Hyperparameters | None = None,
    family: Family = FAMILY,
) -> Hyperparameters:
    """The most probable hyperparameters, searched from the prior's mode and from a less smooth start.

    Those of an additive kernel are searched from the latter alone: it is for functions that are rough in each column.

    Args:
        known: (n,) variance of each output's noise that is known, 0 where it is not.
        earlier: those found with fewer observations, from which only a few steps are taken.
    """
    if earlier is None:
        starts = np.stack([prior.mean, prior.mean + np.concatenate([np.full(x.shape[1], -0.7), [0.0, 3.0]])])
        starts = starts[1:] if family == ADDITIVE else starts
    else:
        starts = np.log(np.append(earlier.hyper.lengthscales, [earlier.hyper.variance, earlier.noise]))[None]
    effort = EFFORT if earlier is None else MORE
    theta, density = backend.most_likely(x, y, known, categorical, family, prior, starts, effort)
    best = int(np.argmax(np.round(density, 9)))
    hyper, noise = unpack(theta[best], categorical, family)
    return Hyperparameters(hyper, noise, float(density[best]))
