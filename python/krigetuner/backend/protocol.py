"""The seam to arithmetic: ten verbs and an opaque handle.

Notation, the same in numpy, C++ and CUDA:

    n   observations            x       (n, d)  encoded configurations in the unit cube
    m   candidates              y       (n,)    standardised outputs, to be minimised
    d   dimensions              noise   (n,)    variance of each output's noise, added to the diagonal
    p   = d + 1, kernel hyperparameters: log lengthscales (d), then log variance
    K   = kernel(x, x) + diag(noise + jitter);  L lower with K = L L^T;  alpha = K^-1 y

Squared distance of two rows: r^2 = sum_j delta_j^2 / lengthscale_j^2, where delta_j is the difference of the two
coordinates, or, in a categorical dimension, 0 where they are equal and 1 where they differ. Kernels (Rasmussen and
Williams 2006, eq. 4.14-4.17), each times `variance`:

    rbf       exp(-r^2 / 2)
    matern12  exp(-r)
    matern32  (1 + s) exp(-s),            s = sqrt(3) r
    matern52  (1 + s + s^2 / 3) exp(-s),  s = sqrt(5) r

and one that adds up functions of one numeric dimension each (after Duvenaud, Nickisch and Rasmussen 2011, eq. 3), which
may differ from category to category:

    additive52  mean over the numeric dimensions j of matern52 at r^2 = delta_j^2 / lengthscale_j^2, times matern52 of
                the categorical dimensions; with one numeric dimension or none it is matern52 itself

Only float64, C-contiguous, finite arrays cross the seam; results are new arrays. A `Fitted` belongs to the backend
that made it, is immutable, and is never pickled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Family = Literal["matern12", "matern32", "matern52", "rbf", "additive52"]
AcquisitionKind = Literal["ucb", "lcb", "ei", "logei", "pi"]

VARIANCE_FLOOR = 1e-12
"""The posterior variance is never below this times `variance`; where it is held there, its gradient is zero."""

OBSERVATIONS = 200
"""Observations that one core of a processor can afford a model of, at every trial."""


@dataclass(frozen=True)
class KernelHyper:
    """What a kernel depends on.

    Attributes:
        lengthscales: (d,) positive, in units of the unit cube.
        variance: the output variance, positive.
        categorical: (d,) bool; True where a dimension holds category codes.
        family: one of the kernels of the module's docstring.
    """

    lengthscales: Array
    variance: float
    categorical: npt.NDArray[np.bool_]
    family: Family = "matern52"


@dataclass(frozen=True)
class AcquisitionSpec:
    """An acquisition function with its parameters; larger is better.

    With mu and sigma the posterior mean and standard deviation, and z = (best - mu - xi) / sigma:

        lcb    -mu + beta sigma                        (y minimised: the negated lower confidence bound)
        ucb     mu + beta sigma                        (y maximised; Srinivas et al. 2010, eq. 6)
        ei      sigma (z Phi(z) + phi(z))              (Jones et al. 1998, eq. 15)
        logei   log of ei, without underflow           (Ament et al. 2023, eq. 9)
        pi      Phi(z)                                 (Kushner 1964)

    Attributes:
        kind: which of them.
        best: the incumbent's y (not used by ucb and lcb).
        beta: weight of sigma in ucb and lcb, at least 0.
        xi: improvement asked for beyond `best`, at least 0.
    """

    kind: AcquisitionKind
    best: float = 0.0
    beta: float = 2.6
    xi: float = 0.0


class Likelihood(NamedTuple):
    """Log marginal likelihoods of b hyperparameter settings.

    Attributes:
        value: (b,) log p(y | x); -inf where K was not positive definite.
        gradient: (b, p) with respect to log lengthscales and log variance; zeros where value is -inf.
        noise_gradient: (b, n) with respect to each entry of `noise`; zeros where value is -inf.
    """

    value: Array
    gradient: Array
    noise_gradient: Array


@dataclass(frozen=True)
class Prior:
    """A normal prior of theta (p + 1,) = log lengthscales, log variance, log noise variance, and its box.

    They are independent but for a shift that all log lengthscales have in common.

    Attributes:
        mean, deviation: (p + 1,) of the priors, without the shift.
        lower, upper: (p + 1,) between which theta is kept.
        shared: deviation of the shift, whose mean is 0; 0: all are independent.
    """

    mean: Array
    deviation: Array
    lower: Array
    upper: Array
    shared: float = 0.0

    @property
    def log_constant(self) -> float:
        """What `log_density` leaves out: the log density at the mean, of the whole space and not of the box."""
        together = 1.0 + self.shared * self.shared * float((self.deviation[:-2] ** -2.0).sum())
        log_determinant = 2.0 * float(np.log(self.deviation).sum()) + math.log(together)
        return -0.5 * (log_determinant + len(self.mean) * math.log(2.0 * math.pi))

    def log_density(self, theta: Array) -> tuple[Array, Array]:
        """Log density (b,), up to `log_constant`, of theta (b, p + 1), and its gradient (b, p + 1)."""
        z = (theta - self.mean) / self.deviation
        density, slope = -0.5 * np.einsum("bi,bi->b", z, z), -z / self.deviation
        variance = self.shared * self.shared
        if not variance > 0.0:
            return density, slope
        weights = 1.0 / self.deviation[:-2] ** 2
        sums = -slope[:, :-2].sum(axis=1)
        shift = sums / (1.0 / variance + weights.sum())  # the most probable one
        slope[:, :-2] += shift[:, None] * weights
        return density + 0.5 * sums * shift, slope


@dataclass(frozen=True)
class Effort:
    """How long a search for a maximum goes on.

    Attributes:
        iterations: steps at most.
        tolerance: a start ends when no free gradient exceeds it, or when a step gains less than its square.
        reach: longest move of one variable in one step.
    """

    iterations: int = 60
    tolerance: float = 1e-6
    reach: float = 1.0


@dataclass(frozen=True)
class Penalty:
    """What is taken from an acquisition outside a box: strength times the squared distance to it.

    Attributes:
        lower, upper: (d,) the box.
        strength: at least 0.
    """

    lower: Array
    upper: Array
    strength: float

    def log_weight(self, x: Array, gradient: bool = False) -> tuple[Array, Array | None]:
        """The negated penalty (m,) at rows x (m, d), and its gradients (m, d) if asked for."""
        outside = np.minimum(x - self.lower, 0.0) + np.maximum(x - self.upper, 0.0)
        values = -self.strength * np.einsum("md,md->m", outside, outside)
        return values, -2.0 * self.strength * outside if gradient else None


class Fitted(Protocol):
    """A factored posterior: L, alpha, x and hyper, wherever the backend keeps them."""

    @property
    def count(self) -> int:
        """Number of observations n."""

    @property
    def log_likelihood(self) -> float:
        """Log marginal likelihood of the y it was fitted to."""


class Backend(Protocol):
    """Ten verbs. Array arguments must satisfy the module's rules; `checks.py` is where they are checked."""

    name: str
    tolerance: float
    """Relative error that parity tests allow against the numpy reference."""

    def observations(self, available: int) -> int:
        """Of how many of the available observations a model should be made, so that a suggestion stays cheap."""

    def kernel(
        self, a: Array, b: Array | None, hyper: KernelHyper, gradient: Literal["none", "hyper", "query"] = "none"
    ) -> Array:
        """Kernel matrix (n, m) of rows a (n, d) and b (m, d); symmetric (n, n), without noise, when b is None.

        Args:
            gradient: "none" for the matrix itself; "hyper" for its derivatives (p, n, m) with respect to log
                lengthscales and log variance; "query" for its derivatives (d, n, m) with respect to the rows of a.
                Derivatives with respect to a categorical coordinate are zero; matern12's derivative at distance zero
                is taken as zero.
        """

    def fit(self, x: Array, y: Array, noise: Array, hyper: KernelHyper, jitter: float = 0.0) -> Fitted:
        """Factors K and solves for alpha.

        Raises:
            NotPositiveDefinite: at the first pivot that is not positive. Raising the jitter is gp/jitter.py's business.
        """

    def extend(self, fitted: Any, x: Array, y: Array, noise: Array) -> Fitted:
        """A new `Fitted` with k more observations, in O(k n^2).

        Args:
            x: (k, d) the new rows; k may be 0.
            y: (n + k,) all outputs, since standardising again moves the old ones too.
            noise: (k,) of the new rows. The jitter given to `fit` is used for them as well.
        """

    def likelihood(self, x: Array, y: Array, noise: Array, hypers: Sequence[KernelHyper]) -> Likelihood:
        """Log marginal likelihood and gradients for b settings at once; noise is (b, n)."""

    def predict(self, fitted: Any, x: Array) -> tuple[Array, Array]:
        """Posterior mean (m,) and variance (m,) of the latent function at x (m, d), noise not included."""

    def mean(self, fitted: Any, x: Array) -> Array:
        """Posterior mean (m,) at x (m, d): `predict` without the variance, which takes a solve for each row."""

    def score(
        self,
        fitted: Any,
        x: Array,
        acquisition: AcquisitionSpec,
        gradient: bool = False,
        precision: Literal[32, 64] = 64,
    ) -> tuple[Array, Array | None]:
        """Acquisition values (m,) at x (m, d), and their gradients (m, d) if asked for.

        Args:
            precision: 32 allows, but does not oblige, a backend to screen in single precision.
        """

    def sample(self, fitted: Any, x: Array, normals: Array, jitter: float = 1e-10) -> Array:
        """Joint posterior samples (s, m) at x (m, d), from standard normals (s, m): mean + normals @ C^T, C C^T the
        posterior covariance with `jitter` times `variance` on its diagonal.

        Raises:
            NotPositiveDefinite: when that covariance cannot be factored.
        """

    def most_likely(
        self,
        x: Array,
        y: Array,
        noise: Array,
        categorical: npt.NDArray[np.bool_],
        family: Family,
        prior: Prior,
        starts: Array,
        effort: Effort,
    ) -> tuple[Array, Array]:
        """The most probable theta (b, p + 1) found from each start (b, p + 1), and its log posterior density (b,).

        Args:
            noise: (n,) known part of the noise; the learned variance is added to it.
            prior: of theta; the density is the log likelihood plus the prior's, up to a constant.
        """

    def ascend(
        self,
        fitted: Any,
        starts: Array,
        lower: Array,
        upper: Array,
        acquisition: AcquisitionSpec,
        effort: Effort,
        penalty: Penalty | None = None,
    ) -> tuple[Array, Array]:
        """The points (b, d) where the acquisition is largest, found from each start (b, d), and its values (b,).

        Args:
            lower, upper: (b, d) bounds of each start; a coordinate whose bounds are equal stays.
            penalty: taken from the acquisition everywhere, and from the values.
        """
