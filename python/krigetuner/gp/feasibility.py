"""Where trainings complete: the probability that a configuration does, learned from which of them failed.

Least-squares classification (Rasmussen and Williams 2006, section 6.5): a Gaussian process of its own is fitted to the
labels 1 (failed) and 0 (completed), standardised as if they were losses; its mean is the share that fails. Failures
that have nothing to do with the configuration become noise: then the share is the same everywhere and decides nothing.

    n   configurations that ended      m   candidates      d   columns
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from krigetuner.backend.protocol import AcquisitionSpec, Array, Backend
from krigetuner.gp.fitting import Hyperparameters, fit
from krigetuner.gp.jitter import factored
from krigetuner.gp.priors import Columns, prior

NOISE_FLOOR, NOISE, NOISE_SPREAD = 1e-3, 1e-2, 2.0
"""The least noise variance of labels of variance 1, the mode of its prior, and the deviation of its logarithm."""
LEAST = 1e-9
"""A probability below it counts as this."""

Labels = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Feasibility:
    """A fitted classifier.

    Attributes:
        fitted: the backend's handle of the process of the standardised labels.
        mean, deviation: what the labels were standardised with.
        weight: how often the probability counts; more than once for a search that must avoid another failure.
    """

    backend: Backend
    fitted: Any
    mean: float
    deviation: float
    weight: float = 1.0

    def log_weight(self, x: Array, gradient: bool = False) -> tuple[Array, Array | None]:
        """What is added to a log acquisition at rows x (m, d): values (m,), and their gradients (m, d) if asked for."""
        values, slopes = self.log_probability(x, gradient)
        return self.weight * values, None if slopes is None else self.weight * slopes

    def log_probability(self, x: Array, gradient: bool = False) -> tuple[Array, Array | None]:
        """Log probabilities (m,) of rows x (m, d) to complete, and their gradients (m, d) if asked for."""
        negative_mean = AcquisitionSpec("lcb", beta=0.0)
        values, slopes = self.backend.score(self.fitted, np.ascontiguousarray(x), negative_mean, gradient)
        share = 1.0 - self.mean + self.deviation * values
        held = np.clip(share, LEAST, 1.0)
        if slopes is None:
            return np.log(held), None
        return np.log(held), np.where(held == share, self.deviation / held, 0.0)[:, None] * slopes


def boundary(backend: Backend, x: Array, failed: Labels, columns: Columns) -> Hyperparameters:
    """The most probable hyperparameters of the labels' process, for configurations x (n, d) of which some failed."""
    believed = prior(columns, NOISE_FLOOR, together=False)
    believed.mean[-1], believed.deviation[-1] = math.log(NOISE), NOISE_SPREAD
    believed.upper[-1] = 0.0  # all of the labels' variance may be noise
    labels, noise = _standardised(failed), np.zeros(len(x))
    return fit(backend, np.ascontiguousarray(x), labels, noise, believed, columns.categorical)


def feasibility(backend: Backend, x: Array, failed: Labels, found: Hyperparameters, weight: float = 1.0) -> Feasibility:
    """The classifier of configurations x (n, d), of which some failed and others did not.

    Args:
        found: hyperparameters, from these configurations or from fewer.
        weight: see `Feasibility`.
    """
    x, noise = np.ascontiguousarray(x), np.full(len(x), found.noise)
    fitted, _ = factored(backend, x, _standardised(failed), noise, found.hyper)
    return Feasibility(backend, fitted, float(failed.mean()), float(failed.std()), weight)


def _standardised(failed: Labels) -> Array:
    """Labels (n,) of mean 0 and, where there are both, of variance 1."""
    return np.asarray((failed - failed.mean()) / (failed.std() or 1.0), dtype=np.float64)
