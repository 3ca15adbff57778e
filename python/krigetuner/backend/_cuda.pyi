"""The CUDA core's extension module; see cuda/bindings."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from krigetuner.errors import BackendUnavailable

Array = npt.NDArray[np.float64]

class Unavailable(BackendUnavailable): ...

class Hyper:
    def __init__(
        self, lengthscales: Array, variance: float, categorical: npt.NDArray[np.bool_], family: str
    ) -> None: ...

class Fitted:
    @property
    def count(self) -> int: ...
    @property
    def log_likelihood(self) -> float: ...

def kernel(
    device: int, a: Array, b: Array | None, hyper: Hyper, gradient: Literal["none", "hyper", "query"]
) -> Array: ...
def fit(device: int, x: Array, y: Array, noise: Array, hyper: Hyper, jitter: float) -> Fitted | int: ...
def extend(fitted: Fitted, x: Array, y: Array, noise: Array) -> Fitted | int: ...
def likelihood(
    device: int, x: Array, y: Array, noise: Array, hypers: Sequence[Hyper]
) -> tuple[Array, Array, Array]: ...
def predict(fitted: Fitted, x: Array) -> tuple[Array, Array]: ...
def score(
    fitted: Fitted, x: Array, kind: str, best: float, beta: float, xi: float, gradient: bool, screen: bool
) -> tuple[Array, Array | None]: ...
def sample(fitted: Fitted, x: Array, normals: Array, jitter: float) -> Array | int: ...
def most_likely(
    device: int,
    x: Array,
    y: Array,
    noise: Array,
    categorical: npt.NDArray[np.bool_],
    family: str,
    prior: tuple[Array, Array, Array, Array],
    starts: Array,
    iterations: int,
    tolerance: float,
    reach: float,
) -> tuple[Array, Array]: ...
def ascend(
    fitted: Fitted,
    starts: Array,
    lower: Array,
    upper: Array,
    kind: str,
    best: float,
    beta: float,
    xi: float,
    iterations: int,
    tolerance: float,
    reach: float,
) -> tuple[Array, Array]: ...
def why_unavailable() -> str: ...
def device_count() -> int: ...
def device_info(device: int) -> dict[str, Any]: ...
def load_libraries(directories: Sequence[str]) -> tuple[str, str]: ...
def set_allocator(take: Callable[[int, int, int], Any] | None) -> None: ...
def set_workspace_limit(bytes: int) -> None: ...
def workspace_limit() -> int: ...
def build_info() -> dict[str, str]: ...
