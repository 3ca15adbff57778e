"""Where a parabola through the losses near the best one is lowest.

Close to the minimum of a smooth function a quadratic model is worth more than the surrogate: a step to its lowest point
gains digits where the acquisition function gains a share. Where too few points are near for all of its coefficients,
the model of least curvature is taken (Powell 2004, section 2), or one without terms of two columns.

    n   observations      d   columns      q   numeric columns that are active in the best row
    z   (k, q) the k nearest points as seen from the best one, in units of the trust region
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from krigetuner.backend.descent import minimise
from krigetuner.backend.protocol import Array, Effort
from krigetuner.gp.region import like_best
from krigetuner.space.space import Space

Columns = npt.NDArray[np.intp]

OVERSIZE = 1.3
"""Points of a model for each coefficient that it has."""
CROSSED = 10
"""Up to so many columns a parabola may have terms of two columns."""
CONSTANT, SLOPE, CURVATURE = 1e-3, 0.03, 1.0
"""Weights of the coefficients' sizes, where the points leave a choice."""
SEARCH = Effort(iterations=30, tolerance=1e-6)
STARTS = 3
SURE, LIKELY = 2.0, 0.5
"""How many standard errors of the regression a step must gain on the best loss to be believed, and to be tried."""
ROUNDED = 1e-15
"""What standard errors are at least, in units of the losses' range."""
FLAT = 1e-10
"""Curvature from which on a parabola has a vertex, in units of the losses' range over the trust region."""


def lowest_rows(
    space: Space, x: Array, losses: Array, lengthscales: Array, rng: np.random.Generator, eager: bool = False
) -> Array:
    """Legal rows (b, d) at the minima of a parabola inside its trust region, the lowest first.

    An eager one is believed sooner, and is the surer one of two: one without terms of two columns, which needs few
    points and is all that many objectives are near their minimum, and where there are points enough one with them.

    Args:
        space: says what is legal.
        x: (n, d) rows, some of them with finite losses.
        losses: (n,).
        lengthscales: (d,) that tell which points are near.
        rng: chooses starts of the search for the minima.
        eager: for losses without noise.

    Returns:
        No rows where fewer than 2 q + 1 points share the best one's categories, nothing is numeric, or the
        gain would be lost in what the parabola leaves unexplained.
    """
    best, free, alike = like_best(space, x, losses)
    q = len(free)
    if not q or alike.sum() < 2 * q + 1:
        return np.empty((0, space.dimensions))
    trust, forms = (LIKELY, _forms(q, int(alike.sum()))) if eager else (SURE, (q <= CROSSED,))
    near, values = x[alike][:, free], losses[alike]
    steps = [_steps(near, values, best[free], lengthscales[free], crossed, rng) for crossed in forms]
    ends, gains = max(steps, key=lambda step: step[1][0])
    ends = ends[gains > trust]
    rows = np.repeat(best[None], len(ends), axis=0)
    rows[:, free] = ends
    return space.snap(rows)


def _forms(q: int, count: int) -> tuple[bool, ...]:
    """Whether each of two parabolas has terms of two columns; one only where there are too few points for another."""
    return (False, True) if 1 < q <= CROSSED and count >= _size(q, True) else (False,)


def _steps(
    x: Array, losses: Array, best: Array, lengthscales: Array, crossed: bool, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Where a parabola is lowest (b, q), the lowest first, and how many standard errors are gained there (b,)."""
    z, y, region = _near(x - best, losses, lengthscales, _size(x.shape[1], crossed))
    slope, curvature, gain = _regress(z, y, crossed)
    lower, upper = np.maximum(-best / region, -1.0), np.minimum((1.0 - best) / region, 1.0)
    points = _lowest(slope, curvature, lower, upper, rng)
    expected, error = gain(points)
    return best + points * region, expected / np.maximum(error, ROUNDED)


def _lowest(slope: Array, curvature: Array, lower: Array, upper: Array, rng: np.random.Generator) -> Array:
    """Minima (b, q) of the parabola in a box, the lowest first: the vertex if it is one, else ends of descents."""
    if np.linalg.eigvalsh(curvature)[0] > FLAT:
        vertex = np.linalg.solve(curvature, -slope)
        if (vertex >= lower).all() and (vertex <= upper).all():
            return np.asarray(vertex[None])
    starts = np.concatenate([np.zeros((1, len(slope))), lower + (upper - lower) * rng.random((STARTS, len(slope)))])

    def parabola(points: Array) -> tuple[Array, Array]:
        bent = points @ curvature
        return points @ slope + 0.5 * np.einsum("bi,bi->b", points, bent), slope + bent

    points, values = minimise(parabola, starts, lower, upper, SEARCH)
    return points[np.argsort(values, kind="stable")]


def _near(moved: Array, losses: Array, lengthscales: Array, count: int) -> tuple[Array, Array, Array]:
    """The nearest points (k, q) in units of the trust region, their losses (k,) scaled, and the region (q,).

    Its half-widths are the medians of the points' distances along each column.
    """
    near = np.argsort(((moved / lengthscales) ** 2).sum(axis=1), kind="stable")[:count]
    region = np.maximum(np.median(np.abs(moved[near]), axis=0), 1e-12)
    y = 0.5 * losses[near] - 0.5 * losses[near].min()  # halves, because a difference may be too large for a float
    return moved[near] / region, y / max(float(y.max()), 1e-300), region


def _size(q: int, crossed: bool) -> int:
    """How many points a model is made of."""
    return int(np.ceil(OVERSIZE * (1 + q + len(_pairs(q, crossed)[0]))))


def _pairs(q: int, crossed: bool) -> tuple[Columns, Columns]:
    """The columns i and j of each quadratic term."""
    if not crossed:
        return np.arange(q), np.arange(q)
    i, j = np.triu_indices(q)
    return i, j


def _regress(z: Array, y: Array, crossed: bool) -> tuple[Array, Array, Callable[[Array], tuple[Array, Array]]]:
    """Slope (q,) and curvature (q, q) at the best point, by a regression in which near points weigh more.

    Returns:
        Beside them a function of points (b, q): what they gain on the best loss, and the standard error of that.
    """
    q = z.shape[1]
    i, j = _pairs(q, crossed)
    size = np.concatenate([[CONSTANT], np.full(q, SLOPE), np.full(len(i), CURVATURE)])

    def terms(points: Array) -> Array:
        columns = [np.ones((len(points), 1)), points, points[:, i] * points[:, j]]
        return np.asarray(np.concatenate(columns, axis=1) / size)

    weight = 1.0 / (1.0 + (z**2).mean(axis=1))
    solve = np.linalg.pinv(terms(z) * weight[:, None], rcond=1e-12)
    found = solve @ (y * weight)
    left = ((terms(z) @ found - y) * weight) ** 2
    variance = float(left.sum()) / max(len(z) - len(size), 1)

    def gain(points: Array) -> tuple[Array, Array]:
        t = terms(points)
        return -t @ found, np.sqrt(variance * ((t @ solve) ** 2).sum(axis=1))

    found_sized = found / size
    curvature = np.zeros((q, q))
    curvature[i, j] = found_sized[1 + q :]
    return found_sized[1 : 1 + q], curvature + curvature.T, gain
