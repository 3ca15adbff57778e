"""The nine verbs on one NVIDIA GPU: a thin adapter of the extension module `_cuda`, as cpp_backend.py is of `_cpp`.

What was fitted stays in the GPU's memory; rows go in, numbers come out. Whatever the GPU cannot do is
`BackendUnavailable`. See cuda/bindings; what the environment sets is in cuda_environment.py.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

from krigetuner.backend import checks
from krigetuner.backend import cuda_environment as environment
from krigetuner.backend.protocol import AcquisitionSpec, Array, Effort, Family, KernelHyper, Likelihood, Prior
from krigetuner.errors import BackendUnavailable

if TYPE_CHECKING:
    import numpy as np

    from krigetuner.backend import _cuda

MODULE = "krigetuner.backend._cuda"
OBSERVATIONS = 10_000
"""Observations that a GPU can afford a model of, at every trial; the factor takes 800 MB."""
REMEDY = (
    "install KrigeTuner from its source where nvcc of CUDA 12 or 13 is found: "
    "KRIGE_CUDA=ON python -m pip install --force-reinstall --no-deps <the source>, "
    "and pip install 'krigetuner[cuda]'"
)


@cache
def is_built() -> bool:
    """Whether the extension module is here; nothing is loaded."""
    return importlib.util.find_spec(MODULE) is not None


def load_extension() -> ModuleType:
    """The extension module.

    Raises:
        BackendUnavailable: it was not built, or it cannot be loaded here.
    """
    try:
        # a missing extension inside a package would report itself as a circular import
        if not is_built():
            raise BackendUnavailable(f"backend cuda: expected the extension module {MODULE}, got none; {REMEDY}")
        return importlib.import_module(MODULE)
    except (ImportError, ValueError) as error:
        raise BackendUnavailable(
            f"backend cuda: expected the extension module {MODULE} to load, got {error}; {REMEDY}"
        ) from error


class CudaFitted:
    """The factored posterior, held in the GPU's memory."""

    __slots__ = ("jitter", "native")

    def __init__(self, native: _cuda.Fitted, jitter: float) -> None:
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


class CudaBackend:
    """The verbs of `protocol.Backend`, on a GPU.

    Args:
        device: index of the GPU; default: KRIGETUNER_CUDA_DEVICE, else 0.
        native: a module that offers what `_cuda` does, in its place.

    Attributes:
        info: name, compute capability and memory of the GPU, and where its memory and libraries come from.

    Raises:
        BackendUnavailable: the extension module, a driver, a GPU or a library is missing; the message says which.
        ValueError: a variable of the environment cannot be understood.
    """

    name = "cuda"
    tolerance = 1e-9

    def observations(self, available: int) -> int:
        """Of how many of the available observations a model should be made."""
        return min(available, OBSERVATIONS)

    def __init__(self, device: int | None = None, native: ModuleType | None = None) -> None:
        self._native: Any = native or load_extension()
        self.device = environment.device() if device is None else device
        self._native.set_workspace_limit(environment.workspace())
        self.info: dict[str, Any] = self._native.device_info(self.device)
        self.info["pool"] = environment.choose_pool(self._native, self.device)
        self.info["libraries"] = self._native.load_libraries(environment.library_directories())

    def _hyper(self, hyper: KernelHyper) -> _cuda.Hyper:
        made: _cuda.Hyper = self._native.Hyper(hyper.lengthscales, hyper.variance, hyper.categorical, hyper.family)
        return made

    def kernel(
        self, a: Array, b: Array | None, hyper: KernelHyper, gradient: Literal["none", "hyper", "query"] = "none"
    ) -> Array:
        """Kernel matrix (n, m), or its derivatives (p, n, m) or (d, n, m)."""
        matrix: Array = self._native.kernel(self.device, a, b, self._hyper(hyper), gradient)
        return matrix

    def fit(self, x: Array, y: Array, noise: Array, hyper: KernelHyper, jitter: float = 0.0) -> CudaFitted:
        """Factors K and solves for alpha; raises NotPositiveDefinite at the first pivot that is not positive."""
        return _fitted(self._native.fit(self.device, x, y, noise, self._hyper(hyper), jitter), jitter)

    def extend(self, fitted: CudaFitted, x: Array, y: Array, noise: Array) -> CudaFitted:
        """A new `CudaFitted` with k more observations, in O(k n^2)."""
        return _fitted(self._native.extend(fitted.native, x, y, noise), fitted.jitter)

    def likelihood(self, x: Array, y: Array, noise: Array, hypers: Sequence[KernelHyper]) -> Likelihood:
        """Log marginal likelihoods and gradients of b settings; noise is (b, n)."""
        settings = [self._hyper(h) for h in hypers]
        return Likelihood(*self._native.likelihood(self.device, x, y, noise, settings))

    def predict(self, fitted: CudaFitted, x: Array) -> tuple[Array, Array]:
        """Posterior mean (m,) and variance (m,) of the latent function."""
        moments: tuple[Array, Array] = self._native.predict(fitted.native, x)
        return moments

    def score(
        self,
        fitted: CudaFitted,
        x: Array,
        acquisition: AcquisitionSpec,
        gradient: bool = False,
        precision: Literal[32, 64] = 64,
    ) -> tuple[Array, Array | None]:
        """Acquisition values (m,) and their gradients (m, d) if asked for.

        Args:
            precision: 32 screens in single precision where no gradient is asked for; the largest 64 values are then
                those of double precision.
        """
        checks.one_of("precision", precision, checks.PRECISIONS)
        a = acquisition
        result: tuple[Array, Array | None] = self._native.score(
            fitted.native, x, a.kind, a.best, a.beta, a.xi, gradient, precision == 32
        )
        return result

    def sample(self, fitted: CudaFitted, x: Array, normals: Array, jitter: float = 1e-10) -> Array:
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
            self.device, x, y, noise, categorical, family, box, starts, e.iterations, e.tolerance, e.reach
        )
        return found

    def ascend(
        self,
        fitted: CudaFitted,
        starts: Array,
        lower: Array,
        upper: Array,
        acquisition: AcquisitionSpec,
        effort: Effort,
    ) -> tuple[Array, Array]:
        """The points (b, d) where the acquisition is largest, from each start, and its values (b,)."""
        a, e = acquisition, effort
        found: tuple[Array, Array] = self._native.ascend(
            fitted.native, starts, lower, upper, a.kind, a.best, a.beta, a.xi, e.iterations, e.tolerance, e.reach
        )
        return found


def _fitted(result: _cuda.Fitted | int, jitter: float) -> CudaFitted:
    if isinstance(result, int):
        raise checks.not_positive_definite(result, jitter)
    return CudaFitted(result, jitter)
