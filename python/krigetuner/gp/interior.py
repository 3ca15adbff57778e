"""What is believed before much is known: the best configuration does not lie at the very edges of the ranges.

Who chooses a range means the best value to be inside. The posterior is least certain at the edges, where observations
can lie on one side only, and so acquisition functions spend their first trials there (Siivola et al. 2018). Here the
log acquisition has a penalty within MARGIN of an edge, which falls with the square of the trials (a prior on the best
configuration that fades, after Hvarfner et al. 2022, eq. 6). No penalty where a default was given nearer to the edge.

    m   candidates      d   columns
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from krigetuner.backend.protocol import Array

MARGIN = 0.25
"""Of a range, on both sides."""
STRENGTH = 7.0
"""Trials after which an edge counts as a factor of 1 / e in the acquisition."""
FADED = 25
"""Trials after which the belief is dropped."""


@dataclass(frozen=True)
class Interior:
    """A penalty of rows outside a box.

    Attributes:
        lower, upper: (d,) the box; -inf and inf where nothing is believed.
        strength: at an edge, for each column.
    """

    lower: Array
    upper: Array
    strength: float

    def log_weight(self, x: Array, gradient: bool = False) -> tuple[Array, Array | None]:
        """What is added to a log acquisition at rows x (m, d): values (m,), and their gradients (m, d) if asked for."""
        below, above = np.maximum(self.lower - x, 0.0) / MARGIN, np.maximum(x - self.upper, 0.0) / MARGIN
        values = -self.strength * (below**2 + above**2).sum(axis=1)
        return values, 2.0 * self.strength / MARGIN * (below - above) if gradient else None


def interior(first: Array, categorical: npt.NDArray[np.bool_], trials: int) -> Interior | None:
    """The belief after some trials; None when it has faded.

    Args:
        first: (d,) the row tried first; what is between it and the middle is inside.
        categorical: (d,) columns without edges.
        trials: how many have a loss.
    """
    if trials > FADED:
        return None
    lower = np.where(categorical, -np.inf, np.minimum(first, MARGIN))
    upper = np.where(categorical, np.inf, np.maximum(first, 1.0 - MARGIN))
    return Interior(lower, upper, (STRENGTH / max(trials, 1)) ** 2)
