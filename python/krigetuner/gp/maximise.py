"""Where the acquisition is largest among the configurations that were never tried.

First a screen of legal rows: spread over the whole cube, and around the best ones known at several scales. From the
best of the screen, gradient ascent of the numeric columns (all starts in one batch, inside the cube), snapped to the
space; then discrete neighbours, and mutations of what is best so far; from the best of all these, ascent once more.

    m   rows      d   columns
    score(rows (m, d)) -> values (m,); larger is better
    climb(starts, lower, upper) -> rows; all (b, d): gradient ascent between the bounds
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from krigetuner.backend.protocol import Array
from krigetuner.space.space import Space

Score = Callable[[Array], Array]
Climb = Callable[[Array, Array, Array], Array]

SPREAD = 512
NEAR = 384
STARTS, LAST = 8, 4
SCALES = (0.3, 0.1, 0.03, 0.01)
DESIGNS = 32


def latin(rng: np.random.Generator, count: int, columns: int) -> Array:
    """A Latin hypercube (count, columns): each column has one point in each of `count` equal cells."""
    cells = np.argsort(rng.random((columns, count)), axis=1).T
    return np.asarray((cells + rng.random((count, columns))) / max(count, 1), dtype=np.float64)


def design(space: Space, rng: np.random.Generator, first: Array, count: int) -> Array:
    """A start (count, d) whose first row (d,) is given.

    The others are the Latin hypercube, of many, whose points keep farthest from each other and from the first.
    """
    best, far = first[None], -1.0
    for _ in range(DESIGNS if count > 1 else 0):
        points = np.concatenate([first[None], latin(rng, count - 1, space.dimensions)])
        gaps = ((points[:, None] - points[None]) ** 2).sum(axis=-1)[np.triu_indices(count, 1)]
        if (distance := float(gaps.min())) > far:
            best, far = points, distance
    return np.concatenate([best[:1], space.sample(best[1:])])


def maximise(
    space: Space,
    score: Score,
    climb: Climb,
    centres: Array,
    taken: Collection[bytes],
    rng: np.random.Generator,
    spread: Array | None = None,
) -> Array | None:
    """The best untried row (d,), or None where everything that was looked at has been tried.

    Args:
        centres: (k, d) the best rows known, best first.
        taken: identities (`Space.row_keys`) of the rows that must not be suggested.
        spread: legal rows to begin with; spread over the whole cube if not given.
    """
    spread = space.sample(latin(rng, SPREAD, space.dimensions)) if spread is None else spread
    rows = np.concatenate([spread, mutations(space, centres, rng, NEAR)])
    values = score(rows)
    top = _distinct(rows, values, STARTS)
    ends = ascend(space, climb, top)
    beside = [space.neighbours(row) for row in ends[:3]]
    fresh = np.concatenate([ends, mutations(space, np.concatenate([ends, top[:2]]), rng, 128), *beside])
    rows, values = np.concatenate([fresh, rows]), np.concatenate([score(fresh), values])
    ends = ascend(space, climb, _distinct(rows, values, LAST))
    rows, values = np.concatenate([ends, rows]), np.concatenate([score(ends), values])
    return first_untried(space, rows, values, taken)


def first_untried(space: Space, rows: Array, values: Array, taken: Collection[bytes]) -> Array | None:
    """The row (d,) of largest value whose configuration is not in `taken`, as its configuration encodes."""
    order = np.argsort(-values, kind="stable")
    for part in (order[:1], *(order[begin : begin + 32] for begin in range(1, len(order), 32))):
        for index, identity in zip(part, space.row_keys(rows[part]), strict=True):
            if identity in taken:
                continue
            # A continuum's value may round to a tried one's, or to a row that differs in the last digit.
            row = space.encode(space.decode(rows[index]))
            if space.row_keys(row[None])[0] not in taken:
                return row
    return None


def mutations(space: Space, centres: Array, rng: np.random.Generator, count: int) -> Array:
    """Legal rows (count, d) near the centres: some columns moved at one of several scales, categories redrawn."""
    if not len(centres):
        return np.empty((0, space.dimensions))
    d = space.dimensions
    rows = centres[np.arange(count) % len(centres)]
    share = rng.choice([1.0, 0.5, min(1.0, 1.5 / d)], size=(count, 1))
    moved = rng.random((count, d)) < np.maximum(share, 1.0 / d)
    scale = rng.choice(SCALES, size=(count, 1))
    step = 1.0 - np.abs(1.0 - np.abs(rows + scale * rng.standard_normal((count, d))))  # reflected at 0 and 1
    categories = np.flatnonzero(space.categorical)
    if len(categories):
        redraw = rng.random((count, len(categories))) < min(0.5, 1.0 / len(categories))
        step[:, categories] = np.where(redraw, rng.random(redraw.shape), rows[:, categories])
    return space.snap(np.where(moved, step, rows))


def ascend(space: Space, climb: Climb, starts: Array) -> Array:
    """Rows (b, d) where gradient ascent of the numeric, active columns ended, snapped."""
    fixed = ~space.activity(starts) | space.categorical
    return space.snap(climb(starts, np.where(fixed, starts, 0.0), np.where(fixed, starts, 1.0)))


def _distinct(rows: Array, values: Array, count: int) -> Array:
    """The rows (k, d) of largest value, at most `count`, of which no two are nearly the same."""
    rows = rows[np.argsort(-values, kind="stable")[:200]]
    columns = np.ascontiguousarray(rows.T)  # maxima over the first axis are several times as fast
    left, kept = np.ones(len(rows), dtype=bool), list[int]()
    while len(kept) < count and left.any():
        kept.append(int(np.argmax(left)))
        left &= np.abs(columns - rows[kept[-1]][:, None]).max(axis=0) > 0.05
    return rows[kept]
