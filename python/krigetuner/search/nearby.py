"""Suggestions near the best trial, from a model of the trials around it alone; see gp/region.py."""

from __future__ import annotations

import math

import numpy as np

from krigetuner.backend.protocol import Array, Backend, Effort
from krigetuner.gp.acquisition import Acquisition
from krigetuner.gp.feasibility import Feasibility
from krigetuner.gp.maximise import SPREAD, latin, maximise
from krigetuner.gp.model import LEARNED, Choice, choose, surrogate
from krigetuner.gp.priors import Columns
from krigetuner.gp.region import region
from krigetuner.search.encoded import Seen
from krigetuner.space.space import Space

WORTH = 1e-4
"""An improvement worth a trial, in standard deviations of all transformed losses."""
OUTSIDE = 1e6
"""What is taken from the log acquisition outside the region."""


def nearby_row(
    backend: Backend,
    space: Space,
    seen: Seen,
    choice: Choice,
    acquisition: Acquisition,
    floor: float,
    feasible: Feasibility | None,
    effort: Effort,
    worth: float,
    rng: np.random.Generator,
) -> tuple[Array, float] | None:
    """The untried row (d,) near the best one with the largest log expected improvement, and the jitter of its model.

    Args:
        seen: of trials that completed.
        choice: of the model of all of them; says which are near, and what a gain is worth.
        floor: least noise variance that is assumed, in that of the transformed losses.
        feasible: where trainings complete.
        worth: least improvement that must be expected, in standard deviations of all transformed losses.

    Returns:
        None where too few trials are near, or too little is to be gained.
    """
    near = region(space, seen.x, seen.losses, choice.found.hyper.lengthscales)
    if near is None:
        return None
    x, losses, variances = near.to_unit(seen.x[near.near]), seen.losses[near.near], seen.variances[near.near]
    # in so small a part of the space a logarithmic scale says nothing
    own = choose(backend, x, losses, variances, Columns.linear(len(near.free)), floor, LEARNED)
    model = surrogate(backend, x, losses, variances, own)
    spec = acquisition.spec(model.best, model.unit)

    def score(rows: Array) -> Array:
        values = model.score(near.to_unit(rows), spec)[0] - OUTSIDE * near.outside(rows)
        return values if feasible is None else values + feasible.log_weight(rows)[0]

    def climb(starts: Array, lower: Array, upper: Array) -> Array:
        bounds = near.to_unit(lower).clip(0.0, 1.0), near.to_unit(upper).clip(0.0, 1.0)
        return near.from_unit(model.ascend(near.to_unit(starts), *bounds, spec, effort))

    centres = space.snap(near.from_unit(model.x[np.argsort(model.means, kind="stable")[:5]]))
    spread = space.snap(near.from_unit(latin(rng, SPREAD, len(near.free))))
    row = maximise(space, score, climb, centres, seen.taken, rng, spread)
    if row is None:
        return None
    gain = math.exp(min(float(score(row[None])[0]), 0.0))
    return (row, model.jitter) if gain * choice.unit >= worth * model.unit else None
