"""Minimisation inside a box, from several starts in one batch.

Dense quasi-Newton (BFGS, Nocedal and Wright 2006, eq. 6.17) with projection on the bounds (Bertsekas 1982) and Armijo
backtracking. All starts move at once, so that a step costs one batched call of the function. cpp/src/descent.cpp is its
twin, operation by operation.

    b   starts      p   variables      x   (b, p) points      h   (b, p, p) inverse Hessians
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from krigetuner.backend.protocol import Array, Effort

Function = Callable[[Array], tuple[Array, Array]]
"""Takes points (k, p), gives values (k,) and gradients (k, p); a value of +inf refuses a point."""
Rows = npt.NDArray[np.intp]

ARMIJO = 1e-4
HALVINGS = 12
FIRST = 0.25
"""Share of the reach that a step of steepest descent may take."""


def minimise(
    function: Function,
    starts: Array,
    lower: Array,
    upper: Array,
    effort: Effort = Effort(),  # noqa: B008 - frozen
) -> tuple[Array, Array]:
    """The lowest points found from each start.

    Args:
        function: what to minimise.
        starts: (b, p); moved into the box first.
        lower: (p,) or (b, p).
        upper: (p,) or (b, p).
        effort: when to end.

    Returns:
        Points (b, p) and their values (b,).
    """
    descent = _Descent(function, starts, lower, upper, effort)
    for _ in range(effort.iterations):
        free = descent.free_slopes()
        rows = np.flatnonzero(descent.alive)
        if not len(rows):
            break
        descent.advance(rows, *descent.search(rows, descent.direction(rows, free[rows])))
    return descent.x, descent.value


class _Descent:
    """The state of all starts."""

    def __init__(self, function: Function, starts: Array, lower: Array, upper: Array, effort: Effort) -> None:
        self.function, self.tolerance, self.reach = function, effort.tolerance, effort.reach
        self.lower, self.upper = (np.broadcast_to(v, starts.shape) for v in (lower, upper))
        self.x = np.clip(starts, self.lower, self.upper)
        self.value, self.slope = function(self.x)
        self.h = np.repeat(np.eye(starts.shape[1])[None], len(starts), axis=0)
        self.fresh = np.ones(len(starts), dtype=bool)
        self.alive = np.isfinite(self.value)

    def free_slopes(self) -> Array:
        """Gradients (b, p), zero where a bound holds a variable; starts without any are no longer alive."""
        held = ((self.x <= self.lower) & (self.slope > 0)) | ((self.x >= self.upper) & (self.slope < 0))
        free = np.where(held, 0.0, self.slope)
        self.alive &= np.abs(free).max(axis=1, initial=0.0) > self.tolerance
        return free

    def direction(self, rows: Rows, free: Array) -> Array:
        """Quasi-Newton moves (k, p) within reach; steepest descent where those would not descend."""
        move = -np.einsum("kij,kj->ki", self.h[rows], free) * (free != 0)
        uphill = np.einsum("ki,ki->k", move, free) > -1e-12 * np.einsum("ki,ki->k", free, free)
        if uphill.any():
            move[uphill] = -free[uphill]
            self.h[rows[uphill]], self.fresh[rows[uphill]] = np.eye(free.shape[1]), True
        longest = np.abs(move).max(axis=1)
        limit = np.where(self.fresh[rows], FIRST * self.reach, self.reach)
        return np.asarray(move * np.minimum(1.0, limit / np.maximum(longest, 1e-300))[:, None])

    def search(self, rows: Rows, move: Array) -> tuple[Array, Array, Array, npt.NDArray[np.bool_]]:
        """Backtracks until the Armijo condition holds: points, values, slopes, and where that succeeded; (k, ...)."""
        x, lower, upper = self.x[rows], self.lower[rows], self.upper[rows]
        f, g = self.value[rows], self.slope[rows]
        at, before, slopes = x.copy(), f.copy(), g.copy()
        good, step = np.zeros(len(rows), dtype=bool), np.ones(len(rows))
        for _ in range(HALVINGS):
            k = np.flatnonzero(~good)
            if not len(k):
                break
            trial = np.minimum(np.maximum(x[k] + step[k, None] * move[k], lower[k]), upper[k])
            value, slope = self.function(trial)
            finite, was = np.isfinite(value), before[k]
            expected = np.einsum("ki,ki->k", slopes[k], trial - x[k])
            ok = finite & (value <= was + ARMIJO * np.minimum(expected, 0.0))
            done = k[ok]
            at[done], f[done], g[done], good[done] = trial[ok], value[ok], slope[ok], True
            if len(done) < len(k):
                bend = np.where(finite, 2.0 * (np.where(finite, value, 0.0) - was - expected), np.inf)
                least = np.abs(expected)
                shrink = np.divide(least, bend, out=np.full(len(k), 0.5), where=bend > least)
                step[k] *= np.minimum(np.maximum(shrink, 0.1), 0.5)
        return at, f, g, good

    def advance(self, rows: Rows, at: Array, f: Array, g: Array, good: npt.NDArray[np.bool_]) -> None:
        """Takes the steps that were found; a start that found none forgets its curvature, and ends the second time."""
        lost = rows[~good]
        if len(lost):
            self.alive[lost[self.fresh[lost]]] = False
            self.h[lost], self.fresh[lost] = np.eye(self.x.shape[1]), True
        k = np.flatnonzero(good)
        r = rows[k]
        moved, change = at[k] - self.x[r], g[k] - self.slope[r]
        self.alive[r] = self.value[r] - f[k] > self.tolerance**2 * (1.0 + np.abs(f[k]))
        self.x[r], self.value[r], self.slope[r] = at[k], f[k], g[k]
        self._learn(r, moved, change)

    def _learn(self, rows: Rows, moved: Array, change: Array) -> None:
        """BFGS update of the inverse Hessians from moves and changes of slope (k, p), where they are convex."""
        curvature, size = np.einsum("ki,ki->k", moved, change), np.einsum("ki,ki->k", change, change)
        convex = curvature > 1e-10 * np.sqrt(np.einsum("ki,ki->k", moved, moved) * size)
        if not convex.any():
            return
        r, s, change, curvature, size = rows[convex], moved[convex], change[convex], curvature[convex], size[convex]
        h, first = self.h[r], self.fresh[r]
        if first.any():
            h[first] *= (curvature[first] / size[first])[:, None, None]
            self.fresh[r] = False
        hy = np.einsum("kij,kj->ki", h, change)
        weight = (1.0 + np.einsum("ki,ki->k", change, hy) / curvature) / curvature
        cross = hy[:, :, None] * s[:, None, :] / curvature[:, None, None]
        h += weight[:, None, None] * (s[:, :, None] * s[:, None, :]) - cross - cross.transpose(0, 2, 1)
        self.h[r] = h
