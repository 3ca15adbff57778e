"""Hyperparameters by maximum a posteriori, with the analytic gradients of the backend's `likelihood`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from krigetuner.backend.protocol import Array, Backend, Family, KernelHyper
from krigetuner.gp.descent import minimise
from krigetuner.gp.priors import Prior

FAMILY: Family = "matern52"


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


def unpack(theta: Array, categorical: npt.NDArray[np.bool_]) -> tuple[KernelHyper, float]:
    """Kernel hyperparameters and noise variance of theta (p,)."""
    values = np.exp(theta)
    return KernelHyper(values[:-2].copy(), float(values[-2]), categorical, FAMILY), float(values[-1])


def fit(
    backend: Backend, x: Array, y: Array, known: Array, prior: Prior, categorical: npt.NDArray[np.bool_]
) -> Hyperparameters:
    """The most probable hyperparameters, searched from the prior's mode and from a less smooth start.

    Args:
        known: (n,) variance of each output's noise that is known, 0 where it is not.
    """

    def negative(theta: Array) -> tuple[Array, Array]:
        unpacked = [unpack(t, categorical) for t in theta]
        noise = known[None] + np.array([[n] for _, n in unpacked])
        value, gradient, by_noise = backend.likelihood(x, y, noise, [h for h, _ in unpacked])
        density, slope = prior.log_density(theta)
        last = by_noise.sum(axis=1) * np.exp(theta[:, -1])
        return -(value + density), -(np.concatenate([gradient, last[:, None]], axis=1) + slope)

    starts = np.stack([prior.mean, prior.mean + np.concatenate([np.full(x.shape[1], -0.7), [0.0, 3.0]])])
    points, values = minimise(negative, starts, prior.lower, prior.upper, iterations=40, tolerance=1e-4)
    best = int(np.argmin(np.round(values, 9)))
    hyper, noise = unpack(points[best], categorical)
    return Hyperparameters(hyper, noise, -float(values[best]))
