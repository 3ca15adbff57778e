"""Which observations a bounded model keeps."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from krigetuner.gp.local import representatives


def test_all_of_few_are_kept() -> None:
    x = np.random.default_rng(0).random((30, 2))
    assert representatives(x, x[:, 0], np.ones(2), np.zeros(2, dtype=bool), 30).tolist() == list(range(30))


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(31, 200))
def test_the_best_and_the_nearest_to_it_are_kept_and_every_distance(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.random((n, 3)), rng.normal(size=n)
    y[rng.integers(n)] = np.inf
    scale, categorical = np.array([0.2, 1.0, 1.0]), np.array([False, False, True])
    x[:, 2] = rng.integers(0, 2, n)
    kept = representatives(x, y, scale, categorical, 30)
    assert len(kept) == 30
    assert np.all(np.diff(kept) > 0)
    order = np.argsort(y)
    assert set(order[:10]) <= set(kept)
    centre = x[order[0]]
    away = ((x[:, 0] - centre[0]) / 0.2) ** 2 + (x[:, 1] - centre[1]) ** 2 + (x[:, 2] != centre[2])
    rest = [i for i in np.argsort(away, kind="stable") if i not in set(order[:10])]
    assert set(rest[:10]) <= set(kept)
    assert rest[-1] in kept


def test_distances_of_categories_are_all_the_same() -> None:
    x = np.array([[0.0], [0.5], [1.0], [0.0]])
    kept = representatives(x, np.array([0.0, 1.0, 2.0, 3.0]), np.ones(1), np.ones(1, dtype=bool), 3)
    assert 3 in kept
