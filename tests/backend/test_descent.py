"""The batched quasi-Newton method against known minima and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from krigetuner.backend.descent import HALVINGS, minimise
from krigetuner.backend.protocol import Array, Effort


def rosenbrock(x: Array) -> tuple[Array, Array]:
    a, b = x[:, 0], x[:, 1]
    gradient = np.stack([-2 * (1 - a) - 400 * a * (b - a**2), 200 * (b - a**2)], axis=1)
    return (1 - a) ** 2 + 100 * (b - a**2) ** 2, gradient


def test_rosenbrock_from_several_starts() -> None:
    starts = np.array([[-1.5, 1.5], [0.0, 0.0], [1.8, -1.0]])
    points, values = minimise(rosenbrock, starts, np.full(2, -2.0), np.full(2, 2.0), Effort(200, 1e-9))
    assert points == pytest.approx(np.ones((3, 2)), abs=1e-6)
    assert values == pytest.approx(np.zeros(3), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_bounded_quadratics_agree_with_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = 6
    root = rng.normal(size=(d, d))
    matrix, centre = root @ root.T + 0.1 * np.eye(d), rng.normal(size=d)

    def function(x: Array) -> tuple[Array, Array]:
        return np.einsum("bi,ij,bj->b", x - centre, matrix, x - centre), 2 * (x - centre) @ matrix

    points, values = minimise(function, rng.random((4, d)), np.zeros(d), np.ones(d), Effort(300, 1e-9))
    judge = minimize(lambda v: float(function(v[None])[0][0]), np.full(d, 0.5), bounds=[(0, 1)] * d, tol=1e-14)
    assert values == pytest.approx(np.full(4, judge.fun), rel=1e-6)
    assert points == pytest.approx(np.tile(judge.x, (4, 1)), abs=1e-3)


def test_each_start_has_its_own_box() -> None:
    def function(x: Array) -> tuple[Array, Array]:
        return (x**2).sum(axis=1), 2 * x

    lower = np.array([[0.2, -1.0], [-1.0, 0.4]])
    points, _ = minimise(function, np.ones((2, 2)), lower, np.ones((2, 2)))
    assert points == pytest.approx(np.array([[0.2, 0.0], [0.0, 0.4]]), abs=1e-6)


def test_infinite_values_refuse_a_step_and_a_start() -> None:
    def function(x: Array) -> tuple[Array, Array]:
        value = np.where(x[:, 0] > 0.5, (x[:, 0] - 0.6) ** 2, np.inf)
        return value, 2 * (x - 0.6)

    points, values = minimise(function, np.array([[0.9], [0.1]]), np.zeros(1), np.ones(1))
    assert points[0, 0] == pytest.approx(0.6, abs=1e-6)
    assert values[1] == np.inf
    assert points[1, 0] == 0.1


def test_a_start_is_independent_of_its_neighbours() -> None:
    starts = np.array([[-1.5, 1.5], [0.3, 0.1]])
    both, _ = minimise(rosenbrock, starts, np.full(2, -2.0), np.full(2, 2.0))
    alone, _ = minimise(rosenbrock, starts[1:], np.full(2, -2.0), np.full(2, 2.0))
    assert both[1] == pytest.approx(alone[0], abs=1e-12)


def test_a_start_of_which_nothing_is_known_ends_where_no_step_descends() -> None:
    calls = 0

    def wrong(x: Array) -> tuple[Array, Array]:
        nonlocal calls
        calls += 1
        return (x**2).sum(axis=1), -2 * x

    points, values = minimise(wrong, np.full((1, 2), 0.5), np.full(2, -1.0), np.full(2, 1.0))
    assert points == pytest.approx(np.full((1, 2), 0.5))
    assert values == pytest.approx([0.5])
    assert calls == 1 + HALVINGS
