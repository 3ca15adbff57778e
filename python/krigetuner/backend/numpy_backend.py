"""The ten verbs in numpy and LAPACK: the reference for the other backends and the fallback where none can be loaded.

A C-ordered lower L is the transpose of an F-ordered upper matrix, which is how LAPACK sees it here without a copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from krigetuner.backend import acquisition_numpy, checks, maxima
from krigetuner.backend import kernel_numpy as kernels
from krigetuner.backend.blas_threads import single_threaded
from krigetuner.backend.protocol import (
    OBSERVATIONS,
    VARIANCE_FLOOR,
    AcquisitionSpec,
    Array,
    Effort,
    Family,
    KernelHyper,
    Likelihood,
    Penalty,
    Prior,
)

CANDIDATES = 1024
"""Candidates that share one triangular solve."""


@dataclass(frozen=True)
class NumpyFitted:
    """The factored posterior.

    Attributes:
        x: (n, d) rows.
        lower: (n, n) Cholesky factor L of K.
        alpha: (n,) K^-1 y.
        hyper: what K was built with.
        jitter: what was added to the diagonal beside the noise.
        log_likelihood: of the y it was fitted to.
    """

    x: Array
    lower: Array
    alpha: Array
    hyper: KernelHyper
    jitter: float
    log_likelihood: float

    @property
    def count(self) -> int:
        """Number of observations n."""
        return int(self.x.shape[0])


class NumpyBackend:
    """The verbs of `protocol.Backend`, float64 throughout."""

    name = "numpy"
    tolerance = 0.0

    def observations(self, available: int) -> int:
        """Of how many of the available observations a model should be made."""
        return min(available, OBSERVATIONS)

    @single_threaded
    def kernel(
        self, a: Array, b: Array | None, hyper: KernelHyper, gradient: Literal["none", "hyper", "query"] = "none"
    ) -> Array:
        """Kernel matrix (n, m), or its derivatives (p, n, m) or (d, n, m)."""
        d = checks.hyper(hyper)
        checks.points("a", a, d)
        if b is not None:
            checks.points("b", b, d)
        checks.one_of("gradient", gradient, checks.GRADIENTS)
        if gradient == "none":
            return kernels.symmetric(a, hyper) if b is None else kernels.rectangular(a, b, hyper)
        other = a if b is None else b
        return (
            kernels.hyper_gradient(a, other, hyper) if gradient == "hyper" else kernels.query_gradient(a, other, hyper)
        )

    @single_threaded
    def fit(self, x: Array, y: Array, noise: Array, hyper: KernelHyper, jitter: float = 0.0) -> NumpyFitted:
        """Factors K and solves for alpha; raises NotPositiveDefinite at the first pivot that is not positive."""
        checks.points("x", x, checks.hyper(hyper), at_least=1)
        checks.array("y", y, (len(x),))
        checks.noise(noise, (len(x),))
        checks.number("jitter", jitter)
        matrix = kernels.lower_triangle(x, hyper)
        matrix.flat[:: len(x) + 1] += noise + jitter
        lower, pivot = _factor(matrix)
        if pivot >= 0:
            raise checks.not_positive_definite(pivot, jitter)
        return _fitted(x.copy(), lower, y, _own(hyper), jitter)

    @single_threaded
    def extend(self, fitted: NumpyFitted, x: Array, y: Array, noise: Array) -> NumpyFitted:
        """A new `NumpyFitted` with k more observations, in O(k n^2)."""
        hyper, n, k = fitted.hyper, fitted.count, len(x)
        checks.points("x", x, len(hyper.lengthscales))
        checks.array("y", y, (n + k,))
        checks.noise(noise, (k,))
        if k == 0:
            return _fitted(fitted.x, fitted.lower, y, hyper, fitted.jitter)
        lower = np.zeros((n + k, n + k))
        lower[:n, :n] = fitted.lower
        cross = _solve_lower(fitted.lower, kernels.rectangular(x, fitted.x, hyper))
        corner = kernels.symmetric(x, hyper) - cross @ cross.T
        corner.flat[:: k + 1] += noise + fitted.jitter
        lower[n:, :n] = cross
        lower[n:, n:], pivot = _factor(corner)
        if pivot >= 0:
            raise checks.not_positive_definite(n + pivot, fitted.jitter)
        return _fitted(np.concatenate([fitted.x, x]), lower, y, hyper, fitted.jitter)

    @single_threaded
    def likelihood(self, x: Array, y: Array, noise: Array, hypers: Sequence[KernelHyper]) -> Likelihood:
        """Log marginal likelihoods and gradients of b settings; noise is (b, n)."""
        if not hypers:
            raise ValueError("hypers: expected at least one setting, got none; pass a list of KernelHyper")
        d = checks.hyper(hypers[0])
        checks.points("x", x, d, at_least=1)
        for hyper in hypers:
            checks.hyper(hyper, d)
        checks.array("y", y, (len(x),))
        checks.noise(noise, (len(hypers), len(x)))
        return _likelihoods(x, y, noise, hypers)

    @single_threaded
    def predict(self, fitted: NumpyFitted, x: Array) -> tuple[Array, Array]:
        """Posterior mean (m,) and variance (m,) of the latent function."""
        checks.points("x", x, len(fitted.hyper.lengthscales))
        mean, variance = np.empty(len(x)), np.empty(len(x))
        for rows in kernels.slices(len(x), CANDIDATES):
            mean[rows], variance[rows], _ = _posterior(fitted, x[rows])
        return mean, np.maximum(variance, VARIANCE_FLOOR * fitted.hyper.variance)

    @single_threaded
    def mean(self, fitted: NumpyFitted, x: Array) -> Array:
        """Posterior mean (m,)."""
        checks.points("x", x, len(fitted.hyper.lengthscales))
        mean = np.empty(len(x))
        for rows in kernels.slices(len(x), CANDIDATES):
            mean[rows] = kernels.rectangular(x[rows], fitted.x, fitted.hyper) @ fitted.alpha
        return mean

    @single_threaded
    def score(
        self,
        fitted: NumpyFitted,
        x: Array,
        acquisition: AcquisitionSpec,
        gradient: bool = False,
        precision: Literal[32, 64] = 64,
    ) -> tuple[Array, Array | None]:
        """Acquisition values (m,) and their gradients (m, d) if asked for."""
        checks.points("x", x, len(fitted.hyper.lengthscales))
        checks.acquisition(acquisition)
        checks.one_of("precision", precision, checks.PRECISIONS)
        return _score(fitted, x, acquisition, gradient)

    @single_threaded
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
        """The most probable theta (b, p + 1) from each start, and its log posterior density (b,)."""
        checks.prior(prior, x.shape[1] + 2)
        checks.array("starts", starts, ("b", x.shape[1] + 2))
        pairs = kernels.Pairs(x, maxima.unpack(starts[0], categorical, family)[0]) if len(starts) else None
        likelihoods = partial(_likelihoods, pairs=pairs)
        return maxima.most_likely(likelihoods, x, y, noise, categorical, family, prior, starts, effort)

    @single_threaded
    def ascend(
        self,
        fitted: NumpyFitted,
        starts: Array,
        lower: Array,
        upper: Array,
        acquisition: AcquisitionSpec,
        effort: Effort,
        penalty: Penalty | None = None,
    ) -> tuple[Array, Array]:
        """The points (b, d) where the acquisition less the penalty is largest, from each start, and its values (b,)."""
        for name, rows in (("starts", starts), ("lower", lower), ("upper", upper)):
            checks.array(name, rows, (len(starts), len(fitted.hyper.lengthscales)))
        checks.penalty(penalty, len(fitted.hyper.lengthscales))
        score = partial(_score, fitted, acquisition=acquisition, gradient=True)
        return maxima.ascend(score, starts, lower, upper, effort, penalty)

    @single_threaded
    def sample(self, fitted: NumpyFitted, x: Array, normals: Array, jitter: float = 1e-10) -> Array:
        """Joint posterior samples (s, m) from standard normals (s, m)."""
        checks.points("x", x, len(fitted.hyper.lengthscales))
        checks.array("normals", normals, ("s", len(x)))
        checks.number("jitter", jitter)
        if len(x) == 0:
            return np.empty(normals.shape)
        mean, _, solved = _posterior(fitted, x)
        covariance = kernels.symmetric(x, fitted.hyper) - solved @ solved.T
        covariance.flat[:: len(x) + 1] += jitter * fitted.hyper.variance
        factor, pivot = _factor(covariance)
        if pivot >= 0:
            raise checks.not_positive_definite(pivot, jitter)
        return np.asarray(mean + normals @ factor.T)


def _own(hyper: KernelHyper) -> KernelHyper:
    return replace(hyper, lengthscales=hyper.lengthscales.copy(), categorical=hyper.categorical.copy())


# --- linear algebra -----------------------------------------------------------------------------------------------


def _factor(matrix: Array) -> tuple[Array, int]:
    """Cholesky factor, in place, of a matrix given by its lower triangle; and -1 or the index of the failed pivot."""
    from scipy.linalg.lapack import dpotrf

    upper, info = dpotrf(matrix.T, lower=0, clean=1, overwrite_a=1)
    return upper.T, int(info) - 1


def _solve_lower(lower: Array, rows: Array, transposed: bool = False) -> Array:
    """(L^-1 rows^T)^T, or with L^-T; rows (m, n) may be overwritten."""
    from scipy.linalg.blas import dtrsm

    if rows.size == 0:
        return rows
    return np.asarray(dtrsm(1.0, lower.T, rows.T, side=0, lower=0, trans_a=int(not transposed), overwrite_b=1).T)


def _fitted(x: Array, lower: Array, y: Array, hyper: KernelHyper, jitter: float) -> NumpyFitted:
    half = _solve_lower(lower, y[None].copy())
    alpha = _solve_lower(lower, half.copy(), transposed=True)[0]
    value = (
        -0.5 * float(half[0] @ half[0]) - float(np.log(lower.diagonal()).sum()) - 0.5 * len(y) * math.log(2 * math.pi)
    )
    return NumpyFitted(x, lower, alpha, hyper, jitter, value)


# --- the model ----------------------------------------------------------------------------------------------------


def _likelihoods(
    x: Array, y: Array, noise: Array, hypers: Sequence[KernelHyper], pairs: kernels.Pairs | None = None
) -> Likelihood:
    """The verb without its checks; pairs of these rows may be at hand."""
    value = np.full(len(hypers), -np.inf)
    gradient = np.zeros((len(hypers), x.shape[1] + 1))
    noise_gradient = np.zeros_like(noise)
    for i, hyper in enumerate(hypers):
        if pairs is None or not pairs.serve(hyper):
            pairs = kernels.Pairs(x, hyper)
        _likelihood(pairs, y, noise[i], hyper, value[i : i + 1], gradient[i], noise_gradient[i])
    return Likelihood(value, gradient, noise_gradient)


def _likelihood(
    pairs: kernels.Pairs, y: Array, noise: Array, hyper: KernelHyper, value: Array, gradient: Array, by_noise: Array
) -> None:
    """Fills in one setting (Rasmussen and Williams 2006, eq. 2.30 and 5.9); leaves -inf and zeros when K fails."""
    from scipy.linalg.lapack import dpotri, dpotrs

    n, scale = len(y), kernels.inverse_squares(hyper)
    kernel, slopes = pairs.both(hyper)
    kernel *= hyper.variance
    matrix = kernel.copy()
    matrix.flat[:: n + 1] += noise
    lower, pivot = _factor(matrix)
    if pivot >= 0:
        return
    alpha = dpotrs(lower.T, y, lower=0)[0]
    value[:] = -0.5 * (y @ alpha) - np.log(lower.diagonal()).sum() - 0.5 * n * math.log(2 * math.pi)
    inverse = dpotri(lower.T, lower=0, overwrite_c=1)[0].T
    by_noise[:] = 0.5 * (alpha**2 - inverse.diagonal())
    # twice the derivative with respect to each entry of K; off the diagonal an entry stands for two
    once = alpha[:, None] * alpha
    once -= inverse
    once *= pairs.share
    gradient[-1] = np.vdot(once, kernel)
    for rows, squares, steepness in slopes:
        weights = once[rows, : rows.stop] * steepness
        gradient[:-1] += (squares.reshape(len(scale), 1, -1) @ weights.reshape(len(weights), -1, 1)).ravel()
    gradient[:-1] *= scale * hyper.variance


def _score(fitted: NumpyFitted, x: Array, acquisition: AcquisitionSpec, gradient: bool) -> tuple[Array, Array | None]:
    """The verb without its checks."""
    values = np.empty(len(x))
    if not gradient:
        for rows in kernels.slices(len(x), CANDIDATES):
            mean, variance, _ = _posterior(fitted, x[rows])
            sigma = np.sqrt(np.maximum(variance, VARIANCE_FLOOR * fitted.hyper.variance))
            values[rows] = acquisition_numpy.evaluate(acquisition, mean, sigma)[0]
        return values, None
    gradients = np.empty(x.shape)
    for rows in kernels.blocks(fitted.hyper, len(x), fitted.count):
        values[rows], gradients[rows] = _score_gradient(fitted, x[rows], acquisition)
    return values, gradients


def _posterior(fitted: NumpyFitted, x: Array) -> tuple[Array, Array, Array]:
    """Mean (m,), variance (m,) before the floor, and (L^-1 k*)^T (m, n) (Rasmussen and Williams 2006, alg. 2.1)."""
    cross = kernels.rectangular(x, fitted.x, fitted.hyper)
    mean = cross @ fitted.alpha
    solved = _solve_lower(fitted.lower, cross)
    return mean, fitted.hyper.variance - np.einsum("mn,mn->m", solved, solved), solved


def _score_gradient(fitted: NumpyFitted, x: Array, acquisition: AcquisitionSpec) -> tuple[Array, Array]:
    """Values (m,) and gradients (m, d) of one block of rows: the chain rule over mean and variance.

    d mean = alpha . dk* and d variance = -2 (K^-1 k*) . dk*.
    """
    hyper = fitted.hyper
    weights, floor = kernels.inverse_squares(hyper), VARIANCE_FLOOR * hyper.variance
    differences = kernels.differences(x, fitted.x, hyper)
    cross, slope = kernels.both(hyper, differences**2)
    cross *= hyper.variance
    mean = cross @ fitted.alpha
    solved = _solve_lower(fitted.lower, cross)
    variance = hyper.variance - np.einsum("mn,mn->m", solved, solved)
    sigma = np.sqrt(np.maximum(variance, floor))
    values, by_mean, by_sigma = acquisition_numpy.evaluate(acquisition, mean, sigma)
    by_variance = np.where(variance > floor, by_sigma / (2 * sigma), 0.0)
    inverse = _solve_lower(fitted.lower, solved, transposed=True)
    inner = by_mean[:, None] * fitted.alpha - 2 * by_variance[:, None] * inverse
    gradients = np.einsum("jmn,jmn->mj", differences, inner * slope)
    return values, gradients * np.where(hyper.categorical, 0.0, -hyper.variance * weights)
