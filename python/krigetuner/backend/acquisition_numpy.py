"""Acquisition functions of a normal posterior with their derivatives, stable however far below the incumbent.

With R = Phi / phi (Mills' ratio), expected improvement is sigma phi(z) t(z), t = 1 + z R. Far below zero t is
1 - |z| R, where nearly everything cancels: there its asymptotic series is summed (Abramowitz and Stegun 1964,
26.2.12).
"""

from __future__ import annotations

import math

import numpy as np

from krigetuner.backend.protocol import AcquisitionSpec, Array

LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
DIRECT = -1.0
"""From here upwards phi + z Phi loses no digits."""
SERIES = -20.0
"""Below it the series of SERIES_TERMS terms is exact to rounding."""
SERIES_TERMS = 10


def evaluate(spec: AcquisitionSpec, mean: Array, sigma: Array) -> tuple[Array, Array, Array]:
    """Values (m,) and their derivatives (m,) with respect to the mean and to sigma."""
    if spec.kind == "ucb":
        return mean + spec.beta * sigma, np.ones_like(mean), np.full_like(mean, spec.beta)
    if spec.kind == "lcb":
        return spec.beta * sigma - mean, -np.ones_like(mean), np.full_like(mean, spec.beta)
    z = (spec.best - mean - spec.xi) / sigma
    if spec.kind == "pi":
        from scipy.special import ndtr

        density = np.exp(_log_density(z))
        return ndtr(z), -density / sigma, -z * density / sigma
    log_value, cumulative_ratio, density_ratio = _log_improvement(z)
    if spec.kind == "logei":
        return np.log(sigma) + log_value, -cumulative_ratio / sigma, density_ratio / sigma
    value = np.exp(log_value)
    return sigma * value, -cumulative_ratio * value, density_ratio * value


def _log_density(z: Array) -> Array:
    return np.asarray(-0.5 * z * z - LOG_SQRT_2PI)


def _log_improvement(z: Array) -> tuple[Array, Array, Array]:
    """Log of h(z) = phi(z) + z Phi(z), and the ratios Phi / h and phi / h."""
    from scipy.special import erfcx, ndtr

    log_value, cumulative_ratio, density_ratio = np.empty_like(z), np.empty_like(z), np.empty_like(z)
    near = z >= DIRECT
    if near.any():
        u = z[near]
        density, cumulative = np.exp(_log_density(u)), ndtr(u)
        value = density + u * cumulative
        log_value[near] = np.log(value)
        cumulative_ratio[near], density_ratio[near] = cumulative / value, density / value
    tail = ~near
    if tail.any():
        u = z[tail]
        mills = math.sqrt(math.pi / 2) * erfcx(-u / math.sqrt(2))
        share = 1 + u * mills
        far = u < SERIES
        share[far] = _tail_series(u[far])
        log_value[tail] = _log_density(u) + np.log(share)
        cumulative_ratio[tail], density_ratio[tail] = mills / share, 1 / share
    return log_value, cumulative_ratio, density_ratio


def _tail_series(z: Array) -> Array:
    """1 - |z| R(z) = 1/z^2 - 3/z^4 + 15/z^6 - ..., nested from its last term."""
    inverse = 1 / (z * z)
    total = np.zeros_like(z)
    for term in range(SERIES_TERMS, 0, -1):
        total = (1 - total) * (2 * term - 1) * inverse
    return total
