"""Which observations a model of bounded size is made of, when there are more.

A third are the best, a third lie nearest to the best of them, and the rest are taken from all distances: where the next
suggestion is likely to be the model is as dense as the whole, and elsewhere it still knows what was tried.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from krigetuner.backend.protocol import OBSERVATIONS, Array


def representatives(
    x: Array, y: Array, lengthscales: Array, categorical: npt.NDArray[np.bool_], size: int = OBSERVATIONS
) -> npt.NDArray[np.intp]:
    """Indices (at most `size`,) into the observations, in their order.

    Args:
        x: (n, d) rows.
        y: (n,) outputs, the lower the better.
        lengthscales: (d,) in which distances are measured.
        categorical: (d,) where two coordinates are equal or not.
    """
    n = len(x)
    if n <= size:
        return np.arange(n)
    third = size // 3
    by_output = np.argsort(y, kind="stable")
    by_distance = nearest(x, x[by_output[0]], lengthscales, categorical)
    chosen = np.zeros(n, dtype=bool)
    chosen[by_output[:third]] = True
    chosen[by_distance[~chosen[by_distance]][:third]] = True
    left = by_distance[~chosen[by_distance]]
    chosen[left[np.linspace(0, len(left) - 1, size - int(chosen.sum())).astype(np.intp)]] = True
    return np.flatnonzero(chosen)


def nearest(x: Array, centre: Array, lengthscales: Array, categorical: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Indices (n,) of rows x (n, d) in the order of their distance from a row (d,)."""
    moved = np.where(categorical, x != centre, x - centre) / lengthscales
    return np.argsort(np.einsum("nd,nd->n", moved, moved), kind="stable")
