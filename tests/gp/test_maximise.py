"""The maximiser: legal, untried, and as good as a dense search."""

from __future__ import annotations

import numpy as np
import pytest

from krigetuner.backend.descent import minimise
from krigetuner.backend.protocol import Array
from krigetuner.gp.maximise import Climb, Score, ascend, design, first_untried, latin, maximise, mutations
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space


def cube(d: int = 3) -> Space:
    hp = HyperParameters()
    for i in range(d):
        hp.Float(f"x{i}", 0.0, 1.0)
    return Space(hp.space)


def mixed() -> Space:
    hp = HyperParameters()
    hp.Float("x", 0.0, 1.0)
    hp.Int("n", 1, 20)
    hp.Choice("kind", ["a", "b", "c", "d"])
    hp.Float("only_c", 0.0, 1.0, parent_name="kind", parent_values=["c"])
    return Space(hp.space)


def hill(target: Array, categorical: Array) -> tuple[Score, Climb]:
    """A bowl upside down around the target, and the ascent of it."""

    def score(rows: Array) -> Array:
        return -np.where(categorical, rows != target, (rows - target) ** 2).sum(axis=1)

    def climb(starts: Array, lower: Array, upper: Array) -> Array:
        def negative(rows: Array) -> tuple[Array, Array]:
            return -score(rows), np.where(categorical, 0.0, 2 * (rows - target))

        return minimise(negative, starts, lower, upper)[0]

    return score, climb


def test_latin_hypercubes_have_one_point_per_cell() -> None:
    points = latin(np.random.default_rng(0), 7, 4)
    assert (np.sort(np.floor(points * 7), axis=0) == np.arange(7)[:, None]).all()


def test_the_design_is_legal_and_spread_and_begins_as_told() -> None:
    first, random = np.full(3, 0.5), np.random.default_rng(1).random((6, 3))
    rows = design(cube(), np.random.default_rng(0), first, 6)
    gaps = [np.linalg.norm(p[:, None] - p[None], axis=-1)[np.triu_indices(6, 1)].min() for p in (rows, random)]
    assert gaps[0] > gaps[1]
    assert (rows[0] == first).all()
    centre = mixed().snap([[0.5] * 4])[0]
    rows = design(mixed(), np.random.default_rng(0), centre, 9)
    assert rows.shape == (9, 4)
    assert (mixed().snap(rows) == rows).all()
    assert (design(mixed(), np.random.default_rng(0), centre, 1) == centre).all()


def test_a_smooth_maximum_is_found_to_many_digits() -> None:
    space, target = cube(), np.array([0.123456, 0.7, 1.0])
    row = maximise(space, *hill(target, space.categorical), np.empty((0, 3)), set(), np.random.default_rng(0))
    assert row == pytest.approx(target, abs=1e-6)


def test_mixed_and_conditional_columns() -> None:
    space = mixed()
    target = space.encode({"x": 0.25, "n": 13, "kind": "c", "only_c": 0.875})
    row = maximise(space, *hill(target, space.categorical), np.empty((0, 4)), set(), np.random.default_rng(0))
    assert row == pytest.approx(target, abs=1e-6)
    taken = set(space.row_keys(row[None]))
    second = maximise(space, *hill(target, space.categorical), target[None], taken, np.random.default_rng(0))
    assert second is not None
    assert space.row_keys(second[None]) != space.row_keys(row[None])


def test_ascent_leaves_categories_and_inactive_columns_alone() -> None:
    space = mixed()
    start = space.encode({"x": 0.9, "n": 2, "kind": "a"})
    target = space.encode({"x": 0.25, "n": 13, "kind": "c", "only_c": 0.875})
    (end,) = ascend(space, hill(target, space.categorical)[1], start[None])
    assert space.decode(end) == {"x": pytest.approx(0.25), "n": 13, "kind": "a"}


def test_mutations_are_legal_and_near() -> None:
    space = mixed()
    centre = space.encode({"x": 0.5, "n": 10, "kind": "c", "only_c": 0.5})
    rows = mutations(space, centre[None], np.random.default_rng(0), 300)
    assert (space.snap(rows) == rows).all()
    assert np.median(np.abs(rows[:, 0] - 0.5)) < 0.1
    assert len(set(rows[:, 2])) == 4


def test_everything_tried_gives_none() -> None:
    hp = HyperParameters()
    hp.Int("n", 1, 3)
    space = Space(hp.space)
    rows = space.encode_many([{"n": i} for i in (1, 2, 3)])
    assert first_untried(space, rows, np.arange(3.0), set(space.row_keys(rows))) is None
    left = first_untried(space, rows, np.arange(3.0), set(space.row_keys(rows[1:])))
    assert left is not None
    assert space.decode(left) == {"n": 1}
