"""What is believed before much is known: the best configuration does not lie at the very edges of the ranges.

Who chooses a range means the best value to be inside. The posterior is least certain at the edges, where observations
can lie on one side only, and so acquisition functions spend their first trials there (Siivola et al. 2018). Here the
log acquisition has a penalty within MARGIN of an edge, which falls with the square of the trials (a prior on the best
configuration that fades, after Hvarfner et al. 2022, eq. 6). No penalty where a default was given nearer to the edge.
It comes back when nothing gets better (`search/stagnation.py`), but at edges near which the best row is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from krigetuner.backend.protocol import Array, Penalty

MARGIN = 0.25
"""Of a range, on both sides."""
STRENGTH = 7.0
"""Trials after which an edge counts as a factor of 1 / e in the acquisition."""
FADED = 25
"""Trials after which the belief is dropped."""


def interior(rows: Array, categorical: npt.NDArray[np.bool_], trials: int) -> Penalty | None:
    """The belief after some trials; None when it has faded.

    Args:
        rows: (k, d); what is between them and the middle is inside.
        categorical: (d,) columns without edges.
        trials: how many have a loss, or as many as it is to be as strong after.
    """
    if trials > FADED:
        return None
    lower = np.where(categorical, 0.0, np.minimum(rows.min(axis=0), MARGIN))
    upper = np.where(categorical, 1.0, np.maximum(rows.max(axis=0), 1.0 - MARGIN))
    return Penalty(lower, upper, (STRENGTH / max(trials, 1) / MARGIN) ** 2)
