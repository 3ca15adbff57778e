"""Kernel matrices and their derivatives in numpy.

Distances are sums of squared differences, never expanded into products, so that close points keep their digits. Rows
are worked through in blocks that fit a core's cache.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt

from krigetuner.backend.protocol import Array, KernelHyper

BLOCK = 1 << 16
"""Numbers in one block of coordinate differences: half a megabyte."""
GROUP = 1 << 13
"""Numbers of the columns whose terms are worked out together."""
KEPT = 1 << 19
"""Squared differences of all pairs that are kept between kernels of the same rows, at most: four megabytes."""
FACTORS = {"matern12": 1.0, "matern32": 3.0, "matern52": 5.0, "additive52": 5.0}
"""s^2 / r^2 of the protocol's formulas."""


def slices(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size`, at least one, that cover `count` in order."""
    size = max(1, size)
    return (slice(i, min(i + size, count)) for i in range(0, count, size))


def correlation(hyper: KernelHyper, squares: Array) -> Array:
    """The kernel divided by its variance (n, m), from squared differences (d, n, m)."""
    weights = inverse_squares(hyper)
    if not adds_up(hyper):
        return radial(hyper.family, squared_distances(squares, weights))
    columns, total = np.flatnonzero(~hyper.categorical), np.zeros(squares.shape[1:])
    for some in _groups(columns, total.size):
        total += radial("matern52", squares[some] * weights[some, None, None]).sum(axis=0)
    if len(columns) < len(weights):
        total *= radial("matern52", squared_distances(squares, np.where(hyper.categorical, weights, 0.0)))
    return np.asarray(total / len(columns))


def both(hyper: KernelHyper, squares: Array) -> tuple[Array, Array]:
    """`correlation`, and -2 times its derivatives with respect to each column's share of the squared distances.

    These are (d, n, m), or (1, n, m) where all are the same.
    """
    weights = inverse_squares(hyper)
    if not adds_up(hyper):
        value, steepness = radial_both(hyper.family, squared_distances(squares, weights))
        return value, steepness[None]
    columns, total, by_column = np.flatnonzero(~hyper.categorical), np.zeros(squares.shape[1:]), np.empty_like(squares)
    shared, fall = radial_both("matern52", squared_distances(squares, np.where(hyper.categorical, weights, 0.0)))
    shared /= len(columns)
    for some in _groups(columns, total.size):
        values, steepness = radial_both("matern52", squares[some] * weights[some, None, None])
        total += values.sum(axis=0)
        by_column[some] = steepness * shared
    by_column[hyper.categorical] = fall * total / len(columns)
    return total * shared, by_column


def _groups(columns: npt.NDArray[np.intp], size: int) -> Iterator[npt.NDArray[np.intp]]:
    """Columns of `size` numbers each, as many at a time as stay in a core's cache."""
    return (columns[part] for part in slices(len(columns), GROUP // max(1, size)))


def adds_up(hyper: KernelHyper) -> bool:
    """Whether the kernel is a mean of several terms."""
    return hyper.family == "additive52" and int((~hyper.categorical).sum()) > 1


def radial(family: str, squared: Array) -> Array:
    """A kernel of one distance, divided by its variance, from squared distances."""
    if family == "rbf":
        return np.asarray(np.exp(-0.5 * squared))
    s = np.sqrt(squared * FACTORS[family])
    decay = np.exp(-s)
    if family == "matern32":
        decay *= 1 + s
    elif family in ("matern52", "additive52"):
        decay *= 1 + s * (1 + s / 3)
    return np.asarray(decay)


def radial_both(family: str, squared: Array) -> tuple[Array, Array]:
    """`radial`, and -2 times its derivative with respect to the squared distance, for one exponential."""
    if family == "rbf":
        value = np.exp(-0.5 * squared)
        return value, value.copy()
    s = np.sqrt(squared * FACTORS[family])
    decay = np.exp(-s)
    if family == "matern12":
        return decay, np.divide(decay, s, out=np.zeros_like(s), where=s > 0)
    if family == "matern32":
        return decay * (1 + s), 3 * decay
    return decay * (1 + s * (1 + s / 3)), 5 / 3 * (1 + s) * decay


def inverse_squares(hyper: KernelHyper) -> Array:
    """Inverse squared lengthscales, kept finite: at 1e-100 any difference is already infinitely far."""
    return np.asarray(1 / np.maximum(hyper.lengthscales, 1e-100) ** 2)


class _Scratch(threading.local):
    """One block per thread, kept: fresh pages from the system would cost more than the arithmetic."""

    def __init__(self) -> None:
        self.block = np.empty(BLOCK)

    def take(self, shape: tuple[int, ...]) -> Array:
        size = math.prod(shape)
        return self.block[:size].reshape(shape) if size <= BLOCK else np.empty(shape)


_scratch = _Scratch()


def differences(a: Array, b: Array, hyper: KernelHyper) -> Array:
    """Differences (d, n, m) of the coordinates of a (n, d) and b (m, d); 0 or 1 in categorical dimensions.

    The result is valid until the next call in the same thread.
    """
    out = _scratch.take((a.shape[1], len(a), len(b)))
    np.subtract(a.T[:, :, None], np.ascontiguousarray(b.T)[:, None, :], out=out)
    if hyper.categorical.any():
        out[hyper.categorical] = out[hyper.categorical] != 0
    return out


def squared_distances(squares: Array, weights: Array) -> Array:
    """Squared distances (n, m) from squared differences (d, n, m) and inverse squared lengthscales (d,)."""
    return np.asarray((weights @ squares.reshape(len(weights), -1)).reshape(squares.shape[1:]))


def blocks(hyper: KernelHyper, rows: int, columns: int) -> Iterator[slice]:
    """Slices of the rows of a matrix whose coordinate differences fill one block each."""
    return slices(rows, BLOCK // max(1, columns * len(hyper.lengthscales)))


class Pairs:
    """The squared differences of rows x (n, d) with one another, block by block of the lower triangle.

    They depend on no hyperparameters but on which columns are categorical; unless they are too many, they are kept.
    """

    def __init__(self, x: Array, hyper: KernelHyper) -> None:
        self.x, self.hyper = x, hyper
        self.kept = [(r, s.copy()) for r, s in self._made()] if x.size * (len(x) + 1) // 2 <= KEPT else None

    def serve(self, hyper: KernelHyper) -> bool:
        """Whether these are the pairs of such a kernel."""
        own = self.hyper.categorical
        return hyper.categorical is own or np.array_equal(hyper.categorical, own)

    @cached_property
    def share(self) -> Array:
        """(n, n) how often each entry counts in a sum over all pairs, each once, with half of every diagonal entry."""
        return np.asarray(np.tri(len(self.x)) - 0.5 * np.eye(len(self.x)))

    def both(self, hyper: KernelHyper) -> tuple[Array, Iterable[tuple[slice, Array, Array]]]:
        """Correlations and slopes.

        Returns:
            The lower triangle (n, n) of the correlations; what is above is finite. And block by block rows, their
            squared differences, and the derivatives that the function `both` gives; made anew if blocks are not kept.
        """
        kernel, slopes = np.zeros((len(self.x), len(self.x))), []
        for rows, squares in self.blocks():
            kernel[rows, : rows.stop], steepness = both(hyper, squares)
            if self.kept is not None:
                slopes.append((rows, squares, steepness))
        if self.kept is not None:
            return kernel, slopes
        return kernel, ((rows, squares, both(hyper, squares)[1]) for rows, squares in self.blocks())

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Rows, and their squared differences (d, rows, up to the last of these rows) with those before and within."""
        return self._made() if self.kept is None else iter(self.kept)

    def _made(self) -> Iterator[tuple[slice, Array]]:
        for rows in blocks(self.hyper, len(self.x), len(self.x)):
            squares = differences(self.x[rows], self.x[: rows.stop], self.hyper)
            squares *= squares
            yield rows, squares


def rectangular(a: Array, b: Array, hyper: KernelHyper) -> Array:
    """Kernel matrix (n, m)."""
    out = np.empty((len(a), len(b)))
    for rows in blocks(hyper, len(a), len(b)):
        squares = differences(a[rows], b, hyper)
        squares *= squares
        np.multiply(correlation(hyper, squares), hyper.variance, out=out[rows])
    return out


def lower_triangle(x: Array, hyper: KernelHyper) -> Array:
    """Kernel matrix (n, n) whose strict upper triangle is arbitrary."""
    out = np.zeros((len(x), len(x)))
    for rows in blocks(hyper, len(x), len(x)):
        out[rows, : rows.stop] = rectangular(x[rows], x[: rows.stop], hyper)
    return out


def symmetric(x: Array, hyper: KernelHyper) -> Array:
    """Kernel matrix (n, n), exactly symmetric, with exactly the variance on its diagonal."""
    lower = np.tril(lower_triangle(x, hyper))
    full = lower + lower.T
    np.fill_diagonal(full, hyper.variance)
    return np.asarray(full)


def hyper_gradient(a: Array, b: Array, hyper: KernelHyper) -> Array:
    """Derivatives k and dk / d log lengthscale_j = variance slope delta_j^2 / lengthscale_j^2."""
    out = np.empty((len(hyper.lengthscales) + 1, len(a), len(b)))
    weights = inverse_squares(hyper)
    for rows in blocks(hyper, len(a), len(b)):
        squares = differences(a[rows], b, hyper) ** 2
        value, steepness = both(hyper, squares)
        out[:-1, rows] = hyper.variance * steepness * (squares * weights[:, None, None])
        out[-1, rows] = hyper.variance * value
    return out


def query_gradient(a: Array, b: Array, hyper: KernelHyper) -> Array:
    """Derivatives dk / da_j = -variance slope delta_j / lengthscale_j^2."""
    out = np.empty((len(hyper.lengthscales), len(a), len(b)))
    weights = inverse_squares(hyper)
    numeric = np.where(hyper.categorical, 0.0, weights)
    for rows in blocks(hyper, len(a), len(b)):
        delta = differences(a[rows], b, hyper)
        steepness = -hyper.variance * both(hyper, delta**2)[1]
        out[:, rows] = steepness * (delta * numeric[:, None, None])
    return out
