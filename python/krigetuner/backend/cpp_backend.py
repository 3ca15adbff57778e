"""The nine verbs of the native core `_cpp`, a thin adapter: names become native objects, failed pivots exceptions.

The core checks its own arguments (cpp/bindings/arrays.hpp), with the messages of `checks`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from krigetuner.backend import checks
from krigetuner.backend.protocol import (
    OBSERVATIONS,
    AcquisitionSpec,
    Array,
    Effort,
    Family,
    KernelHyper,
    Likelihood,
    Prior,
)
from krigetuner.errors import BackendUnavailable

if TYPE_CHECKING:
    from krigetuner.backend import _cpp

MODULE = "krigetuner.backend._cpp"
MOST_THREADS = 1024
LEVELS = ("baseline", "avx2", "avx512")
REMEDY = (
    "install KrigeTuner where a C++17 compiler is found: "
    "KRIGETUNER_REQUIRE_NATIVE=1 python -m pip install --force-reinstall --no-deps <the source>"
)


def load_extension() -> ModuleType:
    """The extension module.

    Raises:
        BackendUnavailable: it was not built, or it cannot be loaded here.
        ValueError: KRIGETUNER_SIMD or KRIGETUNER_THREADS is none that the core knows; it would pass over it.
    """
    level = os.environ.get("KRIGETUNER_SIMD", "")
    if level and level not in LEVELS:
        known = ", ".join(LEVELS)
        raise ValueError(f"KRIGETUNER_SIMD: expected one of {known}, got {level!r}; unset it for the best level")
    threads = os.environ.get("KRIGETUNER_THREADS", "")
    if threads and not (threads.isascii() and threads.isdigit() and 1 <= int(threads) <= MOST_THREADS):
        raise ValueError(
            f"KRIGETUNER_THREADS: expected a whole number from 1 to {MOST_THREADS}, got {threads!r}; unset it for one"
        )
    try:
        # a missing extension inside a package would report itself as a circular import
        if importlib.util.find_spec(MODULE) is None:
            raise BackendUnavailable(f"backend cpp: expected the extension module {MODULE}, got none; {REMEDY}")
        return importlib.import_module(MODULE)
    except (ImportError, ValueError) as error:
        raise BackendUnavailable(
            f"backend cpp: expected the extension module {MODULE} to load, got {error}; {REMEDY}"
        ) from error


class CppFitted:
    """The factored posterior, held by the core."""

    __slots__ = ("jitter", "native")

    def __init__(self, native: _cpp.Fitted, jitter: float) -> None:
        self.native = native
        self.jitter = jitter

    @property
    def count(self) -> int:
        """Number of observations n."""
        return self.native.count

    @property
    def log_likelihood(self) -> float:
        """Log marginal likelihood of the y it was fitted to."""
        return self.native.log_likelihood


class CppBackend:
    """The verbs of `protocol.Backend`, in C++.

    Raises:
        BackendUnavailable: the extension module is missing or cannot be loaded.
    """

    name = "cpp"
    tolerance = 1e-9

    def observations(self, available: int) -> int:
        """Of how many of the available observations a model should be made."""
        return min(available, OBSERVATIONS)

    def __init__(self) -> None:
        self._native: Any = load_extension()

    def _hyper(self, hyper: KernelHyper) -> _cpp.Hyper:
        made: _cpp.Hyper = self._native.Hyper(hyper.lengthscales, hyper.variance, hyper.categorical, hyper.family)
        return made

    def kernel(
        self, a: Array, b: Array | None, hyper: KernelHyper, gradient: Literal["none", "hyper", "query"] = "none"
    ) -> Array:
        """Kernel matrix (n, m), or its derivatives (p, n, m) or (d, n, m)."""
        matrix: Array = self._native.kernel(a, b, self._hyper(hyper), gradient)
        return matrix

    def fit(self, x: Array, y: Array, noise: Array, hyper: KernelHyper, jitter: float = 0.0) -> CppFitted:
        """Factors K and solves for alpha; raises NotPositiveDefinite at the first pivot that is not positive."""
        return _fitted(self._native.fit(x, y, noise, self._hyper(hyper), jitter), jitter)

    def extend(self, fitted: CppFitted, x: Array, y: Array, noise: Array) -> CppFitted:
        """A new `CppFitted` with k more observations, in O(k n^2)."""
        return _fitted(self._native.extend(fitted.native, x, y, noise), fitted.jitter)

    def likelihood(self, x: Array, y: Array, noise: Array, hypers: Sequence[KernelHyper]) -> Likelihood:
        """Log marginal likelihoods and gradients of b settings; noise is (b, n)."""
        return Likelihood(*self._native.likelihood(x, y, noise, [self._hyper(h) for h in hypers]))

    def predict(self, fitted: CppFitted, x: Array) -> tuple[Array, Array]:
        """Posterior mean (m,) and variance (m,) of the latent function."""
        moments: tuple[Array, Array] = self._native.predict(fitted.native, x)
        return moments

    def score(
        self,
        fitted: CppFitted,
        x: Array,
        acquisition: AcquisitionSpec,
        gradient: bool = False,
        precision: Literal[32, 64] = 64,
    ) -> tuple[Array, Array | None]:
        """Acquisition values (m,) and their gradients (m, d) if asked for; always in double precision."""
        checks.one_of("precision", precision, checks.PRECISIONS)
        a = acquisition
        result: tuple[Array, Array | None] = self._native.score(
            fitted.native, x, a.kind, a.best, a.beta, a.xi, gradient
        )
        return result

    def sample(self, fitted: CppFitted, x: Array, normals: Array, jitter: float = 1e-10) -> Array:
        """Joint posterior samples (s, m) from standard normals (s, m)."""
        result: Array | int = self._native.sample(fitted.native, x, normals, jitter)
        if isinstance(result, int):
            raise checks.not_positive_definite(result, jitter)
        return result

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
        box = prior.mean, prior.deviation, prior.lower, prior.upper
        e = effort
        found: tuple[Array, Array] = self._native.most_likely(
            x, y, noise, categorical, family, box, starts, e.iterations, e.tolerance, e.reach
        )
        return found

    def ascend(
        self, fitted: CppFitted, starts: Array, lower: Array, upper: Array, acquisition: AcquisitionSpec, effort: Effort
    ) -> tuple[Array, Array]:
        """The points (b, d) where the acquisition is largest, from each start, and its values (b,)."""
        a, e = acquisition, effort
        found: tuple[Array, Array] = self._native.ascend(
            fitted.native, starts, lower, upper, a.kind, a.best, a.beta, a.xi, e.iterations, e.tolerance, e.reach
        )
        return found


def _fitted(result: _cpp.Fitted | int, jitter: float) -> CppFitted:
    if isinstance(result, int):
        raise checks.not_positive_definite(result, jitter)
    return CppFitted(result, jitter)
