"""Regression problems for the laws of a backend: spread, clustered and duplicated inputs, categories among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from krigetuner.backend.protocol import Array, KernelHyper

RADIAL = ("matern12", "matern32", "matern52", "rbf")
FAMILIES = (*RADIAL, "additive52")
ACQUISITIONS = ("ucb", "lcb", "ei", "logei", "pi")


@dataclass(frozen=True)
class Problem:
    """n noisy observations, m candidates, and hyperparameters."""

    x: Array
    y: Array
    noise: Array
    candidates: Array
    hyper: KernelHyper

    def fit(self, backend: Any) -> Any:
        return backend.fit(self.x, self.y, self.noise, self.hyper)

    def with_hyper(self, **changes: Any) -> Problem:
        return replace(self, hyper=replace(self.hyper, **changes))


def make_problem(
    seed: int,
    n: int = 12,
    m: int = 5,
    d: int = 3,
    family: str = "matern52",
    layout: str = "spread",
    noise: float = 1e-2,
) -> Problem:
    """One problem; with three dimensions or more, the last is categorical."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, d))
    if layout == "clustered":
        x[n // 2 :] = x[0] + 1e-5 * rng.random((n - n // 2, d))
    categorical = np.zeros(d, dtype=bool)
    candidates = rng.random((m, d))
    if d >= 3:
        categorical[-1] = True
        codes = np.array([1 / 6, 3 / 6, 5 / 6])
        x[:, -1], candidates[:, -1] = rng.choice(codes, n), rng.choice(codes, m)
    if layout == "duplicated":
        x[n // 2 :] = x[: n - n // 2]
    hyper = KernelHyper(rng.uniform(0.2, 2.0, d), float(rng.uniform(0.3, 3.0)), categorical, family)  # type: ignore[arg-type]
    return Problem(x, rng.normal(size=n), noise * rng.uniform(0.5, 2.0, n), candidates, hyper)


def problems(
    n: int = 40, m: int = 12, d: int = 8, noises: tuple[float, ...] = (1e-4, 1e-2)
) -> st.SearchStrategy[Problem]:
    """Problems up to a size."""
    return st.builds(
        make_problem,
        seed=st.integers(0, 2**32 - 1),
        n=st.integers(1, n),
        m=st.integers(0, m),
        d=st.integers(1, d),
        family=st.sampled_from(FAMILIES),
        layout=st.sampled_from(("spread", "clustered", "duplicated")),
        noise=st.sampled_from(noises),
    )


def slope(function: Callable[[float], Any], step: float = 2e-3) -> Any:
    """Derivative at 0 by central differences, Richardson-extrapolated twice: error of order step^6."""
    rows = [(np.asarray(function(h)) - np.asarray(function(-h))) / (2 * h) for h in (step, step / 2, step / 4)]
    first = [(4 * b - a) / 3 for a, b in pairwise(rows)]
    return (16 * first[1] - first[0]) / 15


def moved(x: Array, j: int, by: float) -> Array:
    """A copy of x with a step in column j."""
    out = x.copy()
    out[:, j] += by
    return out


def close(found: Any, expected: Any, relative: float, scale: float | None = None) -> None:
    """Entries differ by at most `relative` times the largest expected magnitude (or a given scale)."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    if expected.size:
        size = float(np.max(np.abs(expected))) if scale is None else scale
        worst = float(np.max(np.abs(found - expected)))
        assert worst <= relative * max(size, 1e-300), f"off by {worst:.3g}, scale {size:.3g}"
