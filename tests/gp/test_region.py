"""The box around the best row, and the observations that it is made from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from krigetuner.gp.region import EACH, MORE, WIDE, Region, region
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space


def numbers(count: int) -> Space:
    hp = HyperParameters()
    for i in range(count):
        hp.Float(f"x{i}", 0.0, 1.0)
    return Space(hp.space)


def found(space: Space, x: np.ndarray, losses: np.ndarray) -> Region:
    near = region(space, x, losses, np.ones(space.dimensions))
    assert near is not None
    return near


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), d=st.integers(1, 5))
def test_half_of_the_nearest_are_inside_along_each_column(seed: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    x, losses = rng.random((80, d)), rng.random(80)
    near, best = found(numbers(d), x, losses), x[np.argmin(losses)]
    distances = ((x - best) ** 2).sum(axis=1)
    assert len(near.near) == EACH * d + MORE
    assert distances[near.near].max() <= np.delete(distances, near.near).min()
    assert (np.abs(x[near.near] - best) <= np.maximum(near.upper - best, best - near.lower) + 1e-12).mean(
        axis=0
    ).min() >= 0.5
    assert ((near.lower >= 0.0) & (near.lower < near.upper) & (near.upper <= 1.0)).all()
    rows = rng.random((50, d))
    points = near.to_unit(rows)
    assert np.array_equal(near.outside(rows), ((points < 0.0) | (points > 1.0)).any(axis=1))
    np.testing.assert_allclose(near.from_unit(points), rows, atol=1e-12)


def test_rounding_at_the_edge_puts_nothing_outside() -> None:
    rng = np.random.default_rng(2)
    near = found(numbers(3), rng.random((60, 3)), rng.random(60))
    width = near.upper - near.lower
    for corner in (near.lower, near.upper):
        rounded = np.array([np.nextafter(corner, 2.0), np.nextafter(corner, -1.0), corner])
        assert not near.outside(rounded).any()
        assert near.outside(corner + np.sign(corner - near.best) * 1e-6 * width * np.eye(3)).all()


def test_it_closes_in_with_the_observations() -> None:
    rng, space = np.random.default_rng(0), numbers(3)
    x = rng.random((40, 3))
    losses = ((x - 0.4) ** 2).sum(axis=1)
    wide = found(space, x, losses)
    x = np.concatenate([x, 0.4 + 0.01 * rng.standard_normal((20, 3))])
    narrow = found(space, x, ((x - 0.4) ** 2).sum(axis=1))
    assert (narrow.upper - narrow.lower).max() < 0.2 * (wide.upper - wide.lower).min()


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_at_an_edge_it_stays_open_though_all_observations_near_are_there(edge: float) -> None:
    rng = np.random.default_rng(3)
    x = 0.4 + 0.01 * rng.standard_normal((40, 3))
    x[:, 2] = edge
    near = found(numbers(3), x, ((x - 0.4) ** 2).sum(axis=1))
    width = near.upper - near.lower
    assert 0.5 * width[:2].min() / 2 <= width[2] <= width[:2].max()
    x[:] = edge
    near = found(numbers(3), x, np.arange(40.0))
    assert (near.upper - near.lower) == pytest.approx(WIDE)


def mixed() -> Space:
    hp = HyperParameters()
    hp.Choice("family", ["a", "b"])
    hp.Float("x", 0.0, 1.0)
    hp.Float("y", 0.0, 1.0, parent_name="family", parent_values=["a"])
    return Space(hp.space)


def test_other_categories_and_inactive_columns_stay_as_they_are() -> None:
    space, rng = mixed(), np.random.default_rng(1)
    rows = space.encode_many([{"family": "ab"[i % 2], "x": rng.random(), "y": rng.random()} for i in range(60)])
    losses = np.where(np.arange(60) % 2 == 1, rng.random(60), 2.0)  # the best is of b, where y is not active
    near = found(space, rows, losses)
    assert near.free.tolist() == [1]
    assert all(i % 2 == 1 for i in near.near)
    assert near.outside(rows[::2]).all()
    assert not near.outside(near.from_unit(np.array([[0.0], [0.5], [1.0]]))).any()


@pytest.mark.parametrize("losses", [np.full(5, 1.0), np.append(np.full(40, np.inf), 1.0)], ids=["few", "diverged"])
def test_too_few_observations(losses: np.ndarray) -> None:
    assert region(numbers(2), np.random.default_rng(0).random((len(losses), 2)), losses, np.ones(2)) is None


def test_nothing_numeric() -> None:
    hp = HyperParameters()
    hp.Choice("family", ["a", "b"])
    space = Space(hp.space)
    assert region(space, np.zeros((30, 1)), np.arange(30.0), np.ones(1)) is None


def test_duplicates_of_the_best_leave_a_box() -> None:
    near = found(numbers(2), np.zeros((30, 2)), np.arange(30.0))
    assert (near.upper > near.lower).all()
