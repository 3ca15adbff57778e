"""The observations near the best one, and a box around it.

What is far away decides a surrogate's lengthscales, transform and noise. Where an objective falls faster or is rougher
near its minimum than elsewhere, the surrogate of everything takes that for noise; one of the nearest observations alone
sees more of it (a trust region, Eriksson et al. 2019, taken in turns with the whole as by Diouane et al. 2023). The box
is as wide as these observations lie apart: it follows them as they come closer. At an edge it stays open.

    n   observations      d   columns      q   numeric columns that are active in the best row
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from krigetuner.backend.protocol import Array
from krigetuner.gp.local import nearest
from krigetuner.space.space import Space

Indices = npt.NDArray[np.intp]

EACH, MORE = 4, 8
"""Observations for each numeric column, and beside those."""
EDGE = 1e-9
"""How far outside what was rounded may lie, in the width of the box."""
NARROW = 1e-9
"""Least half-width of the box, in the range of a column."""
WIDE = 0.1
"""Half-width in lengthscales where the best row is at an edge in every column."""


@dataclass(frozen=True)
class Region:
    """A box.

    Attributes:
        best: (d,) the row in its middle.
        free: (q,) columns in which it has an extent; in the others its rows are like the best.
        lower, upper: (q,) its bounds.
        near: (k,) indices of the observations nearest to the best, in their order.
    """

    best: Array
    free: Indices
    lower: Array
    upper: Array
    near: Indices

    def to_unit(self, rows: Array) -> Array:
        """Rows (m, d) as points (m, q) of which those in the box are between 0 and 1."""
        return np.ascontiguousarray((rows[:, self.free] - self.lower) / (self.upper - self.lower))

    def from_unit(self, points: Array) -> Array:
        """Rows (m, d) like the best one but for the free columns, of points (m, q)."""
        rows = np.repeat(self.best[None], len(points), axis=0)
        rows[:, self.free] = self.lower + points * (self.upper - self.lower)
        return rows

    def outside(self, rows: Array) -> npt.NDArray[np.bool_]:
        """Which rows (m, d) are not in the box."""
        points, others = self.to_unit(rows), np.delete(rows, self.free, axis=1) != np.delete(self.best, self.free)
        return np.asarray(((points < -EDGE) | (points > 1.0 + EDGE)).any(axis=1) | others.any(axis=1))


def region(space: Space, x: Array, losses: Array, lengthscales: Array) -> Region | None:
    """The box around the best of some observations.

    Args:
        space: says which columns are numeric and active.
        x: (n, d) rows.
        losses: (n,), at least one of them finite.
        lengthscales: (d,) in which distances are measured.

    Returns:
        None where nothing is numeric, or too few observations are like the best in everything else.
    """
    best, free, like = like_best(space, x, losses)
    alike, count = np.flatnonzero(like), EACH * len(free) + MORE
    if not len(free) or len(alike) < count:
        return None
    points, centre, lengths = x[alike][:, free], best[free], lengthscales[free]
    near = nearest(points, centre, lengths, np.zeros(len(free), dtype=bool))[:count]
    half = _open_at_edges(centre, np.median(np.abs(points[near] - centre), axis=0) / lengths) * lengths
    half = np.maximum(half, NARROW)
    lower, upper = np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
    return Region(best, free, lower, upper, np.sort(alike[near]))


def _open_at_edges(centre: Array, half: Array) -> Array:
    """Half-widths (q,) in lengthscales, where the centre (q,) is at an edge at least as large as is usual elsewhere.

    Observations that all lie at an edge would never leave it again.
    """
    inside = (centre > 0.0) & (centre < 1.0)
    usual = float(np.median(half[inside])) if inside.any() else WIDE
    return np.where(inside, half, np.maximum(half, usual))


def like_best(space: Space, x: Array, losses: Array) -> tuple[Array, Indices, npt.NDArray[np.bool_]]:
    """The best row (d,), its numeric and active columns (q,), and which rows (n,) agree with it in all others.

    Rows without a finite loss do not.
    """
    best = x[np.argmin(losses)]
    free = np.flatnonzero(~space.categorical & space.activity(best[None])[0])
    others = np.setdiff1d(np.arange(space.dimensions), free)
    return best, free, np.isfinite(losses) & (x[:, others] == best[others]).all(axis=1)
