"""The backend of `auto` where the CUDA core is built: the GPU for large problems, the C++ core for the others.

A GPU that cannot be used, or fails in the middle of a search, is given up for the rest of the process after one
warning, and what it held is fitted again by the C++ core. Only one that was asked for by name is an error.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from krigetuner.backend.protocol import (
    AcquisitionSpec,
    Array,
    Backend,
    Effort,
    Family,
    KernelHyper,
    Likelihood,
    Penalty,
    Prior,
)
from krigetuner.errors import BackendUnavailable, KrigeTunerWarning

Result = TypeVar("Result")


class ChosenFitted:
    """A factored posterior of one of the two backends, and what the other needs to make it again."""

    __slots__ = ("data", "held", "hyper", "jitter")

    def __init__(
        self, owner: Backend, value: Any, data: tuple[Array, Array, Array], hyper: KernelHyper, jitter: float
    ) -> None:
        self.held, self.data, self.hyper, self.jitter = (owner, value), data, hyper, jitter

    @property
    def count(self) -> int:
        """Number of observations n."""
        count: int = self.held[1].count
        return count

    @property
    def log_likelihood(self) -> float:
        """Log marginal likelihood of the y it was fitted to."""
        value: float = self.held[1].log_likelihood
        return value


class GpuForLarge:
    """The verbs of `protocol.Backend`, by the C++ core or by a GPU.

    Args:
        small: the C++ core.
        open_large: gives the GPU's backend, at its first use; None where there is no GPU, of which nothing is said.
        crossover: observations from which the GPU is taken.
    """

    tolerance = 1e-9

    def __init__(self, small: Backend, open_large: Callable[[], Backend | None], crossover: int) -> None:
        self.name = f"{small.name}+cuda"
        self._small, self._open, self._crossover = small, open_large, crossover
        self._large: Backend | None = None
        self._given_up = False
        self._lock = threading.Lock()

    def observations(self, available: int) -> int:
        """Of how many of the available observations a model should be made: many where the GPU takes it."""
        large = self._gpu() if available >= self._crossover else None
        return (large or self._small).observations(available)

    def kernel(
        self, a: Array, b: Array | None, hyper: KernelHyper, gradient: Literal["none", "hyper", "query"] = "none"
    ) -> Array:
        """Kernel matrix (n, m), or its derivatives; the C++ core's, since sending it back would cost more."""
        return self._small.kernel(a, b, hyper, gradient)

    def fit(self, x: Array, y: Array, noise: Array, hyper: KernelHyper, jitter: float = 0.0) -> ChosenFitted:
        """Factors K and solves for alpha; raises NotPositiveDefinite at the first pivot that is not positive."""

        def fitted(backend: Backend) -> ChosenFitted:
            value = backend.fit(x, y, noise, hyper, jitter)
            return ChosenFitted(backend, value, (x.copy(), y.copy(), noise.copy()), hyper, jitter)

        return self._by_size(x, fitted)

    def extend(self, fitted: ChosenFitted, x: Array, y: Array, noise: Array) -> ChosenFitted:
        """A new handle with k more observations, in O(k n^2), where the old one is."""

        def extended(backend: Backend, value: Any) -> ChosenFitted:
            more = backend.extend(value, x, y, noise)
            data = np.concatenate([fitted.data[0], x]), y.copy(), np.concatenate([fitted.data[2], noise])
            return ChosenFitted(backend, more, data, fitted.hyper, fitted.jitter)

        return self._by_owner(fitted, extended)

    def likelihood(self, x: Array, y: Array, noise: Array, hypers: Sequence[KernelHyper]) -> Likelihood:
        """Log marginal likelihoods and gradients of b settings; noise is (b, n)."""
        return self._by_size(x, lambda backend: backend.likelihood(x, y, noise, hypers))

    def predict(self, fitted: ChosenFitted, x: Array) -> tuple[Array, Array]:
        """Posterior mean (m,) and variance (m,) of the latent function."""
        return self._by_owner(fitted, lambda backend, value: backend.predict(value, x))

    def mean(self, fitted: ChosenFitted, x: Array) -> Array:
        """Posterior mean (m,)."""
        return self._by_owner(fitted, lambda backend, value: backend.mean(value, x))

    def score(
        self,
        fitted: ChosenFitted,
        x: Array,
        acquisition: AcquisitionSpec,
        gradient: bool = False,
        precision: Literal[32, 64] = 64,
    ) -> tuple[Array, Array | None]:
        """Acquisition values (m,) and their gradients (m, d) if asked for."""
        return self._by_owner(fitted, lambda backend, value: backend.score(value, x, acquisition, gradient, precision))

    def sample(self, fitted: ChosenFitted, x: Array, normals: Array, jitter: float = 1e-10) -> Array:
        """Joint posterior samples (s, m) from standard normals (s, m)."""
        return self._by_owner(fitted, lambda backend, value: backend.sample(value, x, normals, jitter))

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
        return self._by_size(
            x, lambda backend: backend.most_likely(x, y, noise, categorical, family, prior, starts, effort)
        )

    def ascend(
        self,
        fitted: ChosenFitted,
        starts: Array,
        lower: Array,
        upper: Array,
        acquisition: AcquisitionSpec,
        effort: Effort,
        penalty: Penalty | None = None,
    ) -> tuple[Array, Array]:
        """The points (b, d) where the acquisition less the penalty is largest, from each start, and its values (b,)."""
        return self._by_owner(
            fitted, lambda backend, value: backend.ascend(value, starts, lower, upper, acquisition, effort, penalty)
        )

    def _by_size(self, x: Array, work: Callable[[Backend], Result]) -> Result:
        large = self._gpu() if isinstance(x, np.ndarray) and x.ndim and len(x) >= self._crossover else None
        if large is not None:
            try:
                return work(large)
            except BackendUnavailable as error:
                self._give_up(error)
        return work(self._small)

    def _by_owner(self, fitted: ChosenFitted, work: Callable[[Backend, Any], Result]) -> Result:
        owner, value = fitted.held
        if owner is not self._small and not self._given_up:
            try:
                return work(owner, value)
            except BackendUnavailable as error:
                self._give_up(error)
        with self._lock:
            if fitted.held[0] is not self._small:
                fitted.held = self._small, self._small.fit(*fitted.data, fitted.hyper, fitted.jitter)
        return work(*fitted.held)

    def _gpu(self) -> Backend | None:
        with self._lock:
            if self._large is None and not self._given_up:
                try:
                    self._large = self._open()
                except BackendUnavailable as error:
                    reason: BackendUnavailable | None = error
                else:
                    reason, self._given_up = None, self._large is None
            else:
                reason = None
        if reason is not None:
            self._give_up(reason)
        return None if self._given_up else self._large

    def _give_up(self, error: BackendUnavailable) -> None:
        with self._lock:
            first, self._given_up = not self._given_up, True
        if first:
            warnings.warn(
                f"the C++ core goes on in the GPU's place, more slowly for many trials: {error}",
                KrigeTunerWarning,
                stacklevel=4,
            )
