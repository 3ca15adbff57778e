"""Where trainings complete: the probability that a configuration does, learned from which of them failed.

Least-squares classification (Rasmussen and Williams 2006, section 6.5): a Gaussian process of its own is fitted to
labels, larger where a training failed, standardised as if they were losses. A configuration completes where the latent
function lies below the middle between the two labels, with probability Phi((middle - mu) / sigma). Failures that have
nothing to do with the configuration become noise: then the probability is the same everywhere and decides nothing.

    n   configurations that ended      m   candidates      d   columns
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from krigetuner.backend.protocol import AcquisitionSpec, Array, Backend
from krigetuner.gp.fitting import Hyperparameters, fit
from krigetuner.gp.jitter import factored
from krigetuner.gp.priors import prior

NOISE_FLOOR = 1e-3
"""Least variance of the labels' noise, in units of their own variance."""
LEAST = 1e-12
"""A probability below it counts as this."""

Labels = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Feasibility:
    """A fitted classifier.

    Attributes:
        fitted: the backend's handle of the latent process.
        middle: where the latent process is between the labels.
    """

    backend: Backend
    fitted: Any
    middle: float

    def log_probability(self, x: Array, gradient: bool = False) -> tuple[Array, Array | None]:
        """Log probabilities (m,) of rows x (m, d) to complete, and their gradients (m, d) if asked for."""
        spec = AcquisitionSpec("pi", best=self.middle)
        values, slopes = self.backend.score(self.fitted, np.ascontiguousarray(x), spec, gradient)
        values = np.maximum(values, LEAST)
        return np.log(values), None if slopes is None else slopes / values[:, None]


def boundary(backend: Backend, x: Array, failed: Labels, categorical: npt.NDArray[np.bool_]) -> Hyperparameters:
    """The most probable hyperparameters of the latent process of configurations x (n, d), of which some failed."""
    believed = prior(x.shape[1], categorical, NOISE_FLOOR)
    return fit(backend, np.ascontiguousarray(x), _labels(failed), np.zeros(len(x)), believed, categorical)


def feasibility(backend: Backend, x: Array, failed: Labels, found: Hyperparameters) -> Feasibility:
    """The classifier of configurations x (n, d), of which some failed and others did not.

    Args:
        found: hyperparameters, from these configurations or from fewer.
    """
    y = _labels(failed)
    fitted, _ = factored(backend, np.ascontiguousarray(x), y, np.full(len(x), found.noise), found.hyper)
    return Feasibility(backend, fitted, float(y.max() + y.min()) / 2)


def _labels(failed: Labels) -> Array:
    """The labels (n,), of mean 0 and, where there are both, of variance 1."""
    y = failed.astype(np.float64) - failed.mean()
    spread = float(y.std())
    return np.asarray(y / spread if spread > 0 else y, dtype=np.float64)
