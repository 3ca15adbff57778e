"""Losses made fit for a Gaussian process: robust scaling, a squeeze of far outliers, and a transform that is learned.

    n   losses, finite or +inf (diverged)      y   (n,) about standard normal, still to be minimised

All kinds are increasing, so that the best stays the best:

    "plain"   robust scaling, far outliers on the bad side squeezed, then standardised: affine where it matters
    "power"   the same, then Yeo and Johnson's transform (2000, eq. 2.1) with its exponent by maximum likelihood
    "log"     log of the distance to the best loss plus an offset by maximum likelihood, then as "plain": for losses
              that differ by orders of magnitude

Which of them fits is decided by marginal likelihood (`log_jacobian` makes them comparable), in gp/model.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from krigetuner.backend.protocol import Array

Kind = Literal["plain", "power", "log"]

FAR = 5.0
"""Robust standard deviations above the median from which a loss is squeezed."""
EXPONENTS = np.linspace(-1.5, 2.0, 71) + 1e-9
"""Exponents of "power" that are tried, neither exactly 0 nor 2."""
OFFSETS = np.geomspace(1e-2, 1e2, 33)
"""Offsets of "log" that are tried, in robust standard deviations."""
HUGE = 1e150
BEYOND = 1e6
"""Robust standard deviations below the median from which a loss is squeezed: powers of it must not overflow."""


@dataclass(frozen=True)
class Outputs:
    """Transformed losses.

    Attributes:
        y: (n,) outputs; +inf losses take the worst finite one's.
        noise: (n,) known noise variances in units of y, 0 where not known (delta method).
        log_jacobian: sum of log dy/dloss over the finite losses.
        unit: dy/dloss at the best loss; what an improvement of one is worth there.
    """

    y: Array
    noise: Array
    log_jacobian: float
    unit: float


def transform(losses: Array, variances: Array, kind: Kind) -> Outputs:
    """Transforms losses (n,), finite or +inf, with known variances (n,), 0 where not known."""
    finite = np.isfinite(losses)
    if not finite.any():
        return Outputs(np.zeros(len(losses)), np.zeros(len(losses)), 0.0, 1.0)
    v = np.clip(losses[finite], -HUGE, HUGE)
    centre, scale = _robust(v)
    u = (v - centre) / scale
    below = np.maximum(-u / BEYOND, 1.0)
    u, first = np.where(below > 1.0, -BEYOND * (1.0 + np.log(below)), u), 1.0 / below
    if kind == "log":
        u, steepness = _logarithm(u)
        middle, wide = _robust(u)
        u, first = (u - middle) / wide, first * steepness / wide
    over = np.maximum(u - FAR, 0.0)
    t, slope = np.minimum(u, FAR) + np.log1p(np.log1p(over)), 1.0 / ((1.0 + over) * (1.0 + np.log1p(over)))
    if kind == "power":
        exponent = _likeliest(t)
        slope = slope * _yeo_johnson_slope(t, exponent)
        t = _yeo_johnson(t, exponent)
    spread = float(t.std())
    spread = spread if spread > 1e-12 else 1.0
    slope = slope * first / (spread * scale)
    y = np.zeros(len(losses))
    y[finite] = (t - t.mean()) / spread
    y[~finite] = y[finite].max()
    noise = np.zeros(len(losses))
    noise[finite] = np.minimum(np.sqrt(variances[finite]) * slope, 3.0) ** 2
    return Outputs(y, noise, float(np.log(slope).sum()), float(slope[np.argmin(v)]))


def excess(variances: Array) -> Array:
    """By how much variances (n,), 0 where not known, lie above the median of the known ones.

    What executions or folds differ by for every trial alike (a fold that is harder for all) is no noise of a trial, and
    what noise all trials have is better learned from all of them than taken from the few executions of each.
    """
    known, variances = variances > 0, np.minimum(variances, HUGE**2)
    return np.maximum(variances - np.median(variances[known]), 0.0) if known.any() else variances


def _logarithm(u: Array) -> tuple[Array, Array]:
    """log(u - min + offset) and its slope, with the offset under which it is most nearly normal."""
    above = u - u.min()
    moved = above + OFFSETS[:, None]
    logs = np.log(moved)
    fit = -0.5 * np.log(np.maximum(logs.var(axis=1), 1e-300)) - logs.mean(axis=1)
    best = int(np.argmax(fit))
    return logs[best], 1.0 / moved[best]


def _robust(v: Array) -> tuple[float, float]:
    """Median and a spread that outliers do not move: the quartiles', else the mean deviation's, else 1."""
    ordered = np.sort(v)
    low, centre, high = (_quantile(ordered, share) for share in (0.25, 0.5, 0.75))
    scale = (high - low) / 1.349
    if scale <= 1e-14 * max(1.0, abs(centre)):
        scale = float(np.abs(v - centre).mean())
    return centre, scale if scale > 1e-150 else 1.0


def _quantile(ordered: Array, share: float) -> float:
    """The value below which a share of sorted values (n,) lies, interpolated."""
    place = share * (len(ordered) - 1)
    left = int(place)
    right = min(left + 1, len(ordered) - 1)
    return float(ordered[left] + (place - left) * (ordered[right] - ordered[left]))


def _yeo_johnson(t: Array, exponent: float | Array) -> Array:
    """Yeo and Johnson's transform of t, for one exponent or a column of them, neither exactly 0 nor 2."""
    power = np.where(t < 0.0, 2.0 - exponent, exponent)
    return np.asarray(np.copysign(np.expm1(power * np.log1p(np.abs(t))) / power, t), dtype=np.float64)


def _yeo_johnson_slope(t: Array, exponent: float) -> Array:
    """Derivative of the transform at t."""
    return np.asarray(np.exp(np.sign(t) * (exponent - 1.0) * np.log1p(np.abs(t))), dtype=np.float64)


def _likeliest(t: Array) -> float:
    """The exponent under which t is most nearly normal (profile likelihood over a grid)."""
    moved = _yeo_johnson(t, EXPONENTS[:, None])
    spread = np.log(np.maximum(moved.var(axis=1), 1e-300))
    jacobian = (EXPONENTS - 1.0) * np.mean(np.sign(t) * np.log1p(np.abs(t)))
    return float(EXPONENTS[np.argmax(jacobian - 0.5 * spread)])
