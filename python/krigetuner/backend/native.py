"""The ten verbs of a native core: a thin adapter, in which names become native objects and failed pivots exceptions.

The cores check their own arguments (cpp/bindings/arrays.hpp), with the messages of `checks`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from krigetuner.backend import checks
from krigetuner.backend.protocol import AcquisitionSpec, Array, Effort, Family, KernelHyper, Likelihood, Penalty, Prior
from krigetuner.errors import BackendUnavailable


def load(backend: str, module: str, remedy: str) -> ModuleType:
    """The extension module of a backend.

    Args:
        backend: its name, for messages.
        module: the extension's.
        remedy: what to do where there is none.

    Raises:
        BackendUnavailable: it was not built, or it cannot be loaded here.
    """
    try:
        # a missing extension inside a package would report itself as a circular import
        if importlib.util.find_spec(module) is None:
            raise BackendUnavailable(f"backend {backend}: expected the extension module {module}, got none; {remedy}")
        return importlib.import_module(module)
    except (ImportError, ValueError) as error:
        raise BackendUnavailable(
            f"backend {backend}: expected the extension module {module} to load, got {error}; {remedy}"
        ) from error


class NativeFitted:
    """The factored posterior, held by the core."""

    __slots__ = ("jitter", "native")

    def __init__(self, native: Any, jitter: float) -> None:
        self.native = native
        self.jitter = jitter

    @property
    def count(self) -> int:
        """Number of observations n."""
        return int(self.native.count)

    @property
    def log_likelihood(self) -> float:
        """Log marginal likelihood of the y it was fitted to."""
        return float(self.native.log_likelihood)


class NativeVerbs:
    """The verbs of `protocol.Backend`, by a core that a subclass has loaded.

    Args:
        native: the extension module.
        where: the device, where there are several.
    """

    tolerance = 1e-9

    def __init__(self, native: Any, *where: int) -> None:
        self._native = native
        self._core = native.Core(*where)

    def _hyper(self, hyper: KernelHyper) -> Any:
        return self._native.Hyper(hyper.lengthscales, hyper.variance, hyper.categorical, hyper.family)

    def kernel(
        self, a: Array, b: Array | None, hyper: KernelHyper, gradient: Literal["none", "hyper", "query"] = "none"
    ) -> Array:
        """Kernel matrix (n, m), or its derivatives (p, n, m) or (d, n, m)."""
        matrix: Array = self._core.kernel(a, b, self._hyper(hyper), gradient)
        return matrix

    def fit(self, x: Array, y: Array, noise: Array, hyper: KernelHyper, jitter: float = 0.0) -> NativeFitted:
        """Factors K and solves for alpha; raises NotPositiveDefinite at the first pivot that is not positive."""
        return _fitted(self._core.fit(x, y, noise, self._hyper(hyper), jitter), jitter)

    def extend(self, fitted: NativeFitted, x: Array, y: Array, noise: Array) -> NativeFitted:
        """A new `NativeFitted` with k more observations, in O(k n^2)."""
        return _fitted(fitted.native.extend(x, y, noise), fitted.jitter)

    def likelihood(self, x: Array, y: Array, noise: Array, hypers: Sequence[KernelHyper]) -> Likelihood:
        """Log marginal likelihoods and gradients of b settings; noise is (b, n)."""
        settings = [self._hyper(h) for h in hypers]
        return Likelihood(*self._core.likelihood(x, y, noise, settings))

    def predict(self, fitted: NativeFitted, x: Array) -> tuple[Array, Array]:
        """Posterior mean (m,) and variance (m,) of the latent function."""
        moments: tuple[Array, Array] = fitted.native.predict(x)
        return moments

    def mean(self, fitted: NativeFitted, x: Array) -> Array:
        """Posterior mean (m,)."""
        mean: Array = fitted.native.mean(x)
        return mean

    def score(
        self,
        fitted: NativeFitted,
        x: Array,
        acquisition: AcquisitionSpec,
        gradient: bool = False,
        precision: Literal[32, 64] = 64,
    ) -> tuple[Array, Array | None]:
        """Acquisition values (m,) and their gradients (m, d) if asked for.

        Args:
            precision: 32 screens in single precision where the core can and no gradient is asked for; the largest 64
                values are then those of double precision.
        """
        checks.one_of("precision", precision, checks.PRECISIONS)
        a = acquisition
        result: tuple[Array, Array | None] = fitted.native.score(
            x, a.kind, a.best, a.beta, a.xi, gradient, precision == 32
        )
        return result

    def sample(self, fitted: NativeFitted, x: Array, normals: Array, jitter: float = 1e-10) -> Array:
        """Joint posterior samples (s, m) from standard normals (s, m)."""
        result: Array | int = fitted.native.sample(x, normals, jitter)
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
        believed = prior.mean, prior.deviation, prior.lower, prior.upper, prior.shared
        e = effort
        found: tuple[Array, Array] = self._core.most_likely(
            x, y, noise, categorical, family, believed, starts, e.iterations, e.tolerance, e.reach
        )
        return found

    def ascend(
        self,
        fitted: NativeFitted,
        starts: Array,
        lower: Array,
        upper: Array,
        acquisition: AcquisitionSpec,
        effort: Effort,
        penalty: Penalty | None = None,
    ) -> tuple[Array, Array]:
        """The points (b, d) where the acquisition less the penalty is largest, from each start, and its values (b,)."""
        a, e = acquisition, effort
        taken = None if penalty is None else (penalty.lower, penalty.upper, penalty.strength)
        found: tuple[Array, Array] = fitted.native.ascend(
            starts, lower, upper, a.kind, a.best, a.beta, a.xi, taken, e.iterations, e.tolerance, e.reach
        )
        return found


def _fitted(result: Any, jitter: float) -> NativeFitted:
    if isinstance(result, int):
        raise checks.not_positive_definite(result, jitter)
    return NativeFitted(result, jitter)
