"""What the verbs of both native cores look like from Python; see cpp/bindings/verbs.hpp."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

class Hyper:
    def __init__(
        self, lengthscales: Array, variance: float, categorical: npt.NDArray[np.bool_], family: str
    ) -> None: ...

class Fitted:
    @property
    def count(self) -> int: ...
    @property
    def log_likelihood(self) -> float: ...
    def extend(self, x: Array, y: Array, noise: Array) -> Fitted | int: ...
    def predict(self, x: Array) -> tuple[Array, Array]: ...
    def mean(self, x: Array) -> Array: ...
    def score(
        self, x: Array, kind: str, best: float, beta: float, xi: float, gradient: bool, screen: bool
    ) -> tuple[Array, Array | None]: ...
    def sample(self, x: Array, normals: Array, jitter: float) -> Array | int: ...
    def ascend(
        self,
        starts: Array,
        lower: Array,
        upper: Array,
        kind: str,
        best: float,
        beta: float,
        xi: float,
        penalty: tuple[Array, Array, float] | None,
        iterations: int,
        tolerance: float,
        reach: float,
    ) -> tuple[Array, Array]: ...

class Verbs:
    def kernel(self, a: Array, b: Array | None, hyper: Hyper, gradient: Literal["none", "hyper", "query"]) -> Array: ...
    def fit(self, x: Array, y: Array, noise: Array, hyper: Hyper, jitter: float) -> Fitted | int: ...
    def likelihood(self, x: Array, y: Array, noise: Array, hypers: Sequence[Hyper]) -> tuple[Array, Array, Array]: ...
    def most_likely(
        self,
        x: Array,
        y: Array,
        noise: Array,
        categorical: npt.NDArray[np.bool_],
        family: str,
        prior: tuple[Array, Array, Array, Array, float],
        starts: Array,
        iterations: int,
        tolerance: float,
        reach: float,
    ) -> tuple[Array, Array]: ...
