"""The parabola near the best row: known minima, trust region, columns that must not move."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from krigetuner.gp.parabola import CROSSED, OVERSIZE, lowest_rows
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space


def floats(count: int) -> Space:
    hp = HyperParameters()
    for i in range(count):
        hp.Float(f"x{i}", 0.0, 1.0)
    return Space(hp.space)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.booleans())
def test_a_parabola_is_solved_by_one_step(seed: int, d: int, eager: bool) -> None:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((d, d)) + 2.0 * np.eye(d)
    minimum = 0.3 + 0.4 * rng.random(d)
    x = np.clip(minimum + 0.2 * rng.standard_normal((2 * (d + 1) * (d + 2), d)), 0.0, 1.0)
    losses = 7.0 + (((x - minimum) @ root) ** 2).sum(axis=1)
    rows = lowest_rows(floats(d), x, losses, np.ones(d), rng, eager)
    best = x[np.argmin(losses)]
    moved = np.abs(x - best)
    near = np.argsort((moved**2).sum(axis=1))[: int(np.ceil(OVERSIZE * (d + 1) * (d + 2) / 2))]
    if (np.abs(minimum - best) < np.median(moved[near], axis=0)).all():
        np.testing.assert_allclose(rows[0], minimum, atol=1e-6)
    else:
        assert 7.0 + (((rows[0] - minimum) @ root) ** 2).sum() < losses.min()


def test_a_second_step_gains_digits() -> None:
    rng, d = np.random.default_rng(3), 5
    space, minimum = floats(d), np.full(d, 0.43)
    x = rng.random((40, d))
    losses = (np.arange(1, d + 1) * (x - minimum) ** 2).sum(axis=1)
    for _ in range(4):
        rows = lowest_rows(space, x, losses, np.ones(d), rng)[:1]
        x = np.concatenate([x, rows])
        losses = np.append(losses, (np.arange(1, d + 1) * (rows - minimum) ** 2).sum(axis=1))
    assert losses.min() < 1e-8 * losses[:40].min()


def test_a_separable_minimum_is_found_from_few_points() -> None:
    rng, d = np.random.default_rng(0), 6
    curvature, minimum = 10.0 ** np.arange(d), np.full(d, 0.43)
    x = rng.random((3 * d, d))
    losses = (curvature * (x - minimum) ** 2).sum(axis=1)
    for _ in range(2):
        row = lowest_rows(floats(d), x, losses, np.ones(d), rng, eager=True)[0]
        x, losses = np.concatenate([x, row[None]]), np.append(losses, (curvature * (row - minimum) ** 2).sum())
    assert len(x) < (d + 1) * (d + 2) // 2
    assert losses.min() < 1e-10 * losses[: 3 * d].min()


def test_where_terms_of_two_columns_matter_points_enough_bring_them() -> None:
    rng, d = np.random.default_rng(8), 3
    bent = np.eye(d) + 0.9 * (np.ones((d, d)) - np.eye(d))
    x = rng.random((40, d))
    losses = np.einsum("ni,ij,nj->n", x - 0.5, bent, x - 0.5)
    few, many = (lowest_rows(floats(d), x[:n], losses[:n], np.ones(d), rng, eager=True)[:1] for n in (12, 40))
    assert not np.allclose(few, 0.5, atol=1e-3)
    np.testing.assert_allclose(many, np.full((1, d), 0.5), atol=1e-6)


def test_eager_ones_are_believed_sooner() -> None:
    found = np.zeros(2)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = rng.random((40, 1))  # one column: both have the same terms
        losses = (x[:, 0] - 0.5) ** 2 + 0.1 * rng.standard_normal(40)
        found += [len(lowest_rows(floats(1), x, losses, np.ones(1), rng, eager)) > 0 for eager in (False, True)]
    assert found[0] < found[1] < 40


def total_miss() -> float:
    """How far from the minimum eager steps end, over many sets of points enough for all terms."""
    miss = 0.0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = 0.5 + 0.3 * (rng.random((28, 4)) - 0.5)
        losses = ((x - 0.5) ** 2).sum(axis=1) + 2e-3 * rng.standard_normal(28)
        miss += float(((lowest_rows(floats(4), x, losses, np.ones(4), rng, eager=True)[0] - 0.5) ** 2).sum())
    return miss


def test_the_surer_of_two_ends_nearer_than_either_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    surer = total_miss()
    for crossed in (False, True):
        monkeypatch.setattr("krigetuner.gp.parabola._forms", lambda q, count, crossed=crossed: (crossed,))
        assert surer < 0.9 * total_miss()


def test_a_slope_leads_to_the_edge_of_the_trust_region_and_no_farther() -> None:
    rng = np.random.default_rng(1)
    x = rng.random((60, 2))
    losses = 3.0 * x[:, 0] - x[:, 1]
    best = x[np.argmin(losses)]
    near = np.sort(np.abs(x - best), axis=0)
    row = lowest_rows(floats(2), x, losses, np.ones(2), rng)[0]
    assert row[0] == 0.0 or row[0] < best[0]
    assert row[1] == 1.0 or row[1] > best[1]
    assert (np.abs(row - best) <= near[30]).all()


def test_noise_hides_gains_that_are_smaller() -> None:
    steps = {0.0: 0, 1.0: 0}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.random((200, 3))
        losses = ((x - 0.5) ** 2).sum(axis=1)
        for level in steps:
            steps[level] += bool(
                len(lowest_rows(floats(3), x, losses + level * rng.standard_normal(200), np.ones(3), rng))
            )
    assert steps[0.0] == 20
    assert steps[1.0] <= 5


def test_many_columns_have_no_mixed_terms_and_still_find_a_separable_minimum() -> None:
    rng, d = np.random.default_rng(5), CROSSED + 4
    x = 0.5 + 0.1 * rng.standard_normal((4 * d, d))
    losses = ((x - 0.5) ** 2).sum(axis=1)
    row = lowest_rows(floats(d), np.clip(x, 0, 1), losses, np.ones(d), rng)[0]
    assert ((row - 0.5) ** 2).sum() < 0.01 * losses.min()


def test_categories_and_columns_that_are_not_active_stay() -> None:
    hp = HyperParameters()
    hp.Choice("kind", ["a", "b", "c"])
    hp.Float("x", 0.0, 1.0)
    with hp.conditional_scope("kind", ["b"]):
        hp.Float("only_b", 0.0, 1.0)
    space, rng = Space(hp.space), np.random.default_rng(0)
    x = space.sample(rng.random((60, space.dimensions)))
    losses = np.array([(v.get("x", 0.5) - 0.3) ** 2 + (v["kind"] != "a") for v in map(space.decode, x)])
    best = space.decode(x[np.argmin(losses)])
    assert best["kind"] == "a"
    for row in lowest_rows(space, x, losses, np.ones(space.dimensions), rng):
        values = space.decode(row)
        assert values["kind"] == "a"
        assert "only_b" not in values
        assert values["x"] == pytest.approx(0.3, abs=1e-3)


def test_whole_numbers_stay_whole() -> None:
    hp = HyperParameters()
    hp.Int("n", 1, 9)
    hp.Float("x", 0.0, 1.0)
    space, rng = Space(hp.space), np.random.default_rng(2)
    x = space.sample(rng.random((40, 2)))
    losses = np.array([(v["n"] - 4.4) ** 2 + v["x"] ** 2 for v in map(space.decode, x)])
    values = space.decode(lowest_rows(space, x, losses, np.ones(2), rng)[0])
    assert values["n"] == 4
    assert isinstance(values["n"], int)


@pytest.mark.parametrize(
    "losses",
    [np.full(30, 2.0), np.r_[np.full(29, np.inf), 1.0], 1e300 * np.arange(30.0), 1.7e308 * (-1.0) ** np.arange(30)],
)
def test_odd_losses_give_legal_rows_or_none(losses: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    rows = lowest_rows(floats(3), rng.random((30, 3)), losses, np.ones(3), rng)
    assert np.isfinite(rows).all()
    assert ((rows >= 0) & (rows <= 1)).all()


def test_few_points_or_nothing_numeric_give_no_rows() -> None:
    rng = np.random.default_rng(0)
    assert lowest_rows(floats(3), rng.random((6, 3)), np.arange(6.0), np.ones(3), rng).shape == (0, 3)
    hp = HyperParameters()
    hp.Choice("kind", ["a", "b", "c"])
    space = Space(hp.space)
    assert lowest_rows(space, space.sample(rng.random((9, 1))), np.arange(9.0), np.ones(1), rng).shape == (0, 1)
