"""Minimisation inside a box, from several starts in one batch.

Dense quasi-Newton (BFGS, Nocedal and Wright 2006, eq. 6.17) with projection on the bounds (Bertsekas 1982) and Armijo
backtracking. All starts move at once, so that a step costs one batched call of the function.

    b   starts      p   variables      x   (b, p) points      h   (b, p, p) inverse Hessians
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from krigetuner.backend.protocol import Array

Function = Callable[[Array], tuple[Array, Array]]
"""Takes points (k, p), gives values (k,) and gradients (k, p); a value of +inf refuses a point."""

ARMIJO = 1e-4
HALVINGS = 12


def minimise(
    function: Function,
    starts: Array,
    lower: Array,
    upper: Array,
    *,
    iterations: int = 60,
    tolerance: float = 1e-6,
    reach: float = 1.0,
) -> tuple[Array, Array]:
    """The lowest points found from each start.

    Args:
        starts: (b, p); moved into the box first.
        lower, upper: (p,) or (b, p).
        tolerance: a start ends when no free gradient exceeds it, or a step gains less than its square root's square.
        reach: longest move of one variable in one step.

    Returns:
        Points (b, p) and their values (b,).
    """
    lower, upper = (np.broadcast_to(v, starts.shape) for v in (lower, upper))
    x = np.clip(starts, lower, upper)
    value, slope = function(x)
    h = np.repeat(np.eye(x.shape[1])[None], len(x), axis=0)
    fresh = np.ones(len(x), bool)
    alive = np.isfinite(value)
    for _ in range(iterations):
        free = np.where(((x <= lower) & (slope > 0)) | ((x >= upper) & (slope < 0)), 0.0, slope)
        alive &= np.abs(free).max(axis=1, initial=0.0) > tolerance
        rows = np.flatnonzero(alive)
        if not len(rows):
            break
        move = _direction(h, free, rows, fresh, reach)
        new = _search(function, x, value, slope, rows, move, lower, upper)
        _advance(x, value, slope, h, fresh, alive, rows, new, tolerance)
    return x, value


def _direction(h: Array, free: Array, rows: Array, fresh: Array, reach: float) -> Array:
    """Quasi-Newton directions (k, p), none longer than `reach`; steepest descent where that would not descend."""
    g = free[rows]
    move = -np.einsum("kij,kj->ki", h[rows], g) * (g != 0)
    uphill = np.einsum("ki,ki->k", move, g) > -1e-12 * np.einsum("ki,ki->k", g, g)
    if uphill.any():
        move[uphill] = -g[uphill]
        h[rows[uphill]] = np.eye(g.shape[1])
        fresh[rows[uphill]] = True
    longest = np.abs(move).max(axis=1, keepdims=True)
    limit = np.where(fresh[rows], 0.25 * reach, reach)[:, None]
    return move * np.minimum(1.0, limit / np.maximum(longest, 1e-300))


def _search(function, x, value, slope, rows, move, lower, upper):  # type: ignore[no-untyped-def]
    """Backtracks until the Armijo condition holds; returns points, values, slopes (k, ...) and success (k,)."""
    at, f, g = x[rows].copy(), value[rows].copy(), slope[rows].copy()
    good = np.zeros(len(rows), bool)
    step = np.ones(len(rows))
    for _ in range(HALVINGS):
        k = np.flatnonzero(~good)
        if not len(k):
            break
        r = rows[k]
        trial = np.clip(x[r] + step[k, None] * move[k], lower[r], upper[r])
        f_trial, g_trial = function(trial)
        expected = np.einsum("ki,ki->k", slope[r], trial - x[r])
        ok = np.isfinite(f_trial) & (f_trial <= value[r] + ARMIJO * np.minimum(expected, 0.0))
        at[k[ok]], f[k[ok]], g[k[ok]], good[k[ok]] = trial[ok], f_trial[ok], g_trial[ok], True
        bend = np.where(np.isfinite(f_trial), 2.0 * (f_trial - value[r] - expected), np.inf)
        shrink = np.where(bend > 0, np.abs(expected) / np.maximum(bend, 1e-300), 0.5)
        step[k] *= np.clip(shrink, 0.1, 0.5)
    return at, f, g, good


def _advance(x, value, slope, h, fresh, alive, rows, new, tolerance):  # type: ignore[no-untyped-def]
    """Takes the steps that were found, in place, and updates the inverse Hessians."""
    at, f, g, good = new
    lost = rows[~good]
    alive[lost[fresh[lost]]] = False
    h[lost], fresh[lost] = np.eye(x.shape[1]), True
    k = np.flatnonzero(good)
    r = rows[k]
    s, change = at[k] - x[r], g[k] - slope[r]
    gain = value[r] - f[k]
    alive[r] = gain > tolerance**2 * (1.0 + np.abs(f[k]))
    x[r], value[r], slope[r] = at[k], f[k], g[k]
    curvature = np.einsum("ki,ki->k", s, change)
    size = np.einsum("ki,ki->k", change, change)
    convex = curvature > 1e-10 * np.sqrt(np.einsum("ki,ki->k", s, s) * size)
    k, r = k[convex], r[convex]
    if not len(r):
        return
    s, change, curvature, size = s[convex], change[convex], curvature[convex], size[convex]
    first = fresh[r]
    h[r[first]] *= (curvature[first] / size[first])[:, None, None]
    fresh[r] = False
    hy = np.einsum("kij,kj->ki", h[r], change)
    weight = (1.0 + np.einsum("ki,ki->k", change, hy) / curvature) / curvature
    cross = np.einsum("ki,kj->kij", hy, s) / curvature[:, None, None]
    h[r] += weight[:, None, None] * np.einsum("ki,kj->kij", s, s) - cross - cross.transpose(0, 2, 1)
