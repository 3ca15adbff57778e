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
        descent.leave_ended()
        if not len(descent.rows):
            break
        descent.advance(*descent.search(descent.direction()))
    return descent.found()


class _Descent:
    """The starts that go on.

    Attributes:
        rows: (k,) which of the b starts these are; the others have ended.
        ends, lowest: (b, p) and (b,) where the others have ended.
        x, value, slope: (k, p), (k,) and (k, p) where these are.
        free: (k, p) the slopes, zero where a bound holds a variable.
        h: (k, p, p) inverse Hessians.
        fresh: (k,) where nothing is known of these.
        alive: (k,) which were worth going on with after the last step.
    """

    def __init__(self, function: Function, starts: Array, lower: Array, upper: Array, effort: Effort) -> None:
        self.function, self.tolerance, self.reach = function, effort.tolerance, effort.reach
        self.lower, self.upper = (np.broadcast_to(v, starts.shape) for v in (lower, upper))
        self.x = np.clip(starts, self.lower, self.upper)
        self.value, self.slope = function(self.x)
        self.h = np.repeat(np.eye(starts.shape[1])[None], len(starts), axis=0)
        self.fresh = np.ones(len(starts), dtype=bool)
        self.alive = np.isfinite(self.value)
        self.rows = np.arange(len(starts))
        self.free: Array
        self.ends, self.lowest = self.x.copy(), self.value.copy()

    def leave_ended(self) -> None:
        """Finds the free slopes; leaves out the starts without any, and those that were not worth going on with."""
        x, slope = self.x, self.slope
        held = ((x <= self.lower) & (slope > 0)) | ((x >= self.upper) & (slope < 0))
        self.free = np.where(held, 0.0, slope)
        self.alive &= np.abs(self.free).max(axis=1, initial=0.0) > self.tolerance
        if (kept := self.alive).all():
            return
        self.ends[self.rows], self.lowest[self.rows] = self.x, self.value
        for name in ("rows", "x", "value", "slope", "free", "h", "fresh", "alive", "lower", "upper"):
            setattr(self, name, getattr(self, name)[kept])

    def found(self) -> tuple[Array, Array]:
        """Where all starts are, (b, p), and the values there (b,)."""
        self.ends[self.rows], self.lowest[self.rows] = self.x, self.value
        return self.ends, self.lowest

    def direction(self) -> Array:
        """Quasi-Newton moves (k, p) within reach; steepest descent where those would not descend."""
        free = self.free
        move = -np.einsum("kij,kj->ki", self.h, free) * (free != 0)
        uphill = np.einsum("ki,ki->k", move, free) > -1e-12 * np.einsum("ki,ki->k", free, free)
        if uphill.any():
            move[uphill] = -free[uphill]
            self._forget(uphill)
        longest = np.abs(move).max(axis=1)
        limit = np.where(self.fresh, FIRST * self.reach, self.reach)
        return np.asarray(move * np.minimum(1.0, limit / np.maximum(longest, 1e-300))[:, None])

    def search(self, move: Array) -> tuple[Array, Array, Array, npt.NDArray[np.bool_]]:
        """Backtracks until the Armijo condition holds: points, values, slopes, and where that succeeded; (k, ...)."""
        at, f, g = self.x, self.value, self.slope
        good, step = np.zeros(len(at), dtype=bool), np.ones(len(at))
        k: Rows | slice = slice(None)  # all of them, without a copy
        for _ in range(HALVINGS):
            x, before = self.x[k], self.value[k]
            trial = np.minimum(np.maximum(x + step[k, None] * move[k], self.lower[k]), self.upper[k])
            value, slope = self.function(trial)
            finite = np.isfinite(value)
            expected = np.einsum("ki,ki->k", self.slope[k], trial - x)
            ok = finite & (value <= before + ARMIJO * np.minimum(expected, 0.0))
            if isinstance(k, slice):
                if ok.all():
                    return trial, value, slope, ok
                at, f, g, k = at.copy(), f.copy(), g.copy(), np.arange(len(at))
            done = k[ok]
            at[done], f[done], g[done], good[done] = trial[ok], value[ok], slope[ok], True
            if len(done) == len(k):
                break
            bend = np.where(finite, 2.0 * (np.where(finite, value, 0.0) - before - expected), np.inf)
            least = np.abs(expected)
            shrink = np.divide(least, bend, out=np.full(len(k), 0.5), where=bend > least)
            step[k] *= np.minimum(np.maximum(shrink, 0.1), 0.5)
            k = k[~ok]
        return at, f, g, good

    def advance(self, at: Array, f: Array, g: Array, good: npt.NDArray[np.bool_]) -> None:
        """Takes the steps that were found; a start that found none forgets its curvature, and ends the second time."""
        moved, change = at - self.x, g - self.slope
        gains = self.value - f > self.tolerance**2 * (1.0 + np.abs(f))
        self.alive = np.where(good, gains, ~self.fresh)
        self.x, self.value, self.slope = at, f, g
        if not good.all():
            self._forget(~good)
        self._learn(moved, change)

    def _forget(self, rows: npt.NDArray[np.bool_]) -> None:
        """Takes back what was learned."""
        self.h[rows], self.fresh[rows] = np.eye(self.x.shape[1]), True

    def _learn(self, moved: Array, change: Array) -> None:
        """BFGS update of the inverse Hessians from moves and changes of slope (k, p), where they are convex."""
        curvature, size = np.einsum("ki,ki->k", moved, change), np.einsum("ki,ki->k", change, change)
        convex = curvature > 1e-10 * np.sqrt(np.einsum("ki,ki->k", moved, moved) * size)
        if not convex.any():
            return
        rows = slice(None) if convex.all() else np.flatnonzero(convex)
        h, s, change, curvature, size = (v[rows] for v in (self.h, moved, change, curvature, size))
        if (fresh := self.fresh[rows]).any():
            h *= np.where(fresh, curvature / size, 1.0)[:, None, None]
        hy = np.einsum("kij,kj->ki", h, change)
        half = 0.5 * (1.0 + np.einsum("ki,ki->k", change, hy) / curvature)
        # u s' and its transpose, where (1 + y' h y / c) s s' / c - (h y s' + s y' h) / c = u s' + s u'
        cross = ((half[:, None] * s - hy) / curvature[:, None])[:, :, None] * s[:, None, :]
        h += cross
        h += cross.transpose(0, 2, 1)
        self.h[rows], self.fresh[rows] = h, False
